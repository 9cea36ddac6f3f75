//! Emits each configuration warning once per process.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use napi::Env;
use napi::bindgen_prelude::{FnArgs, Function, JsObjectValue, Object};

use super::settle;
use crate::config::warning::Warning;

static EMITTED: LazyLock<Mutex<HashSet<&str>>> = LazyLock::new(Mutex::default);

/// Uses `process.emitWarning`, which writes to stderr unless the app handles the event `warning`.
pub fn warn_once(env: &Env, warnings: &[Warning]) {
    for warning in warnings {
        let is_new = EMITTED.lock().is_ok_and(|mut emitted| emitted.insert(warning.code()));
        if is_new {
            // If `emitWarning` throws, the bridge works without the warning.
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
