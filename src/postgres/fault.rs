//! Why a query can fail: which faults are retried, and which error the caller gets.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::time::Duration;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::Error;

/// Why a query on a connection failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server reported an error, or the connection failed.
    Query(tokio_postgres::Error),
    /// A row that was not queried.
    UnexpectedRow,
    /// Far more rows than keys.
    TooManyRows,
    /// No row from a query that always returns one.
    MissingRow,
    /// Tables that are not in the search path.
    MissingTables { missing: String, search_path: String },
    /// A column that an option needs.
    MissingColumn { option: &'static str, column: &'static str },
    /// An argument that the tables can't take.
    WrongArgument { name: String, problem: String },
    /// A column of a type that it can't have, and what it must be.
    UnsuitableColumn(String),
    /// A column type that is derived from too many other types.
    TypeTooDeep,
    /// The query took too long.
    Timeout,
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Query(error)
    }
}

impl Fault {
    /// Whether the connection was at fault and not the query: the server or the network closed it, or its prepared
    /// statement is missing or outdated. Then the query may succeed on another connection.
    pub(super) fn is_stale_connection(&self) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        error.as_db_error().is_none_or(|answer| {
            ends_session(answer) || class(answer) == CONNECTION_EXCEPTION || RETRYABLE.contains(answer.code())
        })
    }

    /// Whether a standby cancelled the query because of a recovery conflict (PostgreSQL documentation, section "Handling
    /// Query Conflicts"). The connection is still usable.
    pub(super) fn is_recovery_conflict(&self) -> bool {
        matches!(self, Self::Query(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE))
    }

    /// Whether the connection can't be used any more.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::Query(error) => error.as_db_error().is_none_or(ends_session),
            Self::MissingTables { .. }
            | Self::MissingColumn { .. }
            | Self::WrongArgument { .. }
            | Self::UnsuitableColumn(_) => false,
            Self::UnexpectedRow | Self::TooManyRows | Self::MissingRow | Self::TypeTooDeep | Self::Timeout => true,
        }
    }

    /// Whether one row may have failed the query, so that it can succeed for the other keys.
    pub(super) fn may_be_caused_by_one_row(&self) -> bool {
        match self {
            Self::Query(error) => error
                .as_db_error()
                .is_some_and(|answer| !ends_session(answer) && CAUSED_BY_ONE_ROW.contains(&class(answer))),
            Self::TooManyRows => true,
            Self::UnexpectedRow
            | Self::MissingRow
            | Self::MissingTables { .. }
            | Self::MissingColumn { .. }
            | Self::WrongArgument { .. }
            | Self::UnsuitableColumn(_)
            | Self::TypeTooDeep
            | Self::Timeout => false,
        }
    }

    /// Whether the server undid all that was done, because of what other transactions did meanwhile. Then the same can succeed.
    pub(super) fn is_conflict(&self) -> bool {
        let conflicts = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
        matches!(self, Self::Query(error) if error.code().is_some_and(|code| conflicts.contains(code)))
    }

    /// Whether it is not known what the server did. A pooler, or a distributed database, that can't connect to the server behind it
    /// has sent nothing.
    pub(super) fn is_lost_answer(&self) -> bool {
        let is_of_broken = |answer: &DbError| {
            let unsent = [
                SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                SqlState::SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
            ];
            class(answer) == CONNECTION_EXCEPTION && !unsent.contains(answer.code())
        };
        match self {
            Self::Query(error) => error.as_db_error().is_none_or(|answer| ends_session(answer) || is_of_broken(answer)),
            Self::Timeout => true,
            _ => false,
        }
    }

    /// The error of an INSERT whose values the table refuses: they are the app's.
    pub(super) fn of_values(&self) -> Option<Error> {
        let Self::Query(error) = self else { return None };
        let answer = error.as_db_error()?;
        if answer.code() == &SqlState::NOT_NULL_VIOLATION
            && let Some(column) = answer.column()
        {
            let option = match column {
                "login_method" => "loginMethod".to_owned(),
                "ip_address" => "ipAddress".to_owned(),
                "user_agent" => "userAgent".to_owned(),
                _ => format!("columns.{}", on_one_line(column)),
            };
            return Some(Error::argument(option, "is missing: the table has no default for it"));
        }
        match class(answer) {
            _ if answer.code() == &SqlState::UNDEFINED_COLUMN => Some(Error::argument("columns", describe(error))),
            // A foreign key, a check, a domain. The message names it, and quotes no value.
            INTEGRITY_VIOLATION => Some(Error::argument("options", describe(error))),
            // The message can quote the value.
            DATA_EXCEPTION => {
                let code = on_one_line(answer.code().code());
                let problem = format!("a value doesn't fit the type of its column (SQLSTATE {code})");
                Some(Error::argument("columns", problem))
            }
            _ => None,
        }
    }

    /// The error of an UPDATE that sets the reason why sessions end, if the column refuses it.
    pub(super) fn of_reason(&self) -> Option<Error> {
        let Self::Query(error) = self else { return None };
        let answer = error.as_db_error()?;
        let code = on_one_line(answer.code().code());
        [DATA_EXCEPTION, INTEGRITY_VIOLATION]
            .contains(&class(answer))
            .then(|| Error::argument("reason", format!("doesn't fit the column revoked_reason (SQLSTATE {code})")))
    }

    /// Whether the role lacks a right, or a policy of row-level security forbids the row.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Query(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE))
    }

    /// Whether the other connections are likely to be at fault as well, as after a restart of the server.
    pub(super) fn is_of_connections(&self) -> bool {
        self.is_stale_connection() && !self.is_conflict() && !self.is_changed_table()
    }

    /// Whether a table or its PostgreSQL schema is not where it was, or a column is of another type than before.
    pub(super) fn is_changed_table(&self) -> bool {
        matches!(self, Self::Query(error) if error.code().is_some_and(|code| CHANGED_TABLE.contains(code)))
    }

    /// What the server says if it refused the query as such, whatever the connection and the tables are: it is a standby, the user
    /// lacks a right, a trigger raised an error, ...
    pub(super) fn refusal(&self) -> Option<String> {
        let Self::Query(error) = self else { return None };
        let answer = error.as_db_error()?;
        let is_otherwise_known = self.is_stale_connection() || self.is_changed_table();
        let is_refusal = [SqlState::FEATURE_NOT_SUPPORTED, SqlState::T_R_SERIALIZATION_FAILURE].contains(answer.code());
        (!ends_session(answer) && (is_refusal || !is_otherwise_known)).then(|| describe(error))
    }

    /// What happened, for a write whose answer is lost.
    pub(super) fn of_lost_answer(&self) -> Error {
        Error::OutcomeUnknown(match self {
            Self::Query(error) => describe(error),
            _ => "no answer came within the time limit".to_owned(),
        })
    }

    /// `address` is that of the database, `limit` the time limit of a query.
    pub(super) fn into_error(self, address: &str, limit: Duration, prepared_statements: bool) -> Error {
        match self {
            Self::Query(cause) => match cause.as_db_error() {
                Some(answer) if answer.code() == &SqlState::QUERY_CANCELED => Error::Cancelled(describe(&cause)),
                Some(answer) if answer.code() == &SqlState::READ_ONLY_SQL_TRANSACTION => {
                    Error::ReadOnly(describe(&cause))
                }
                Some(_) => Error::Query(with_pooler_advice(describe(&cause), &cause, prepared_statements)),
                None => Error::Connect(format!("{address}: {}", describe(&cause))),
            },
            Self::UnexpectedRow => Error::Query("a row for a session that was not queried".to_owned()),
            Self::TooManyRows => Error::Query(DUPLICATE_ROW.to_owned()),
            Self::MissingRow => Error::Query("no row from a query that always returns one".to_owned()),
            Self::MissingTables { missing, search_path } => Error::Query(format!(
                "{missing} not found in the search path ({}); if they are in another PostgreSQL schema, set schema=... in \
                 the URL",
                on_one_line(&search_path)
            )),
            Self::MissingColumn { option, column } => {
                Error::config(option, format!("needs the column {column} of the sessions, which there isn't"))
            }
            Self::WrongArgument { name, problem } => Error::Argument { name, problem },
            Self::UnsuitableColumn(problem) => Error::Query(problem),
            Self::TypeTooDeep => Error::Query("the type of a column is derived from too many other types".to_owned()),
            Self::Timeout => Error::Timeout { step: "the session query", limit },
        }
    }
}

