//! Makes bridges when they are first needed, not when a module is imported: `next build` imports the app's modules where there
//! may be neither a secret nor a database.

use std::cell::RefCell;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::retain_current_module_for_unload_safety;

use super::environment::ProcessEnv;
use super::module::{Module, SharedBridge, module};
use super::{default_options, warn};
use crate::bridge::Bridge;
use crate::config::warning::Warning;
use crate::config::{self, Config, Environment, Options, Recorder};
use crate::error::Error;
use crate::postgres::SharedPostgres;
use crate::runtime;

/// What an `AuthBridge` of JavaScript refers to.
pub struct LazyBridge(RefCell<State>);

enum State {
    /// The bridge of the module's own functions, whichever that is.
    Default,
    NotMade(Box<Options>),
    Made(SharedBridge),
    ClosedBefore,
}

impl LazyBridge {
    pub fn of_module() -> Self {
        Self(RefCell::new(State::Default))
    }

    pub fn new(options: Options) -> Self {
        Self(RefCell::new(State::NotMade(Box::new(options))))
    }

    /// The bridge, which is made if there is none. After an error, the next call tries again.
    pub fn get(&self, env: &Env) -> Result<SharedBridge, Error> {
        let options = match &*self.0.borrow() {
            State::Made(bridge) => return Ok(Arc::clone(bridge)),
            State::NotMade(options) => Some(options.as_ref().clone()),
            State::Default => None,
            State::ClosedBefore => return Err(Error::Closed),
        };
        // From here on JavaScript can run and call this again.
        let Some(options) = options else {
            return default_bridge(env);
        };
        let bridge = new_bridge(env, options, &ProcessEnv::of(env))?;
        let mut state = self.0.borrow_mut();
        if matches!(*state, State::NotMade(_)) {
            *state = State::Made(bridge);
        }
        match &*state {
            State::Made(bridge) => Ok(Arc::clone(bridge)),
            _ => Err(Error::Closed),
        }
    }

    /// The bridge to close; `None` if it was never made. The module's own functions make another one when they are called again.
    pub fn take_to_close(&self, env: &Env) -> Result<Option<SharedBridge>, Error> {
        let mut state = self.0.borrow_mut();
        Ok(match &*state {
            State::Made(bridge) => Some(Arc::clone(bridge)),
            State::Default => module(env)?.bridge.take(),
            State::NotMade(_) | State::ClosedBefore => {
                *state = State::ClosedBefore;
                None
            }
        })
    }
}

/// The module's own bridge. `None` if it doesn't exist yet and the request has no session cookie: the answer is `{}` then,
/// and nothing but the cookie's name has to be configured.
pub fn default_bridge_for(env: &Env, header: &str) -> Result<Option<SharedBridge>, Error> {
    if let Some(bridge) = current_default(env)? {
        return Ok(Some(bridge));
    }
    let environment = ProcessEnv::of(env);
    let options = default_options::read(env, &environment)?;
    let cookies = config::session_cookies(&options, &environment)?;
    if cookies.iter().any(|cookie| cookie.name.find(header).is_some()) {
        return default_bridge(env).map(Some);
    }
    if config::ignored_cookie(&options, &environment).is_some_and(|name| name.find(header).is_some()) {
        warn::warn_once(env, &[Warning::IgnoredCookie]);
    }
    Ok(None)
}

/// The module's own bridge, which is made from the environment if there is none.
pub fn default_bridge(env: &Env) -> Result<SharedBridge, Error> {
    if let Some(bridge) = current_default(env)? {
        return Ok(bridge);
    }
    let environment = Recorder::new(ProcessEnv::of(env));
    let options = default_options::read(env, &environment)?;
    let bridge = new_bridge(env, options, &environment)?;
    let variables = config::is_development(&environment).then(|| Arc::new(environment.finish()));
    let module = module(env)?;
    module.variables = variables;
    module.bridge = Some(Arc::clone(&bridge));
    Ok(bridge)
}

/// `None` if there is none, or if its variables have changed.
fn current_default(env: &Env) -> Result<Option<SharedBridge>, Error> {
    let Module { bridge: Some(bridge), variables, .. } = module(env)? else {
        return Ok(None);
    };
    let (bridge, variables) = (Arc::clone(bridge), variables.clone());
    let is_current = variables.is_none_or(|variables| variables.is_of(&ProcessEnv::of(env)));
    Ok(is_current.then_some(bridge))
}

fn new_bridge(env: &Env, options: Options, environment: &impl Environment) -> Result<SharedBridge, Error> {
    let config = Config::new(options, environment)?;
    let postgres = SharedPostgres::new(&config.database, &config.limits, environment)?;
    warn::warn_once(env, &config.warnings);
    warn::warn_once(env, postgres.warnings());
    let settler = Arc::clone(&module(env)?.settler);
    // The runtime's thread outlives the environment, so its code must stay loaded.
    retain_current_module_for_unload_safety();
    Ok(Arc::new(Bridge::new(config, postgres, settler, runtime::handle()?.clone())?))
}
