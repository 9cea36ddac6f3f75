//! What `npx authjs-bridge doctor` judges: the configuration that the environment gives, and the
//! database that it leads to.
#![forbid(unsafe_code)]

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::config::{Database, Environment, Limits, Options, Report};
use crate::error::Error;
use crate::postgres;

#[derive(Serialize)]
pub struct Diagnosis {
    configuration: Report,
    database: Result<postgres::Diagnosis, Error>,
}

impl Diagnosis {
    /// Reads the environment at once, and connects later.
    pub fn new(environment: &impl Environment) -> BoxFuture<'static, Self> {
        let configuration = Report::new(environment);
        let database = Database::new(&mut Options::default(), environment);
        async move {
            let database = match database {
                Ok(database) => postgres::diagnose(&database, &Limits::default()).await,
                Err(error) => Err(error),
            };
            Self { configuration, database }
        }
        .boxed()
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("keys are strings, and no value fails")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensitive::Sensitive;

    struct Nothing;

    impl Environment for Nothing {
        fn value(&self, _name: &str) -> Option<Sensitive> {
            None
        }
    }

    #[test]
    fn without_a_database_nothing_is_waited_for() {
        let diagnosis = Diagnosis::new(&Nothing).now_or_never().expect("is ready");
        let found: serde_json::Value = serde_json::from_str(&diagnosis.to_json()).expect("is JSON");
        for part in ["/database", "/configuration/secrets"] {
            let error = found.pointer(&format!("{part}/Err")).expect(part);
            assert_eq!(error["code"], "ERR_AUTH_BRIDGE_CONFIG", "{part}");
        }
    }
}