/// SQLSTATEs and their classes (PostgreSQL documentation, appendix A). Poolers and distributed databases use class 08
/// as well.
const CONNECTION_EXCEPTION: &str = "08";
const PROTOCOL_VIOLATION: &str = "08P01";
/// Of the protocol violations that are due to settings of the connection, or to prepared statements.
const POOLER_WORDS: [&str; 2] = ["startup parameter", "prepared statement"];
const DATA_EXCEPTION: &str = "22";
const INTEGRITY_VIOLATION: &str = "23";
const SQLSTATE_LENGTH: usize = 5;
/// Cardinality violation, data exception, external routine exceptions, system error, an error that a function raised,
/// internal error.
const CAUSED_BY_ONE_ROW: [&str; 7] = ["21", "22", "38", "39", "58", "P0", "XX"];
/// The prepared statement is missing, is a different one, or the tables have changed since; or a recovery conflict.
const RETRYABLE: [SqlState; 4] = [
    SqlState::INVALID_SQL_STATEMENT_NAME,
    SqlState::DUPLICATE_PSTATEMENT,
    SqlState::FEATURE_NOT_SUPPORTED,
    SqlState::T_R_SERIALIZATION_FAILURE,
];
const CHANGED_TABLE: [SqlState; 7] = [
    SqlState::UNDEFINED_TABLE,
    SqlState::INVALID_SCHEMA_NAME,
    SqlState::UNDEFINED_COLUMN,
    // No operator or cast for the types.
    SqlState::UNDEFINED_FUNCTION,
    SqlState::CANNOT_COERCE,
    SqlState::DATATYPE_MISMATCH,
    // The result of a prepared statement is of other types than before.
    SqlState::FEATURE_NOT_SUPPORTED,
];
pub(super) const DUPLICATE_ROW: &str =
    "more than one row for a session; sessions and users need the primary keys of schema.sql";
