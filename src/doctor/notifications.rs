//! With the option `listen`: whether notifications come through, and whether the tables send any.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::catalog::{Catalog, STEP, TableFacts};
use super::check::{Check, remark};
use crate::postgres::{ExaminedDatabase, Examiner, Parameter, StepResult, TargetFacts};
use crate::schema::{EXPIRES_AT, Role, Table, UserCheck};

pub(super) const ID: &str = "notifications";

/// From this share of the server's queue on, which fails writes when it is full.
const FULL: f64 = 0.1;

pub(super) struct Notifications {
    trial: Result<(), String>,
    /// Which share of the queue is used.
    queue: StepResult<f64>,
    triggers: StepResult<Vec<Trigger>>,
}

/// The triggers of a table that tell of updates and deletions.
#[derive(Clone, PartialEq, Serialize)]
struct Trigger {
    /// Of the table, with its PostgreSQL schema.
    table: String,
    /// As `authjs_bridge.watch` got them: kind, column of the id, columns that count. Empty if the app has made its own.
    arguments: Vec<String>,
}

/// `None` if nobody listens.
pub(super) async fn query(database: &ExaminedDatabase, examiner: &Examiner<'_>) -> Option<Notifications> {
    const QUEUE: &str = "SELECT pg_catalog.pg_notification_queue_usage()";
    // The bits of `tgtype` are those of `pg_trigger.h`: 8 for DELETE, 16 for UPDATE. In `tgargs` a NUL ends each argument.
    const TRIGGERS: &str = "\
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, pg_catalog.encode(t.tgargs, 'escape')
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE pg_catalog.strpos(p.prosrc, 'authjs_bridge') OPERATOR(pg_catalog.>) 0
  AND t.tgenabled::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog.text[])
GROUP BY 1, 2, 3
HAVING pg_catalog.bit_or(t.tgtype OPERATOR(pg_catalog.&) 24::pg_catalog.int2) OPERATOR(pg_catalog.=) 24::pg_catalog.int2
ORDER BY 1, 2, 3";
    Some(Notifications {
        trial: database.try_notifications().await?,
        queue: examiner.row(STEP, QUEUE, &[], |row| row.try_get(0)).await,
        triggers: examiner
            .rows(STEP, TRIGGERS, &[] as &[Parameter<'_>], |row| {
                let [schema, name, arguments]: [&str; 3] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
                let arguments = arguments.split_terminator("\\000").map(str::to_owned).collect();
                Ok(Trigger { table: format!("{schema}.{name}"), arguments })
            })
            .await,
    })
}

#[derive(Serialize)]
struct Details<'n> {
    triggers: &'n [Trigger],
    queue: f64,
}

pub(super) fn judge(
    Notifications { trial, queue, triggers }: &Notifications,
    catalog: &Catalog,
    target: &TargetFacts,
) -> Check {
    if let Err(problem) = trial {
        let advice = "Until then what others end counts after maxStaleness.";
        return Check::failed(ID, format!("none come through: {problem}"), advice);
    }
    let (queue, triggers) = match (queue, triggers) {
        (Ok(queue), Ok(triggers)) => (*queue, triggers),
        (Err(error), _) | (_, Err(error)) => return Check::from_step_error(ID, error),
    };
    let watches: Vec<_> = catalog.found().map(|(table, found)| Watch::new(table, found, catalog, target)).collect();
    let problems: Vec<_> = watches.iter().filter_map(|watch| Some((watch, watch.problem(triggers)?))).collect();
    let check = if !problems.is_empty() {
        let (calls, problems): (Vec<_>, Vec<_>) =
            problems.into_iter().map(|(watch, problem)| (watch.call(), problem)).unzip();
        let advice = [remark("After the functions that `npx authjs-bridge schema --notify` prints:")];
        let advice = advice.into_iter().chain(calls).collect::<Vec<_>>().join("\n");
        Check::warning(ID, format!("they come through, but {}", problems.join("; ")), advice)
    } else if queue >= FULL {
        let message = format!("they come through, but {} % of the server's queue is used", (queue * 100.0).round());
        let advice = "\
            Find the client that listens in a transaction which doesn't end: see pg_stat_activity. When the queue is full, \
            sessions can't be ended.";
        Check::warning(ID, message, advice)
    } else {
        let mut tables: Vec<_> = triggers.iter().map(|trigger| trigger.table.as_str()).collect();
        tables.dedup();
        Check::ok(ID, format!("come through, and are sent by {}", tables.join(", ")))
    };
    check.with_details(&Details { triggers, queue })
}

/// What is to be watched of a table.
struct Watch<'c> {
    table: &'c Table,
    found: &'c TableFacts,
    kind: &'static str,
    id: &'static str,
    columns: Vec<&'c str>,
}

