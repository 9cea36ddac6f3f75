//! What JavaScript sees. The only part that imports napi.
//!
//! `///` on an exported item becomes the TSDoc of `index.d.ts`; the types that stand there are
//! written in `types.d.ts`.

mod environment;
mod options;
mod settle;
mod warn;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use napi::Env;
use napi::bindgen_prelude::{PromiseRaw, Unknown, create_custom_tokio_runtime};
use napi_derive::{module_init, napi};

use self::environment::ProcessEnv;
use crate::bridge::Bridge;
use crate::config::{self, Config, Options};
use crate::error::Error;
use crate::postgres::Postgres;

type SharedBridge = Arc<Bridge<Postgres>>;

thread_local! {
    /// The module's own bridge; each worker thread has its own, as it has its own `process.env`.
    static DEFAULT_BRIDGE: RefCell<Option<SharedBridge>> = const { RefCell::new(None) };
}

/// The threads that wait for the database. They have little to do: all that costs time is done on
/// the calling thread.
const RUNTIME_THREADS: usize = 2;

#[module_init]
fn init() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("authjs-bridge")
        .enable_all()
        .build();
    // Without it napi makes its default one.
    if let Ok(runtime) = runtime {
        create_custom_tokio_runtime(runtime);
    }
}

/// Reads the session of a request, with the configuration of the environment: `AUTH_SECRET`,
/// `AUTH_URL`, `DATABASE_URL` and others, read at the first call that needs them.
///
/// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
/// @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
/// @throws {AuthBridgeError} Rejects when the configuration is wrong or the database can't be asked; never for what a client sent.
#[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<AuthSessionResponse>")]
pub fn get_session<'env>(
    env: &'env Env,
    cookie_header: Unknown<'env>,
) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
    settle::promise(env, || {
        let header = options::cookie_header(cookie_header)?;
        if is_without_cookie(env, &header)? {
            return Ok(None);
        }
        lookup(&default_bridge(env)?, &header)
    })
}

/// Says why a request has or has no session, for the developer: never send it to a client. It goes
/// the same way as `getSession`, and shows ids and times, but no secret, token, e-mail address or name.
///
/// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
/// @returns The verdict of `getSession`, its reason, and the details that help.
/// @throws {AuthBridgeError} Rejects when the configuration is wrong; never for what a client sent, nor for a database that can't be asked.
#[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<SessionExplanation>")]
pub fn explain_session<'env>(
    env: &'env Env,
    cookie_header: Unknown<'env>,
) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
    settle::promise(env, || {
        let header = options::cookie_header(cookie_header)?;
        Ok(Some(explanation(&default_bridge(env)?, &header)?))
    })
}

/// Reads sessions with options of its own, and its own connections to the database.
#[napi]
pub struct AuthBridge {
    bridge: SharedBridge,
}

#[napi]
impl AuthBridge {
    /// Connects to nothing yet: the first lookup does.
    ///
    /// @param options What is left out comes from the environment.
    /// @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG`, with a message that names the option or the variable.
    #[napi(constructor, ts_args_type = "options?: AuthBridgeOptions")]
    pub fn new(env: &Env, options: Unknown) -> Result<Self, napi::Error<&'static str>> {
        let bridge = settle::guarded(|| new_bridge(env, options::parse(options)?, &ProcessEnv::of(env)));
        Ok(Self { bridge: bridge.map_err(settle::coded)? })
    }

    /// Reads the session of a request.
    ///
    /// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
    /// @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
    /// @throws {AuthBridgeError} Rejects when the database can't be asked or this bridge is closed; never for what a client sent.
    #[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<AuthSessionResponse>")]
    pub fn get_session<'env>(
        &self,
        env: &'env Env,
        cookie_header: Unknown<'env>,
    ) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
        settle::promise(env, || lookup(&self.bridge, &options::cookie_header(cookie_header)?))
    }

    /// Says why a request has or has no session, for the developer: never send it to a client.
    ///
    /// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
    /// @returns The verdict of `getSession`, its reason, and the details that help.
    /// @throws {AuthBridgeError} Rejects when this bridge is closed; never for what a client sent, nor for a database that can't be asked.
    #[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<SessionExplanation>")]
    pub fn explain_session<'env>(
        &self,
        env: &'env Env,
        cookie_header: Unknown<'env>,
    ) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
        settle::promise(env, || Ok(Some(explanation(&self.bridge, &options::cookie_header(cookie_header)?)?)))
    }

    /// Refuses further calls with `ERR_AUTH_BRIDGE_CLOSED`, waits for the answers of those in
    /// flight, and ends every connection. A second call does nothing.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let closed = self.bridge.close();
        env.spawn_future(async {
            closed.await;
            Ok(())
        })
    }
}

/// What is left to ask the database; `None` when the request is known to be unauthenticated.
fn lookup(
    bridge: &SharedBridge,
    header: &str,
) -> Result<Option<impl Future<Output = Result<String, Error>> + Send + use<>>, Error> {
    match bridge.read(header, unix_time())? {
        Ok(session) => Ok(Some(bridge.confirm(session))),
        Err(_unauthenticated) => Ok(None),
    }
}

fn explanation(
    bridge: &SharedBridge,
    header: &str,
) -> Result<impl Future<Output = Result<String, Error>> + Send + use<>, Error> {
    let explained = bridge.explain(header, unix_time())?;
    Ok(async { Ok(explained.await?.to_json()) })
}

/// Whether the answer is known, though the module's own bridge may not be configured yet.
fn is_without_cookie(env: &Env, header: &str) -> Result<bool, Error> {
    if DEFAULT_BRIDGE.with_borrow(Option::is_some) {
        return Ok(false);
    }
    let cookies = config::cookies(&Options::default(), &ProcessEnv::of(env))?;
    Ok(cookies.iter().all(|cookie| cookie.name.find(header).is_none()))
}

/// The module's own bridge, made from the environment when it is first needed.
fn default_bridge(env: &Env) -> Result<SharedBridge, Error> {
    if let Some(bridge) = DEFAULT_BRIDGE.with_borrow(Clone::clone) {
        return Ok(bridge);
    }
    let bridge = new_bridge(env, Options::default(), &ProcessEnv::of(env))?;
    DEFAULT_BRIDGE.replace(Some(Arc::clone(&bridge)));
    Ok(bridge)
}

fn new_bridge(env: &Env, options: Options, environment: &ProcessEnv) -> Result<SharedBridge, Error> {
    let config = Config::new(options, environment)?;
    let postgres = Postgres::new(&config.database)?;
    warn::warn_once(env, &config.warnings);
    Ok(Arc::new(Bridge::new(config, postgres)?))
}

/// Whole seconds, as Auth.js compares them. With a clock before 1970 every token is expired.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |time| time.as_secs())
}
