//! The functions that JavaScript calls. The only module that imports napi.
//!
//! `///` on an exported item becomes its TSDoc in `index.d.ts`; `types.d.ts` holds the types.

mod arguments;
mod authjs;
mod bridges;
mod callback;
mod claims;
mod default_options;
mod environment;
mod manage;
mod module;
mod options;
mod password;
mod respond;
mod settle;
mod warn;

use std::ops::Deref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use napi::bindgen_prelude::{Unknown, retain_current_module_for_unload_safety};
use napi::{Env, ValueType};
use napi_derive::{module_init, napi};
use serde::Serialize;

use self::bridges::LazyBridge;
use self::claims::{ClaimsSource, GivenClaims};
use self::environment::ProcessEnv;
use self::module::{SharedBridge, module};
use self::respond::{Call, Form, Kind, RefreshCall};
use self::settle::Value;
use crate::bridge::{Attempt, Intent, Refresh, Refreshed};
use crate::config::warning::Warning;
use crate::cookie::MAX_HEADER_BYTES;
use crate::doctor;
use crate::error::Error;
use crate::panics::{catch_panic, catch_panic_async};
use crate::store::{Candidates, Identity, Moment, Verdict};
use crate::versions::Versions;
use crate::{outcome, panics, runtime};

#[module_init]
fn on_load() {
    panics::report_location_only();
}

/// Reads the session of a request. The configuration is read from the environment variables (`AUTH_SECRET`, `AUTH_URL`,
/// `DATABASE_URL`, `AUTH_BRIDGE_OPTIONS`, ...) at the first call that needs it.
///
/// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
/// @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
/// @throws {AuthBridgeError} Rejects when the configuration is invalid or the database can't be queried, never because of what the client sent.
#[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<AuthSessionResponse>")]
pub fn get_session<'env>(env: &'env Env, cookie_header: Unknown<'env>) -> napi::Result<Unknown<'env>> {
    body(env, Form::Object, cookie_header, |header| bridges::default_bridge_for(env, header))
}

/// The same as `getSession`, but resolves to JSON text: for a handler that forwards the body without reading it.
///
/// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
/// @returns The text that `JSON.stringify` returns for the object of `getSession`: the session, or `{}` when the request is unauthenticated.
/// @throws {AuthBridgeError} Rejects when the configuration is invalid or the database can't be queried, never because of what the client sent.
#[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<string>")]
pub fn get_session_json<'env>(env: &'env Env, cookie_header: Unknown<'env>) -> napi::Result<Unknown<'env>> {
    body(env, Form::Text, cookie_header, |header| bridges::default_bridge_for(env, header))
}

/// Reads the session of a request as `getSession` does, and keeps it alive: when it is due, its row lives on and the cookie is
/// issued anew, in one round trip to the database.
///
/// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
/// @param options Claims to change in the token that is issued.
/// @returns The session, the `Set-Cookie` values to append to the response, and the `Cookie` header as it is with them. Whatever response carries the values needs `Cache-Control: private, no-cache, no-store, max-age=0`.
/// @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong.
#[napi(
    ts_args_type = "cookieHeader?: string | null, options?: RefreshOptions",
    ts_return_type = "Promise<RefreshedSession>"
)]
pub fn refresh_session<'env>(
    env: &'env Env,
    cookie_header: Unknown<'env>,
    options: Unknown<'env>,
    attempt: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let attempt = self::attempt(&attempt);
    refresh(env, Intent::Roll, attempt, cookie_header, options, |header| bridges::default_bridge_for(env, header))
}

/// Changes claims of the session, due or not: issues its cookie anew at once, wherever the session lives.
///
/// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
/// @param claims Claims to set in the token; null removes one.
/// @returns As `refreshSession`; `updated` is false when there is no live session.
/// @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong, or make the token longer than 32 KiB.
#[napi(
    ts_args_type = "cookieHeader: string | null | undefined, claims: ClaimChanges",
    ts_return_type = "Promise<UpdatedSession>"
)]
pub fn update_session<'env>(
    env: &'env Env,
    cookie_header: Unknown<'env>,
    claims: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    refresh(env, Intent::Update, Attempt::First, cookie_header, claims, |header| {
        bridges::default_bridge_for(env, header)
    })
}

