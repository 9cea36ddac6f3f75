//! Tells the developer of a mistake, once in the life of the process, as Node itself does.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use napi::Env;
use napi::bindgen_prelude::{FnArgs, Function, JsObjectValue, Object};

use super::settle;
use crate::config::warning::Warning;

static GIVEN: LazyLock<Mutex<HashSet<&str>>> = LazyLock::new(Mutex::default);

/// Through `process.emitWarning`, which writes to stderr unless the app does otherwise.
pub fn warn_once(env: &Env, warnings: &[Warning]) {
    for warning in warnings {
        let is_new = GIVEN.lock().is_ok_and(|mut given| given.insert(warning.code()));
        if is_new {
            // A process that can't warn works all the same.
            settle::unless_thrown(env, emit(env, warning));
        }
    }
}

fn emit(env: &Env, warning: &Warning) -> napi::Result<()> {
    let mut options = Object::new(env)?;
    options.set("type", "AuthBridgeWarning")?;
    options.set("code", warning.code())?;
    env.get_global()?
        .get_named_property::<Object>("process")?
        .get_named_property::<Function<FnArgs<(String, Object)>, ()>>("emitWarning")?
        .call((warning.to_string(), options).into())
}