/// For errors that prepared statements, or settings of the connection, cause behind a pooler that shares connections.
pub const POOLER_ADVICE: &str = "; behind a pooler in transaction mode, such as PgBouncer, set the option \
                             preparedStatements: false, or pgbouncer=true in the URL";

fn class(answer: &DbError) -> &str {
    answer.code().code().get(..2).unwrap_or_default()
}

/// Whether the server closes the connection after this error. Poolers send only the localized severity.
fn ends_session(answer: &DbError) -> bool {
    match answer.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => matches!(answer.severity(), "FATAL" | "PANIC"),
    }
}

/// Whether the server refused user, password or database.
pub(super) fn is_login_refused(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|answer| class(answer) == "28")
}

/// Whether the server may accept a connection in the other TLS mode: the handshake failed, or `pg_hba.conf` has no line
/// for this mode.
pub(super) fn may_accept_other_tls_mode(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(answer) => answer.code() == &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        None => error.source().is_some_and(|cause| !cause.is::<std::io::Error>()),
    }
}

/// Adds advice to an error that a pooler may have caused.
pub(super) fn with_pooler_advice(
    description: String,
    error: &tokio_postgres::Error,
    prepared_statements: bool,
) -> String {
    let is_of_pooler = |answer: &DbError| {
        // PgBouncer gives this code to most of its errors, so its words decide.
        let is_named = || POOLER_WORDS.iter().any(|words| answer.message().contains(words));
        (answer.code().code() == PROTOCOL_VIOLATION && is_named())
            || answer.code() == &SqlState::INVALID_SQL_STATEMENT_NAME
            || answer.code() == &SqlState::DUPLICATE_PSTATEMENT
            // RDS Proxy refuses settings that it doesn't pass on in this way.
            || (ends_session(answer) && answer.code() == &SqlState::FEATURE_NOT_SUPPORTED)
    };
    if prepared_statements && error.as_db_error().is_some_and(is_of_pooler) {
        return description + POOLER_ADVICE;
    }
    description
}

/// The message of the server and its SQLSTATE, without the detail, which can quote data; or else the chain of causes.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        let code: String = answer.code().code().chars().take(SQLSTATE_LENGTH).collect();
        return format!("{} (SQLSTATE {})", on_one_line(answer.message()), on_one_line(&code));
    }
    let first: &(dyn StdError + 'static) = error;
    let causes = std::iter::successors(Some(first), |error| StdError::source(*error));
    on_one_line(&causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

/// A message of the server is logged, so it must not look like a log entry of its own, nor fill the log.
pub(super) fn on_one_line(text: &str) -> String {
    const MAX_CHARACTERS: usize = 500;
    let line = text.chars().map(|character| if changes_layout(character) { ' ' } else { character });
    line.take(MAX_CHARACTERS).collect()
}

/// Whether a character can end a line or change the direction of text: Unicode's control characters, separators of lines
/// and paragraphs, and `Bidi_Control`.
fn changes_layout(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_server_are_one_line_of_bounded_length() {
        assert_eq!(on_one_line("the table\r\n\u{1b}[31mis missing\u{85}"), "the table   [31mis missing ");
        assert_eq!(on_one_line(&"é".repeat(10_000)), "é".repeat(500));
        assert_eq!(on_one_line("a\u{2028}b\u{2029}c\u{202e}d\u{2066}e\u{61c}f\u{200f}g"), "a b c d e f g");
    }
}