/// Explains to the developer why a request has a session or not. It makes the same checks as `getSession`. The explanation
/// holds ids and times, but no secret, token, e-mail address or name. Never send it to a client.
///
/// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
/// @returns What `getSession` does with this request, the reason, and its details.
/// @throws {AuthBridgeError} Rejects when the configuration is invalid, but neither because of what the client sent nor when the database can't be queried.
#[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<SessionExplanation>")]
pub fn explain_session<'env>(env: &'env Env, cookie_header: Unknown<'env>) -> napi::Result<Unknown<'env>> {
    explanation(env, cookie_header, || bridges::default_bridge(env))
}

/// The bridge that the functions of this module use, for its `stats`, `health` and `close`. After `close`, the next call makes
/// a new one.
#[napi]
pub fn default_bridge() -> AuthBridge {
    AuthBridge { bridge: LazyBridge::of_module() }
}

/// The versions of the native addon and of the OpenSSL in it, to compare with security advisories. Needs no configuration.
#[napi(ts_return_type = "BridgeVersions")]
pub fn versions(env: &Env) -> napi::Result<Unknown<'_>> {
    settle::parsed(env, &json_of(&Versions::of_this_build()))
}

// For `npx authjs-bridge doctor` only: not in `index.d.ts`, and exported by no entry point of the package.
#[napi(skip_typescript)]
pub fn diagnose(env: &Env) -> napi::Result<Unknown<'_>> {
    let ready = catch_panic(|| {
        let environment = ProcessEnv::of(env);
        let options = default_options::read(env, &environment)?;
        let checks = doctor::examine(&options, &environment);
        Ok((Arc::clone(&module(env)?.settler), runtime::handle()?, checks))
    });
    let (settler, runtime, checks) = match ready {
        Ok(ready) => ready,
        Err(error) => return settle::settled(env, Err(error)),
    };
    // The runtime's thread outlives the environment, so its code must stay loaded.
    retain_current_module_for_unload_safety();
    let (promise, deferred) = settler.promise(env)?;
    runtime.spawn(async move {
        let resolution = catch_panic_async(async { Ok(Value::Json(json_of(&checks.await))) }).await;
        settler.settle(vec![(deferred, resolution)]);
    });
    Ok(promise)
}

// For the command line only, as `diagnose`: where the database is, without the password.
#[napi(skip_typescript)]
pub fn database_target(env: &Env) -> napi::Result<Unknown<'_>> {
    let target = catch_panic(|| {
        let environment = ProcessEnv::of(env);
        doctor::target(&default_options::read(env, &environment)?, &environment)
    });
    settle::settled(env, target.map(|target| Value::Json(json_of(&target))))
}

// For the tests that compare types, advice and docs with it: exported by no entry point of the package.
#[napi(skip_typescript)]
pub fn outcomes(env: &Env) -> napi::Result<Unknown<'_>> {
    settle::parsed(env, &outcome::vocabulary())
}

/// Reads sessions with the given options. Bridges with the same database options share their connections.
#[napi]
pub struct AuthBridge {
    bridge: LazyBridge,
}

