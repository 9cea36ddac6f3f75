//! One line of the checklist, as `npx authjs-bridge doctor --json` prints it.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::postgres::Unanswered;

pub(super) const SEE_LOG: &str = "See the log of the server.";
pub(super) const LOST: &str = "the connection was lost before";

#[derive(Debug, Serialize)]
pub struct Check {
    /// Stable, for machines. The check is in the file of this name.
    pub(super) id: &'static str,
    pub(super) status: Status,
    /// What was found.
    pub(super) message: String,
    /// What to do, in lines.
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
    /// It works, but it should be looked at.
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

    /// For a question that the server did not answer.
    pub(super) fn unanswered(id: &'static str, unanswered: &Unanswered) -> Self {
        match unanswered {
            Unanswered::Lost => Self::skipped(id, LOST),
            Unanswered::Failed(error) => Self::failed(id, error.to_string(), SEE_LOG),
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
    fn as_json() {
        let details = [("version", 18)];
        let failed = Unanswered::Failed(Error::Query("no".to_owned()));
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
                Check::unanswered("server", &failed),
                json!({
                    "id": "server", "status": "failed", "message": "the database refused the session query: no",
                    "advice": SEE_LOG,
                }),
            ),
            (
                Check::unanswered("server", &Unanswered::Lost),
                json!({ "id": "server", "status": "skipped", "message": LOST }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&check).expect("is JSON"), expected);
        }
    }
}
