//! What a lookup can fail with: which faults are worth a second try, and what the caller is told.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::time::Duration;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::{Severity, SqlState};

use crate::error::Error;

#[derive(Debug)]
pub(super) enum Fault {
    /// No connection could be had.
    Pool(PoolError),
    /// The query on a connection failed.
    Query(tokio_postgres::Error),
    /// The query on a connection did not end in time.
    QueryTimeout,
}

impl Fault {
    /// Whether the connection, not the query, was the trouble: ended by the server or the network
    /// since its last use, or its prepared statement is gone or outdated.
    pub(super) fn is_stale_connection(&self) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        match error.as_db_error() {
            Some(answer) => {
                let is_end = matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
                let is_exception = answer.code().code().starts_with(CONNECTION_EXCEPTION);
                is_end || is_exception || OUTDATED_STATEMENT.contains(answer.code())
            }
            None => is_disconnect(error),
        }
    }

    /// `address` is where the database should be, `limit` what each step may take.
    pub(super) fn into_error(self, address: &str, limit: Duration) -> Error {
        let timeout = |step| Error::Timeout { step, limit };
        match self {
            Self::Pool(PoolError::Timeout(TimeoutType::Wait)) => timeout("waiting for a free database connection"),
            Self::Pool(PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)) => {
                timeout("connecting to the database")
            }
            Self::Pool(PoolError::Closed) => Error::Closed,
            Self::Pool(PoolError::Backend(cause)) => Error::Connect(format!("{address}: {}", describe(&cause))),
            Self::Pool(cause @ (PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_))) => {
                Error::Internal(format!("connection pool: {cause}"))
            }
            Self::Query(cause) if cause.code() == Some(&SqlState::QUERY_CANCELED) => Error::Cancelled(describe(&cause)),
            Self::Query(cause) if is_disconnect(&cause) => Error::Connect(format!("{address}: {}", describe(&cause))),
            Self::Query(cause) => Error::Query(describe(&cause)),
            Self::QueryTimeout => timeout("the session query"),
        }
    }
}

/// Class 08 of the SQLSTATEs, which poolers answer with, too.
const CONNECTION_EXCEPTION: &str = "08";
/// The prepared statement is gone, or the tables have changed under it.
const OUTDATED_STATEMENT: [SqlState; 2] = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::FEATURE_NOT_SUPPORTED];

fn is_disconnect(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}

/// The server's own words and its SQLSTATE, without the detail, which can quote data; else the
/// chain of causes.
fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", answer.message(), answer.code().code());
    }
    let first: &(dyn StdError + 'static) = error;
    let causes = std::iter::successors(Some(first), |error| StdError::source(*error));
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
