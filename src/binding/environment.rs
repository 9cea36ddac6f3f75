//! The environment as the app sees it: `process.env`, which a worker thread has a copy of.

use napi::bindgen_prelude::{JsObjectValue, Object};
use napi::{Env, JsString};

use crate::config::Environment;

pub struct ProcessEnv<'env>(Option<Object<'env>>);

impl ProcessEnv<'_> {
    pub fn of(env: &Env) -> Self {
        let variables = || -> napi::Result<Object> {
            env.get_global()?.get_named_property::<Object>("process")?.get_named_property("env")
        };
        Self(variables().ok())
    }
}

impl Environment for ProcessEnv<'_> {
    fn value(&self, name: &str) -> Option<String> {
        self.0.as_ref()?.get_named_property::<JsString>(name).ok()?.into_utf8().ok()?.into_owned().ok()
    }
}
