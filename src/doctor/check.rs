//! The result of one check, as `npx authjs-bridge doctor --json` prints it.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::postgres::StepError;

pub(super) const SEE_LOG: &str = "See the server's log.";
pub(super) const CONNECTION_LOST: &str = "the connection to the database was lost";

/// A remark beside the SQL in an advice. It is one line, whatever the names in it hold: the next one would be run.
pub(super) fn remark(text: &str) -> String {
    format!("-- {}", text.replace(char::is_control, " "))
}

#[derive(Debug, Serialize)]
pub struct Check {
    /// A stable id for scripts. The check is in the file with this name.
    pub(super) id: &'static str,
    pub(super) status: Status,
    /// What was found.
    pub(super) message: String,
    /// What to do; one or more lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    /// The facts behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Box<RawValue>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    /// It works, but should be fixed.
    Warning,
    Failed,
    Skipped,
}

impl Check {
    pub(super) fn ok(id: &'static str, message: impl Into<String>) -> Self {
        Self { id, status: Status::Ok, message: message.into(), advice: None, details: None }
    }

    pub(super) fn warning(id: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Warning, advice: Some(advice.into()), ..Self::ok(id, message) }
    }

    pub(super) fn failed(id: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Failed, advice: Some(advice.into()), ..Self::ok(id, message) }
    }

    pub(super) fn skipped(id: &'static str, reason: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(id, reason) }
    }

    /// For a step without a result.
    pub(super) fn from_step_error(id: &'static str, error: &StepError) -> Self {
        match error {
            StepError::ConnectionLost => Self::skipped(id, CONNECTION_LOST),
            StepError::Failed(error) => Self::failed(id, error.to_string(), SEE_LOG),
        }
    }

    pub(super) fn with_details(self, details: &impl Serialize) -> Self {
        let details = to_raw_value(details).expect("keys are strings, and no value fails");
        Self { details: Some(details), ..self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Error;

    #[test]
    fn a_remark_is_one_line() {
        assert_eq!(remark("used by x\r\nDROP TABLE users;"), "-- used by x  DROP TABLE users;");
    }

    #[test]
    fn as_json() {
        let details = [("version", 18)];
        let failed = StepError::Failed(Error::Query("no".to_owned()));
        for (check, expected) in [
            (Check::ok("tls", "none"), json!({ "id": "tls", "status": "ok", "message": "none" })),
            (
                Check::warning("tls", "none", "Set it.").with_details(&details),
                json!({
                    "id": "tls", "status": "warning", "message": "none", "advice": "Set it.",
                    "details": [["version", 18]],
                }),
            ),
            (
                Check::from_step_error("server", &failed),
                json!({
                    "id": "server", "status": "failed", "message": "the database refused the query: no",
                    "advice": SEE_LOG,
                }),
            ),
            (
                Check::from_step_error("server", &StepError::ConnectionLost),
                json!({ "id": "server", "status": "skipped", "message": CONNECTION_LOST }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&check).expect("is JSON"), expected);
        }
    }
}
