//! Whether a pooler such as PgBouncer is between the client and the server, and whether prepared statements outlive it.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::check::Check;
use crate::error::Error;
use crate::postgres::{Answer, ExaminedDatabase, Examiner, POOLER_ADVICE, TargetFacts};

pub(super) const ID: &str = "pooler";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pooler {
    None,
    /// A process of the server is one client's until that leaves.
    Session,
    /// It is one client's until its transaction ends.
    Transaction,
}

/// The process of the server that a client came to, and when. Times are in seconds since 1970, by the server's clock.
#[derive(Clone, Copy)]
pub(super) struct Visit {
    process: i32,
    /// When the process began.
    began: f64,
    now: f64,
    /// When the server began, which tells servers apart.
    server_began: f64,
}

/// `earlier` is the visit of a client that has left. `None` where the server doesn't tell.
pub(super) async fn ask(database: &ExaminedDatabase, second: &Examiner<'_>, earlier: Answer<Visit>) -> Option<Pooler> {
    let earlier = earlier.ok()?;
    let visit = visit(second).await.ok()?;
    if !visit.was_there_before(&earlier) {
        return Some(Pooler::None);
    }
    // Both clients are still there: in session mode each has a process of its own.
    let third = database.connect().await.ok()?;
    let other = self::visit(&third).await.ok()?;
    Some(if other.is_process_of(&visit) { Pooler::Transaction } else { Pooler::Session })
}

/// Fails where the server shows no activity.
pub(super) async fn visit(examiner: &Examiner<'_>) -> Answer<Visit> {
    const SQL: &str = "\
SELECT pg_catalog.pg_backend_pid(),
       (SELECT extract(epoch FROM backend_start)::float8
        FROM pg_catalog.pg_stat_activity
        WHERE pid = pg_catalog.pg_backend_pid()),
       extract(epoch FROM pg_catalog.now())::float8,
       extract(epoch FROM pg_catalog.pg_postmaster_start_time())::float8";
    examiner
        .row("a query", SQL, &[], |row| {
            Ok(Visit {
                process: row.try_get(0)?,
                began: row.try_get(1)?,
                now: row.try_get(2)?,
                server_began: row.try_get(3)?,
            })
        })
        .await
}

impl Visit {
    /// Whether this client's process was there before the client, which came after `earlier`.
    fn was_there_before(&self, earlier: &Self) -> bool {
        self.server_began == earlier.server_began && self.began < earlier.now
    }

    fn is_process_of(&self, other: &Self) -> bool {
        (self.process, self.began) == (other.process, other.began)
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
        return Check::skipped(ID, "the server does not tell");
    };
    let prepared_statements = target.prepared_statements;
    let check = match mode {
        Pooler::None => Check::ok(ID, "none"),
        Pooler::Session => Check::ok(ID, "one that gives each client a connection of its own"),
        Pooler::Transaction if prepared_statements => Check::warning(
            ID,
            format!("{SHARING}; but statements are prepared, and may be gone at the next query"),
            "Set pgbouncer=true in the URL, or the option preparedStatements: false.",
        ),
        Pooler::Transaction => Check::ok(ID, format!("{SHARING}; statements are not prepared")),
    };
    check.with_details(&Details { mode, prepared_statements })
}

/// The message of an error that comes from a pooler, and the advice that stands in it.
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
    fn a_process_that_was_there_before_its_client() {
        let earlier = Visit { process: 1, began: 10.0, now: 11.0, server_began: 1.0 };
        for (case, visit, expected) in [
            ("the same process", Visit { now: 12.0, ..earlier }, true),
            ("another one of the pooler's", Visit { process: 2, began: 5.0, now: 12.0, ..earlier }, true),
            ("one of its own", Visit { process: 2, began: 11.5, now: 12.0, ..earlier }, false),
            ("of another server", Visit { process: 2, began: 5.0, now: 12.0, server_began: 2.0 }, false),
        ] {
            assert_eq!(visit.was_there_before(&earlier), expected, "{case}");
        }
    }

    #[test]
    fn statements_get_lost_where_connections_are_shared() {
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
    fn what_an_error_advises_itself() {
        let (message, advice) = advice_in(&Error::Query(format!("gone{POOLER_ADVICE}"))).expect("is of a pooler");
        assert_eq!(message, "the database refused the session query: gone");
        assert!(advice.starts_with("Behind a pooler in transaction mode, such as PgBouncer, set "), "{advice}");
        assert_eq!(advice_in(&Error::Query("gone".to_owned())), None);
    }
}