impl<'c> Watch<'c> {
    fn new(table: &'c Table, found: &'c TableFacts, catalog: &Catalog, target: &'c TargetFacts) -> Self {
        if table.key.last() != catalog.users.table.key.last() {
            let ends = |role: Role, name: &str| role == Role::Time && name != EXPIRES_AT || name == "user_id";
            let columns = table.columns.iter().filter(|column| ends(column.role, &column.name));
            let columns = columns.map(|column| &*column.name).collect();
            return Self { table, found, kind: "sessions", id: "session_id", columns };
        }
        let configured = &target.configured;
        let of_check = (configured.user_check == UserCheck::Type).then_some("user_type");
        let fresh = configured.fresh_claims.iter().map(|claim| claim.name.as_str());
        let mut columns: Vec<_> = of_check.into_iter().chain(fresh).collect();
        // One is needed: deletions count in any case.
        columns.extend(columns.is_empty().then_some("user_id"));
        Self { table, found, kind: "users", id: "user_id", columns }
    }

    fn problem(&self, triggers: &[Trigger]) -> Option<String> {
        let name = self.found.full_name(self.table);
        let mut names = self.found.behind.iter().map(|behind| &behind.name).chain([&name]);
        let is_watched = |name: &String| triggers.iter().any(|trigger| trigger.table == *name);
        if !names.any(is_watched) {
            return Some(format!("no trigger of {name} sends any"));
        }
        // What counts of the tables behind a view is not known, nor what triggers of the app do.
        let own: Vec<_> = triggers.iter().filter(|trigger| trigger.table == name).collect();
        if !self.found.kind.is_table() || own.iter().any(|trigger| trigger.arguments.is_empty()) {
            return None;
        }
        let counts = |column: &&&str| {
            own.iter().any(|trigger| match &trigger.arguments[..] {
                [kind, id, columns @ ..] => {
                    kind == self.kind && id == self.id && columns.iter().any(|own| own == **column)
                }
                _ => false,
            })
        };
        let ignored: Vec<_> = self.columns.iter().filter(|column| !counts(column)).copied().collect();
        (!ignored.is_empty()).then(|| format!("no trigger of {name} tells of a change of {}", ignored.join(", ")))
    }

    /// The line of `schema/notify.sql`.
    fn call(&self) -> String {
        let Self { table, found, kind, id, columns } = self;
        if !found.kind.is_table() {
            let view = found.full_name(table);
            return remark(&format!("a line for {}, with all columns that the view {view} uses", found.names_behind()));
        }
        let name = found.sql_name(table);
        let arguments = [name.as_str(), kind, id].into_iter().chain(columns.iter().copied());
        let literals: Vec<_> = arguments.map(|argument| format!("'{}'", argument.replace('\'', "''"))).collect();
        format!("SELECT authjs_bridge.watch({});", literals.join(", "))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::catalog::Kind;
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::super::tests::target;
    use super::*;
    use crate::postgres::StepError;

    fn trigger(table: &str, arguments: &[&str]) -> Trigger {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Trigger { table: table.to_owned(), arguments }
    }

    /// They come through, and no table sends any.
    pub(in super::super) fn unwatched() -> Notifications {
        notifications(&[], 0.0)
    }

    fn of_sessions() -> Trigger {
        trigger("public.sessions", &["sessions", "session_id", "user_id", "revoked_at"])
    }

    fn of_users() -> Trigger {
        trigger("public.users", &["users", "user_id", "user_type", "email"])
    }

    fn notifications(triggers: &[Trigger], queue: f64) -> Notifications {
        Notifications { trial: Ok(()), queue: Ok(queue), triggers: Ok(triggers.to_vec()) }
    }

    #[test]
    fn what_keeps_notifications_away() {
        let both = &[of_sessions(), of_users()];
        let unheard = Notifications { trial: Err("refused".to_owned()), ..notifications(both, 0.0) };
        let lost = Notifications { queue: Err(StepError::ConnectionLost), ..notifications(both, 0.0) };
        let own = trigger("public.sessions", &[]);
        let other = trigger("public.sessions", &["sessions", "session_id", "user_id"]);
        let by_other_id = trigger("public.users", &["users", "email", "user_type"]);
        let [ok, warning, failed, skipped] = [Status::Ok, Status::Warning, Status::Failed, Status::Skipped];
        for (found, status, message) in [
            (notifications(both, 0.0), ok, "come through, and are sent by public.sessions, public.users"),
            (notifications(&[own, of_users()], 0.0), ok, "come through, and are sent by public.sessions, public.users"),
            (notifications(both, 0.25), warning, "they come through, but 25 % of the server's queue is used"),
            (
                notifications(&[of_users()], 0.25),
                warning,
                "they come through, but no trigger of public.sessions sends any",
            ),
            (
                notifications(&[other, by_other_id], 0.0),
                warning,
                "they come through, but no trigger of public.sessions tells of a change of revoked_at; no trigger of \
                 public.users tells of a change of user_type",
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
        let behind = trigger("app.people", &["users", "id", "kind"]);
        let watched = judge(&notifications(&[of_sessions(), behind], 0.0), &catalog, &target());
        assert_eq!(watched.status, Status::Ok);
        let unwatched = judge(&notifications(&[of_sessions()], 0.0), &catalog, &target());
        let line = "-- a line for app.people, with all columns that the view public.users uses";
        assert!(unwatched.advice.is_some_and(|advice| advice.ends_with(line)));
    }
}
