//! What the addon keeps for each JavaScript environment.

use std::sync::Arc;

use napi::Env;

use super::settle::Settler;
use super::warn::warn_once;
use crate::bridge::Bridge;
use crate::config::{Options, Snapshot};
use crate::error::Error;
use crate::postgres::SharedPostgres;
use crate::sensitive::Sensitive;

pub type SharedBridge = Arc<Bridge<SharedPostgres, Arc<Settler>>>;

/// State of one environment: the main thread, or a worker thread.
pub struct Module {
    pub settler: Arc<Settler>,
    /// The bridge of the module's own functions.
    pub bridge: Option<SharedBridge>,
    /// The variables that it was made from, in development: Next.js changes them when a file is edited.
    pub variables: Option<Arc<Snapshot>>,
    /// The options in `AUTH_BRIDGE_OPTIONS`, with the value of the variable that they were read from.
    pub default_options: Option<(Sensitive, Options)>,
}

/// Don't hold the reference while JavaScript can run: it could call this function again.
pub fn module(env: &Env) -> Result<&mut Module, Error> {
    let made = || {
        if env.get_instance_data::<Module>()?.is_none() {
            let module =
                Module { settler: Settler::new(env, warn_once)?, bridge: None, variables: None, default_options: None };
            env.set_instance_data(module, (), |_| {})?;
        }
        env.get_instance_data::<Module>()
    };
    let module = made().map_err(|cause: napi::Error| Error::Internal(cause.reason.clone()))?;
    module.ok_or_else(|| Error::Internal("no instance data".to_owned()))
}
