//! Errors that throw or reject a promise, and the stable code of each.
//!
//! An unauthenticated request is not an error: see [`crate::bridge::Unauthenticated`].
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::outcome::Outcome;

/// Holds no secret, cookie, token, claim or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An option or an environment variable is missing or wrong.
    Config {
        /// The option or variable: `cookieName`, `AUTH_URL`, ...
        name: String,
        /// What is wrong, and how to fix it.
        problem: String,
    },
    /// An argument of a call is wrong.
    Argument {
        /// The argument, or the key in it: `claims.sub`.
        name: String,
        /// What is wrong, and how to fix it.
        problem: String,
    },
    /// No connection could be made: refused, unknown host, wrong password, TLS, ...
    Connect(String),
    /// The database answered the query with an error: missing table, no permission to read, ...
    Query(String),
    /// A step took longer than its limit.
    Timeout { step: &'static str, limit: Duration },
    /// `limit` calls are waiting already.
    Overload { limit: usize },
    /// The server cancelled the query, because of its own time limit or at the request of another client.
    Cancelled(String),
    /// The database takes no writes: it is a standby, or read-only.
    ReadOnly(String),
    /// The answer to a write was lost, so it is not known whether it took effect.
    OutcomeUnknown(String),
    /// The user has as many sessions as may be.
    TooManySessions { max: u32 },
    /// `close()` was called.
    Closed,
    /// A bug in this package.
    Internal(String),
}

impl Error {
    pub fn config(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { name: name.into(), problem: problem.into() }
    }

    pub fn argument(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Argument { name: name.into(), problem: problem.into() }
    }

    /// The `code` of the JavaScript error; listed in docs/errors.md.
    pub fn code(&self) -> &'static str {
        self.outcome().name()
    }

    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Config { .. } => Outcome::Config,
            Self::Argument { .. } => Outcome::Argument,
            Self::Connect(_) | Self::Query(_) => Outcome::Database,
            Self::Timeout { .. } | Self::Overload { .. } | Self::Cancelled(_) => Outcome::Timeout,
            Self::ReadOnly(_) => Outcome::ReadOnly,
            Self::OutcomeUnknown(_) => Outcome::OutcomeUnknown,
            Self::TooManySessions { .. } => Outcome::TooManySessions,
            Self::Closed => Outcome::Closed,
            Self::Internal(_) => Outcome::Internal,
        }
    }

    /// Whether the database could not answer, while the configuration is valid.
    pub fn is_outage(&self) -> bool {
        matches!(self.outcome(), Outcome::Database | Outcome::Timeout)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { name, problem } | Self::Argument { name, problem } => write!(f, "{name}: {problem}"),
            Self::Connect(cause) => write!(f, "cannot connect to the database: {cause}"),
            Self::Query(cause) => write!(f, "the database refused the query: {cause}"),
            Self::Timeout { step, limit } => {
                write!(f, "{step} took longer than {} ms", limit.as_millis())
            }
            Self::Overload { limit } => {
                write!(f, "{limit} calls are waiting for the database already, which is the limit (maxWaiting)")
            }
            Self::Cancelled(cause) => write!(f, "the database cancelled the query: {cause}"),
            Self::ReadOnly(cause) => {
                write!(f, "the database takes no writes; let databaseUrl lead to the primary: {cause}")
            }
            Self::OutcomeUnknown(cause) => {
                write!(
                    f,
                    "the answer of the database was lost, so it is not known whether the write took effect: {cause}"
                )
            }
            Self::TooManySessions { max } => write!(f, "the user has {max} sessions, which is the limit (maxSessions)"),
            Self::Closed => f.write_str("this AuthBridge is closed"),
            Self::Internal(cause) => write!(f, "internal error, please report it: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

/// As an object of its code and its message.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("Error", 2)?;
        error.serialize_field("code", self.code())?;
        error.serialize_field("message", &self.to_string())?;
        error.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_messages() {
        for (error, code, message) in [
            (Error::config("cookieName", "is wrong"), "ERR_AUTH_BRIDGE_CONFIG", "cookieName: is wrong"),
            (Error::argument("claims.sub", "is wrong"), "ERR_AUTH_BRIDGE_ARGUMENT", "claims.sub: is wrong"),
            (
                Error::Connect("refused".to_owned()),
                "ERR_AUTH_BRIDGE_DATABASE",
                "cannot connect to the database: refused",
            ),
            (
                Error::Query("no table".to_owned()),
                "ERR_AUTH_BRIDGE_DATABASE",
                "the database refused the query: no table",
            ),
            (
                Error::Timeout { step: "connecting", limit: Duration::from_secs(5) },
                "ERR_AUTH_BRIDGE_TIMEOUT",
                "connecting took longer than 5000 ms",
            ),
            (
                Error::Overload { limit: 10 },
                "ERR_AUTH_BRIDGE_TIMEOUT",
                "10 calls are waiting for the database already, which is the limit (maxWaiting)",
            ),
            (
                Error::Cancelled("statement timeout".to_owned()),
                "ERR_AUTH_BRIDGE_TIMEOUT",
                "the database cancelled the query: statement timeout",
            ),
            (Error::Closed, "ERR_AUTH_BRIDGE_CLOSED", "this AuthBridge is closed"),
            (Error::Internal("bug".to_owned()), "ERR_AUTH_BRIDGE_INTERNAL", "internal error, please report it: bug"),
        ] {
            assert_eq!((error.code(), error.to_string().as_str()), (code, message));
        }
    }
}