#[napi]
impl AuthBridge {
    /// Checks the options at once. The environment and certificate files are read at the first call, and the database is connected
    /// at the first lookup. So a module can make a bridge where `next build` imports it.
    ///
    /// @param options An omitted option is read from the environment or has its default.
    /// @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG`; the message names the option.
    #[napi(constructor, ts_args_type = "options?: AuthBridgeOptions")]
    pub fn new(options: Unknown) -> Result<Self, napi::Error<&'static str>> {
        let bridge = catch_panic(|| Ok(LazyBridge::new(options::parse(options)?)));
        Ok(Self { bridge: bridge.map_err(settle::coded)? })
    }

    /// Reads the session of a request.
    ///
    /// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
    /// @returns The body of `GET /api/auth/session`: the session, or `{}` when the request is unauthenticated.
    /// @throws {AuthBridgeError} Rejects when the configuration is invalid, the database can't be queried or this bridge is closed, never because of what the client sent.
    #[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<AuthSessionResponse>")]
    pub fn get_session<'env>(&self, env: &'env Env, cookie_header: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        body(env, Form::Object, cookie_header, |_| self.bridge.get(env).map(Some))
    }

    /// The same as `getSession`, but resolves to JSON text: for a handler that forwards the body without reading it.
    ///
    /// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
    /// @returns The text that `JSON.stringify` returns for the object of `getSession`: the session, or `{}` when the request is unauthenticated.
    /// @throws {AuthBridgeError} Rejects when the configuration is invalid, the database can't be queried or this bridge is closed, never because of what the client sent.
    #[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<string>")]
    pub fn get_session_json<'env>(&self, env: &'env Env, cookie_header: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        body(env, Form::Text, cookie_header, |_| self.bridge.get(env).map(Some))
    }

    /// Reads the session of a request as `getSession` does, and keeps it alive: when it is due, its row lives on and the cookie is
    /// issued anew, in one round trip to the database.
    ///
    /// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
    /// @param options Claims to change in the token that is issued.
    /// @returns The session, the `Set-Cookie` values to append to the response, and the `Cookie` header as it is with them. Whatever response carries the values needs `Cache-Control: private, no-cache, no-store, max-age=0`.
    /// @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong.
    #[napi(
        ts_args_type = "cookieHeader?: string | null, options?: RefreshOptions",
        ts_return_type = "Promise<RefreshedSession>"
    )]
    pub fn refresh_session<'env>(
        &self,
        env: &'env Env,
        cookie_header: Unknown<'env>,
        options: Unknown<'env>,
        attempt: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        refresh(env, Intent::Roll, self::attempt(&attempt), cookie_header, options, |_| self.bridge.get(env).map(Some))
    }

    /// Changes claims of the session, due or not: issues its cookie anew at once, wherever the session lives.
    ///
    /// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
    /// @param claims Claims to set in the token; null removes one.
    /// @returns As `refreshSession`; `updated` is false when there is no live session.
    /// @throws {AuthBridgeError} Rejects as `getSession` does, and with `ERR_AUTH_BRIDGE_ARGUMENT` when the claims are wrong, or make the token longer than 32 KiB.
    #[napi(
        ts_args_type = "cookieHeader: string | null | undefined, claims: ClaimChanges",
        ts_return_type = "Promise<UpdatedSession>"
    )]
    pub fn update_session<'env>(
        &self,
        env: &'env Env,
        cookie_header: Unknown<'env>,
        claims: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        refresh(env, Intent::Update, Attempt::First, cookie_header, claims, |_| self.bridge.get(env).map(Some))
    }

    /// Explains to the developer why a request has a session or not. Never send the explanation to a client.
    ///
    /// @param cookieHeader The raw value of the request's `Cookie` header; null or undefined when it has none.
    /// @returns What `getSession` does with this request, the reason, and its details.
    /// @throws {AuthBridgeError} Rejects when the configuration is invalid or this bridge is closed, but neither because of what the client sent nor when the database can't be queried.
    #[napi(ts_args_type = "cookieHeader?: string | null", ts_return_type = "Promise<SessionExplanation>")]
    pub fn explain_session<'env>(&self, env: &'env Env, cookie_header: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        explanation(env, cookie_header, || self.bridge.get(env))
    }

    /// Counts of this bridge since it was created, and the current state of its connection pool. Cheap to call: the counts
    /// are kept up to date anyway.
    ///
    /// @throws {AuthBridgeError} `ERR_AUTH_BRIDGE_CONFIG` when no call was made before and the configuration is invalid.
    #[napi(ts_return_type = "BridgeStats")]
    pub fn stats<'env>(&self, env: &'env Env) -> Result<Unknown<'env>, napi::Error<&'static str>> {
        object(env, || Ok(json_of(&self.bridge.get(env)?.lookups().stats())))
    }

    /// Runs the session query for a session that doesn't exist, and returns the round-trip time in ms.
    ///
    /// @returns The round-trip time.
    /// @throws {AuthBridgeError} Rejects with the error of `getSession` when the database can't be queried or this bridge is closed.
    #[napi(ts_return_type = "Promise<BridgeHealth>")]
    pub fn health<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        promise_json(env, || {
            let bridge = self.bridge.get(env)?;
            let lookups = Arc::clone(bridge.lookups());
            if lookups.is_closed() {
                return Err(Error::Closed);
            }
            let health = async move {
                let milliseconds = lookups.health().await?.as_secs_f64() * 1000.0;
                Ok(format!(r#"{{"milliseconds":{milliseconds:.3}}}"#))
            };
            Ok((bridge, health.boxed()))
        })
    }

    /// Rejects further calls with `ERR_AUTH_BRIDGE_CLOSED`, waits until the calls in flight are answered, at most
    /// `callTimeout`, and closes every connection that no other bridge uses. A second call does nothing.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        let bridge = match catch_panic(|| self.bridge.take_to_close(env)) {
            Ok(Some(bridge)) => bridge,
            Ok(None) => return settle::settled(env, Ok(Value::Undefined)),
            Err(error) => return settle::settled(env, Err(error)),
        };
        let lookups = bridge.lookups();
        let closed = lookups.close();
        let (promise, deferred) = lookups.responder().promise(env)?;
        let settler = Arc::clone(lookups.responder());
        lookups.runtime().spawn(async move {
            closed.await;
            settler.settle(vec![(deferred, Ok(Value::Undefined))]);
        });
        Ok(promise)
    }
}

