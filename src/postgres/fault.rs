//! What a lookup can fail with: which faults are worth a second try, and what the caller is told.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::time::Duration;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::Error;

/// Why a query on a connection has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server or the connection says why.
    Query(tokio_postgres::Error),
    /// A row that was not asked for.
    UnaskedRow,
    /// No row where there is always one.
    MissingRow,
    /// A column of a type that stands on another, which stands on another, and so on.
    EndlessType,
    /// It did not end in time.
    Timeout,
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Query(error)
    }
}

impl Fault {
    /// Whether the connection, not the query, was the trouble: ended by the server or the network,
    /// or its prepared statement is gone or outdated. Then the query, which only reads, may be asked
    /// once more.
    pub(super) fn is_stale_connection(&self) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        error.as_db_error().is_none_or(|answer| {
            is_end(answer) || class(answer) == CONNECTION_EXCEPTION || WORTH_A_RETRY.contains(answer.code())
        })
    }

    /// Whether a standby ended the query for what came from its primary: the connection is as good as
    /// before.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Query(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE))
    }

    /// Whether nothing can be asked on this connection any more.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::Query(error) => error.as_db_error().is_none_or(is_end),
            Self::UnaskedRow | Self::MissingRow | Self::EndlessType | Self::Timeout => true,
        }
    }

    /// Whether it can come from one row of many, so that the others are worth asking for alone.
    pub(super) fn may_be_of_one_row(&self) -> bool {
        match self {
            Self::Query(error) => {
                error.as_db_error().is_some_and(|answer| !is_end(answer) && OF_ONE_ROW.contains(&class(answer)))
            }
            Self::UnaskedRow => true,
            Self::MissingRow | Self::EndlessType | Self::Timeout => false,
        }
    }

    /// `address` is where the database should be, `limit` what a query may take.
    pub(super) fn into_error(self, address: &str, limit: Duration, prepared_statements: bool) -> Error {
        match self {
            Self::Query(cause) => match cause.as_db_error() {
                Some(answer) if answer.code() == &SqlState::QUERY_CANCELED => Error::Cancelled(describe(&cause)),
                Some(_) => Error::Query(with_advice(describe(&cause), &cause, prepared_statements)),
                None => Error::Connect(format!("{address}: {}", describe(&cause))),
            },
            Self::UnaskedRow => Error::Query(NO_KEY.to_owned()),
            Self::MissingRow => Error::Query("no row where there is always one".to_owned()),
            Self::EndlessType => Error::Query("the type of a column stands on too many others".to_owned()),
            Self::Timeout => Error::Timeout { step: "the session query", limit },
        }
    }
}

/// Classes of SQLSTATEs (PostgreSQL documentation, appendix A). Poolers and distributed databases
/// answer with the first, too.
const CONNECTION_EXCEPTION: &str = "08";
const PROTOCOL_VIOLATION: &str = "08P01";
const SQLSTATE_LENGTH: usize = 5;
/// Cardinality violation, data exception, external routine exceptions, system error, an error that a
/// function raised, internal error.
const OF_ONE_ROW: [&str; 7] = ["21", "22", "38", "39", "58", "P0", "XX"];
/// The prepared statement is gone, is another one, or the tables have changed under it; a standby had
/// to end the query for what came from its primary.
const WORTH_A_RETRY: [SqlState; 4] = [
    SqlState::INVALID_SQL_STATEMENT_NAME,
    SqlState::DUPLICATE_PSTATEMENT,
    SqlState::FEATURE_NOT_SUPPORTED,
    SqlState::T_R_SERIALIZATION_FAILURE,
];
/// More rows than sessions were asked for.
pub(super) const NO_KEY: &str = "more than one row for a session; sessions and users need the keys of schema.sql";
/// What prepared statements, or our own settings, look like behind a pooler that shares connections.
pub const POOLER_ADVICE: &str = "; behind a pooler in transaction mode, such as PgBouncer, set the option \
                             preparedStatements: false, or pgbouncer=true in the URL";

fn class(answer: &DbError) -> &str {
    answer.code().code().get(..2).unwrap_or_default()
}

/// Whether the server ends the connection with this answer. Poolers leave out the severity that is
/// the same in every language.
fn is_end(answer: &DbError) -> bool {
    match answer.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => matches!(answer.severity(), "FATAL" | "PANIC"),
    }
}

/// The server doesn't take this user, with this password, for this database.
pub(super) fn is_refused_login(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|answer| class(answer) == "28")
}

/// Whether the server could take a connection in the other TLS mode: the handshake failed, or its
/// `pg_hba.conf` has no line for this one.
pub(super) fn is_refused_without_tls(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(answer) => answer.code() == &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        None => error.source().is_some_and(|cause| !cause.is::<std::io::Error>()),
    }
}

/// What to do about it, where that can be told.
pub(super) fn with_advice(description: String, error: &tokio_postgres::Error, prepared_statements: bool) -> String {
    let is_of_pooler = |answer: &DbError| {
        let code = answer.code().code();
        code == PROTOCOL_VIOLATION
            || answer.code() == &SqlState::INVALID_SQL_STATEMENT_NAME
            || answer.code() == &SqlState::DUPLICATE_PSTATEMENT
            // RDS Proxy's word for settings that it doesn't hand on.
            || (is_end(answer) && answer.code() == &SqlState::FEATURE_NOT_SUPPORTED)
    };
    if prepared_statements && error.as_db_error().is_some_and(is_of_pooler) {
        return description + POOLER_ADVICE;
    }
    description
}

/// The server's own words and its SQLSTATE, without the detail, which can quote data; else the
/// chain of causes.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        let code: String = answer.code().code().chars().take(SQLSTATE_LENGTH).collect();
        return format!("{} (SQLSTATE {})", on_one_line(answer.message()), on_one_line(&code));
    }
    let first: &(dyn StdError + 'static) = error;
    let causes = std::iter::successors(Some(first), |error| StdError::source(*error));
    on_one_line(&causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

/// What a server says ends up in logs, where it must not look like an entry of its own, or fill them.
pub(super) fn on_one_line(text: &str) -> String {
    const MOST: usize = 500;
    let line = text.chars().map(|character| if is_of_layout(character) { ' ' } else { character });
    line.take(MOST).collect()
}

/// Ends a line, or turns the direction of what follows, where it is shown: Unicode's control characters, separators of
/// lines and paragraphs, and `Bidi_Control`.
fn is_of_layout(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_words_are_one_line_of_bounded_length() {
        assert_eq!(on_one_line("the table\r\n\u{1b}[31mis missing\u{85}"), "the table   [31mis missing ");
        assert_eq!(on_one_line(&"é".repeat(10_000)), "é".repeat(500));
        assert_eq!(on_one_line("a\u{2028}b\u{2029}c\u{202e}d\u{2066}e\u{61c}f\u{200f}g"), "a b c d e f g");
    }
}
