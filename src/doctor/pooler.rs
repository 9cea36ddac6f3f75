//! Whether there is a pooler such as PgBouncer between the client and the server, and whether prepared statements work with
//! it.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::check::Check;
use crate::error::Error;
use crate::postgres::{ExaminedDatabase, Examiner, POOLER_ADVICE, StepResult, TargetFacts};

pub(super) const ID: &str = "pooler";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pooler {
    None,
    /// Session mode: a client keeps its backend until it disconnects.
    Session,
    /// Transaction mode: a client keeps its backend until its transaction ends.
    Transaction,
}

/// The backend (server process) that serves a client. Times are in seconds since 1970, by the server's clock.
#[derive(Clone, Copy)]
pub(super) struct Backend {
    pid: i32,
    started_at: f64,
    /// When this was queried.
    queried_at: f64,
    /// When the server was started, which tells servers apart.
    server_started_at: f64,
}

/// `earlier` is the backend of a client that has disconnected. `None` if the server doesn't show its backends.
pub(super) async fn query(
    database: &ExaminedDatabase,
    second: &Examiner<'_>,
    earlier: StepResult<Backend>,
) -> Option<Pooler> {
    let earlier = earlier.ok()?;
    let current = backend(second).await.ok()?;
    if !current.existed_before_its_client(&earlier) {
        return Some(Pooler::None);
    }
    // Both clients are connected now: in session mode each has its own backend.
    let third = database.connect().await.ok()?;
    let other = backend(&third).await.ok()?;
    Some(if other.is_same_process(&current) { Pooler::Transaction } else { Pooler::Session })
}

/// Fails if the server doesn't show its backends.
pub(super) async fn backend(examiner: &Examiner<'_>) -> StepResult<Backend> {
    const SQL: &str = "\
SELECT pg_catalog.pg_backend_pid(),
       (SELECT extract(epoch FROM backend_start)::pg_catalog.float8
        FROM pg_catalog.pg_stat_activity
        WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()),
       extract(epoch FROM pg_catalog.now())::pg_catalog.float8,
       extract(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.float8";
    examiner
        .row("a query", SQL, &[], |row| {
            Ok(Backend {
                pid: row.try_get(0)?,
                started_at: row.try_get(1)?,
                queried_at: row.try_get(2)?,
                server_started_at: row.try_get(3)?,
            })
        })
        .await
}

impl Backend {
    /// Whether the backend existed before its client, which connected after `earlier` was queried.
    fn existed_before_its_client(&self, earlier: &Self) -> bool {
        self.server_started_at == earlier.server_started_at && self.started_at < earlier.queried_at
    }

    fn is_same_process(&self, other: &Self) -> bool {
        (self.pid, self.started_at) == (other.pid, other.started_at)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    mode: Pooler,
    prepared_statements: bool,
}

pub(super) fn judge(pooler: Option<Pooler>, target: &TargetFacts) -> Check {
    const SHARING: &str = "one that shares connections, as PgBouncer does in transaction mode";
    let Some(mode) = pooler else {
        return Check::skipped(ID, "could not be detected");
    };
    let prepared_statements = target.prepared_statements;
    let check = match mode {
        Pooler::None => Check::ok(ID, "none"),
        Pooler::Session => Check::ok(ID, "one that gives each client a connection of its own"),
        Pooler::Transaction if prepared_statements => Check::warning(
            ID,
            format!("{SHARING}; but statements are prepared, and the next query may not find them"),
            "Set pgbouncer=true in the URL, or the option preparedStatements: false.",
        ),
        Pooler::Transaction => Check::ok(ID, format!("{SHARING}; statements are not prepared")),
    };
    check.with_details(&Details { mode, prepared_statements })
}

/// Splits the message of an error that a pooler caused into message and advice.
pub(super) fn advice_in(error: &Error) -> Option<(String, String)> {
    let text = error.to_string();
    let advice = POOLER_ADVICE.trim_start_matches("; behind");
    text.contains(POOLER_ADVICE).then(|| (text.replace(POOLER_ADVICE, ""), format!("Behind{advice}.")))
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::super::tests::target;
    use super::*;

    #[test]
    fn a_backend_that_is_older_than_its_client_was_reused() {
        let earlier = Backend { pid: 1, started_at: 10.0, queried_at: 11.0, server_started_at: 1.0 };
        for (case, backend, expected) in [
            ("the same backend", Backend { queried_at: 12.0, ..earlier }, true),
            ("another backend of the pooler", Backend { pid: 2, started_at: 5.0, queried_at: 12.0, ..earlier }, true),
            ("a new backend", Backend { pid: 2, started_at: 11.5, queried_at: 12.0, ..earlier }, false),
            (
                "a backend of another server",
                Backend { pid: 2, started_at: 5.0, queried_at: 12.0, server_started_at: 2.0 },
                false,
            ),
        ] {
            assert_eq!(backend.existed_before_its_client(&earlier), expected, "{case}");
        }
    }

    #[test]
    fn prepared_statements_are_warned_of_in_transaction_mode() {
        for (pooler, prepared_statements, status) in [
            (None, true, Status::Skipped),
            (Some(Pooler::None), true, Status::Ok),
            (Some(Pooler::Session), true, Status::Ok),
            (Some(Pooler::Transaction), true, Status::Warning),
            (Some(Pooler::Transaction), false, Status::Ok),
        ] {
            let check = judge(pooler, &TargetFacts { prepared_statements, ..target() });
            assert_eq!(check.status, status, "{pooler:?} {prepared_statements}");
        }
    }

    #[test]
    fn the_advice_is_split_from_the_message() {
        let (message, advice) = advice_in(&Error::Query(format!("gone{POOLER_ADVICE}"))).expect("is of a pooler");
        assert_eq!(message, "the database refused the query: gone");
        assert!(advice.starts_with("Behind a pooler in transaction mode, such as PgBouncer, set "), "{advice}");
        assert_eq!(advice_in(&Error::Query("gone".to_owned())), None);
    }
}