/// The promise of the body. If the database isn't asked, it is settled at once on this thread.
fn body<'env>(
    env: &'env Env,
    form: Form,
    cookie_header: Unknown,
    bridge: impl FnOnce(&str) -> Result<Option<SharedBridge>, Error>,
) -> napi::Result<Unknown<'env>> {
    let pending = catch_panic(|| {
        let header = options::cookie_header(env, cookie_header, Some(MAX_HEADER_BYTES))?;
        let Some(bridge) = bridge(&header)? else {
            return Ok(Err(form.unauthenticated()));
        };
        let Some(sessions) = bridge.read_and_count(&header, unix_time())? else {
            if bridge.ignores_cookie_of(&header) {
                warn::warn_once(env, &[Warning::IgnoredCookie]);
            }
            return Ok(Err(form.unauthenticated()));
        };
        if let Some(verdict) = bridge.known(&sessions, Moment::now, |_| true) {
            let value = respond::read(form, sessions.map(|session| session.body), verdict);
            return bridge.lookups().responder().resolved(env, value).map(Ok).map_err(internal);
        }
        let identities = sessions.identities();
        let bodies = sessions.map(|session| session.body);
        confirm(env, &bridge, identities, Kind::Read { form, bodies }).map(Ok)
    });
    match pending {
        Ok(Ok(promise)) => Ok(promise),
        Ok(Err(known)) => settle::settled(env, Ok(known)),
        Err(error) => settle::settled(env, Err(error)),
    }
}

/// The promise of a call that asks the database.
fn confirm<'env>(
    env: &'env Env,
    bridge: &SharedBridge,
    identities: Candidates<Identity>,
    kind: Kind,
) -> Result<Unknown<'env>, Error> {
    if let Some(warning) = bridge.lookups().store().not_listening() {
        warn::warn_once(env, &[warning]);
    }
    let (promise, deferred) = bridge.lookups().responder().promise(env).map_err(internal)?;
    bridge.confirm(identities, Call { deferred, kind });
    Ok(promise)
}

/// `index.js` says by a further argument that it repeats a call, `next/proxy.js` that nobody looks at the session.
fn attempt(argument: &Unknown) -> Attempt {
    match options::type_of(argument) {
        ValueType::Undefined => Attempt::First,
        ValueType::Boolean => Attempt::Second,
        _ => Attempt::OnlyIfDue,
    }
}

