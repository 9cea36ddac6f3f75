//! The environment variables as the app sees them: `process.env`, of which a worker thread has its own copy.

use napi::Env;
use napi::bindgen_prelude::{Function, JsObjectValue, Object, Unknown};

use super::settle;
use crate::config::Environment;
use crate::sensitive::Sensitive;

pub struct ProcessEnv<'env> {
    env: &'env Env,
    variables: Option<Object<'env>>,
}

impl<'env> ProcessEnv<'env> {
    pub fn of(env: &'env Env) -> Self {
        let variables = || -> napi::Result<Object> {
            env.get_global()?.get_named_property::<Object>("process")?.get_named_property("env")
        };
        Self { env, variables: settle::unless_thrown(env, variables()) }
    }
}

impl Environment for ProcessEnv<'_> {
    fn value(&self, name: &str) -> Option<Sensitive> {
        let variables = self.variables.as_ref()?;
        // Ignores properties of `Object.prototype`.
        settle::unless_thrown(self.env, variables.has_own_property(name)).filter(|is_own| *is_own)?;
        let value: Unknown = settle::unless_thrown(self.env, variables.get_named_property(name))?;
        settle::text(self.env, &value, None).map(Sensitive::from)
    }

    fn root_certificates(&self) -> String {
        let certificates = || -> napi::Result<Vec<String>> {
            let process: Object = self.env.get_global()?.get_named_property("process")?;
            let require: Function<&str, Object> = process.get_named_property("getBuiltinModule")?;
            require.call("node:tls")?.get_named_property("rootCertificates")
        };
        settle::unless_thrown(self.env, certificates()).unwrap_or_default().join("\n")
    }
}
