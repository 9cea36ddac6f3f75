//! With the option `listen`: whether notifications come through, and whether the tables send any.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::catalog::{Catalog, STEP, TableFacts};
use super::check::{Check, remark};
use crate::postgres::{ExaminedDatabase, Examiner, Parameter, StepResult, TargetFacts};
use crate::schema::{Role, Table, UserCheck};

pub(super) const ID: &str = "notifications";

/// From this share of the server's queue on, which fails writes when it is full.
const FULL: f64 = 0.1;

pub(super) struct Notifications {
    trial: Result<(), String>,
    /// Which share of the queue is used.
    queue: StepResult<f64>,
    /// The tables with triggers that tell of updates and deletions.
    watched: StepResult<Vec<String>>,
}

/// `None` if nobody listens.
pub(super) async fn query(database: &ExaminedDatabase, examiner: &Examiner<'_>) -> Option<Notifications> {
    const QUEUE: &str = "SELECT pg_catalog.pg_notification_queue_usage()";
    // The bits of `tgtype` are those of `pg_trigger.h`: 8 for DELETE, 16 for UPDATE.
    const WATCHED: &str = "\
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE p.prosrc OPERATOR(pg_catalog.~*) 'notify.*authjs_bridge'
  AND t.tgenabled::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog.text[])
GROUP BY 1, 2
HAVING pg_catalog.bit_or(t.tgtype OPERATOR(pg_catalog.&) 24::pg_catalog.int2) OPERATOR(pg_catalog.=) 24::pg_catalog.int2
ORDER BY 1, 2";
    Some(Notifications {
        trial: database.try_notifications().await?,
        queue: examiner.row(STEP, QUEUE, &[], |row| row.try_get(0)).await,
        watched: examiner
            .rows(STEP, WATCHED, &[] as &[Parameter<'_>], |row| {
                let [schema, name]: [&str; 2] = [row.try_get(0)?, row.try_get(1)?];
                Ok(format!("{schema}.{name}"))
            })
            .await,
    })
}

#[derive(Serialize)]
struct Details<'n> {
    watched: &'n [String],
    queue: f64,
}

pub(super) fn judge(
    Notifications { trial, queue, watched }: &Notifications,
    catalog: &Catalog,
    target: &TargetFacts,
) -> Check {
    if let Err(problem) = trial {
        let advice = "Until then what others end counts after maxStaleness.";
        return Check::failed(ID, format!("none come through: {problem}"), advice);
    }
    let (queue, watched) = match (queue, watched) {
        (Ok(queue), Ok(watched)) => (*queue, watched),
        (Err(error), _) | (_, Err(error)) => return Check::from_step_error(ID, error),
    };
    let unwatched: Vec<_> = catalog.found().filter(|(table, found)| !is_watched(table, found, watched)).collect();
    let check = if !unwatched.is_empty() {
        let names = unwatched.iter().map(|(table, found)| found.full_name(table)).collect::<Vec<_>>().join(", ");
        let calls = unwatched.iter().map(|(table, found)| call(table, found, catalog, target));
        let advice = [remark("After the functions that `npx authjs-bridge schema --notify` prints:")].into_iter();
        let advice = advice.chain(calls).collect::<Vec<_>>().join("\n");
        Check::warning(ID, format!("they come through, but no trigger of {names} sends any"), advice)
    } else if queue >= FULL {
        let message = format!("they come through, but {} % of the server's queue is used", (queue * 100.0).round());
        let advice = "\
            Find the client that listens in a transaction which doesn't end: see pg_stat_activity. When the queue is full, \
            sessions can't be ended.";
        Check::warning(ID, message, advice)
    } else {
        Check::ok(ID, format!("come through, and are sent by {}", watched.join(", ")))
    };
    check.with_details(&Details { watched, queue })
}

fn is_watched(table: &Table, found: &TableFacts, watched: &[String]) -> bool {
    let mut names = found.behind.iter().map(|behind| behind.name.clone()).chain([found.full_name(table)]);
    names.any(|name| watched.contains(&name))
}

/// The line of `schema/notify.sql` for a table.
fn call(table: &Table, found: &TableFacts, catalog: &Catalog, target: &TargetFacts) -> String {
    if !found.kind.is_table() {
        let names = found.names_behind();
        return remark(&format!("a line for {names}, with its columns behind {}", found.full_name(table)));
    }
    let is_users = table.key.last() == catalog.users.table.key.last();
    let (kind, id) = if is_users { ("users", "user_id") } else { ("sessions", "session_id") };
    let configured = &target.configured;
    let mut columns: Vec<&str> = Vec::new();
    if is_users {
        columns.extend((configured.user_check == UserCheck::Type).then_some("user_type"));
        columns.extend(configured.fresh_claims.iter().map(|claim| claim.name.as_str()));
        // One is needed: deletions count in any case.
        columns.extend(columns.is_empty().then_some(id));
    } else {
        let ends = |role: Role, name: &str| role == Role::Time && name != "expires_at" || name == "user_id";
        columns
            .extend(table.columns.iter().filter(|column| ends(column.role, &column.name)).map(|column| &*column.name));
    }
    let arguments = [found.sql_name(table), kind.to_owned(), id.to_owned()];
    let arguments = arguments.into_iter().chain(columns.into_iter().map(str::to_owned));
    let literals =
        arguments.map(|argument| format!("'{}'", argument.replace('\'', "''"))).collect::<Vec<_>>().join(", ");
    format!("SELECT authjs_bridge.watch({literals});")
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Kind;
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::super::tests::target;
    use super::*;
    use crate::postgres::StepError;

    fn notifications(watched: &[&str], queue: f64) -> Notifications {
        let watched = watched.iter().map(|name| (*name).to_owned()).collect();
        Notifications { trial: Ok(()), queue: Ok(queue), watched: Ok(watched) }
    }

    #[test]
    fn what_keeps_notifications_away() {
        let both = &["public.sessions", "public.users"];
        let unheard = Notifications { trial: Err("refused".to_owned()), ..notifications(both, 0.0) };
        let lost = Notifications { queue: Err(StepError::ConnectionLost), ..notifications(both, 0.0) };
        let [ok, warning, failed, skipped] = [Status::Ok, Status::Warning, Status::Failed, Status::Skipped];
        for (found, status, message) in [
            (notifications(both, 0.0), ok, "come through, and are sent by public.sessions, public.users"),
            (notifications(both, 0.25), warning, "they come through, but 25 % of the server's queue is used"),
            (
                notifications(&["public.users"], 0.25),
                warning,
                "they come through, but no trigger of public.sessions sends any",
            ),
            (unheard, failed, "none come through: refused"),
            (lost, skipped, super::super::check::CONNECTION_LOST),
        ] {
            let check = judge(&found, &healthy(), &target());
            assert_eq!((check.status, check.message.as_str()), (status, message));
        }
    }

    #[test]
    fn a_view_is_watched_by_a_table_behind_it() {
        let mut catalog = healthy();
        let found = catalog.users.found_mut();
        found.kind = Kind::View;
        found.behind = vec![super::super::catalog::Behind { name: "app.people".to_owned(), kind: Kind::Table }];
        let watched = judge(&notifications(&["public.sessions", "app.people"], 0.0), &catalog, &target());
        assert_eq!(watched.status, Status::Ok);
        let unwatched = judge(&notifications(&["public.sessions"], 0.0), &catalog, &target());
        assert!(
            unwatched.advice.is_some_and(
                |advice| advice.ends_with("-- a line for app.people, with its columns behind public.users")
            )
        );
    }
}