/// The promise of a refreshed session; `claims` is the second argument. If the database isn't asked, it is settled at once on this
/// thread.
fn refresh<'env>(
    env: &'env Env,
    intent: Intent,
    attempt: Attempt,
    cookie_header: Unknown,
    claims: Unknown,
    bridge: impl FnOnce(&str) -> Result<Option<SharedBridge>, Error>,
) -> napi::Result<Unknown<'env>> {
    let pending = catch_panic(|| {
        let claims = match intent {
            Intent::Roll => GivenClaims::of_options(env, claims)?,
            Intent::Update => GivenClaims::Object(claims::object(env, claims)?),
        };
        let header = options::cookie_header(env, cookie_header, None)?;
        let Some(bridge) = bridge(&header)? else {
            return Ok(Err(respond::refreshed(Refreshed::anonymous(header, intent))));
        };
        let end = bridge.lookups().deadline();
        if bridge.ignores_cookie_of(&header) {
            warn::warn_once(env, &[Warning::IgnoredCookie]);
        }
        match bridge.refresh(header, unix_time(), intent, attempt)? {
            Refresh::Known(done) => Ok(Err(respond::refreshed(done))),
            Refresh::Read(sessions) => {
                if let Some(verdict) = bridge.known(&sessions, Moment::now, Verdict::is_live) {
                    let value = respond::refreshed_read(sessions.map(|session| session.body), verdict);
                    return bridge.lookups().responder().resolved(env, value).map(Ok).map_err(internal);
                }
                let identities = sessions.identities();
                let bodies = sessions.map(|session| session.body);
                confirm(env, &bridge, identities, Kind::RefreshedRead { bodies }).map(Ok)
            }
            Refresh::Pending(identities, pending) => {
                let may_issue = identities.iter().any(|identity| identity.slide.is_some());
                let claims = if may_issue { claims.source()? } else { ClaimsSource::None };
                confirm(env, &bridge, identities, Kind::Refresh(RefreshCall { pending, claims, end })).map(Ok)
            }
        }
    });
    match pending {
        Ok(Ok(promise)) => Ok(promise),
        Ok(Err(known)) => settle::settled(env, Ok(known)),
        Err(error) => settle::settled(env, Err(error)),
    }
}

fn explanation<'env>(
    env: &'env Env,
    cookie_header: Unknown,
    bridge: impl FnOnce() -> Result<SharedBridge, Error>,
) -> napi::Result<Unknown<'env>> {
    promise_json(env, || {
        let header = options::cookie_header(env, cookie_header, None)?;
        let bridge = bridge()?;
        let explained = bridge.explain(&header, unix_time())?;
        Ok((bridge, async { Ok(explained.await?.to_json()) }.boxed()))
    })
}

/// The promise of an object. `call` gives the bridge, and the work that makes the object's JSON on the runtime's thread.
fn promise_json<'env>(
    env: &'env Env,
    call: impl FnOnce() -> Result<(SharedBridge, BoxFuture<'static, Result<String, Error>>), Error>,
) -> napi::Result<Unknown<'env>> {
    let (bridge, work) = match catch_panic(call) {
        Ok(called) => called,
        Err(error) => return settle::settled(env, Err(error)),
    };
    let settler = Arc::clone(bridge.lookups().responder());
    let (promise, deferred) = settler.promise(env)?;
    bridge.lookups().spawn(async move {
        let resolution = catch_panic_async(work).await.map(Value::Json);
        settler.settle(vec![(deferred, resolution)]);
    });
    Ok(promise)
}

/// The object whose JSON `make` makes at once.
fn object<'env, J: Deref<Target: AsRef<str>>>(
    env: &'env Env,
    make: impl FnOnce() -> Result<J, Error>,
) -> Result<Unknown<'env>, napi::Error<&'static str>> {
    let json = catch_panic(make).map_err(settle::coded)?;
    settle::parsed(env, json.as_ref()).map_err(|cause| settle::coded(internal(cause)))
}

fn internal(cause: napi::Error) -> Error {
    Error::Internal(cause.reason.clone())
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("keys are strings, and no value fails")
}

/// Whole seconds, as Auth.js compares them. With a clock before 1970 every token is expired.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |time| time.as_secs())
}
