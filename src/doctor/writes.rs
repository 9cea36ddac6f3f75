//! What the user may do beside reading sessions: list, slide, start, end and delete them. Never fails: which of that an app
//! needs, only the app knows. So it says what would not work, and the statements that allow it.
//!
//! They give the user alone no more than that: rights to columns where PostgreSQL has such rights.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};

use super::catalog::{Catalog, Finding, STEP, TableFacts};
use super::check::{Check, Status, remark};
use super::row_security::ROLE;
use crate::postgres::{Access, Examiner, Located, Parameter, StepResult};
use crate::schema::{Table, quoted, quoted_if_needed};

pub(super) const ID: &str = "writes";

/// What it is called in the message, and the functions that do it.
const ACCESSES: [(Access, &str, &str); 5] = [
    (Access::List, "list", "listSessions"),
    (Access::Slide, "slide", "refreshSession and updateSession, which only read without it"),
    (Access::Create, "start", "createSession (beside these columns, those that the app gives it in columns)"),
    (
        Access::Revoke,
        "end",
        "revokeSession and its like (createSession with maxSessions needs this, beside what is for it and listSessions)",
    ),
    (Access::Delete, "delete", "deleteEndedSessions"),
];

/// The bits of `pg_relation_is_updatable`.
const UPDATE: i32 = 1 << 2;
const INSERT: i32 = 1 << 3;
const DELETE: i32 = 1 << 4;

/// The rights on the table of the sessions.
pub(super) struct WriteRights {
    is_standby: bool,
    is_read_only: bool,
    /// Whether the user needs the rights on the tables behind the view, too.
    invokes_as_user: bool,
    /// What can be done with the relation at all, and what without triggers.
    events: i32,
    events_without_triggers: i32,
    may_delete: bool,
    /// Those that defaults of columns take numbers from, and that the user may not use.
    sequences: Vec<String>,
    columns: HashMap<String, ColumnRights>,
    /// Of the commands that row-level security limits for the user.
    policies: HashMap<String, Policies>,
}

#[derive(Clone, Copy)]
struct ColumnRights {
    may_select: bool,
    may_insert: bool,
    may_update: bool,
    /// Through the view.
    is_settable: bool,
}

#[derive(Clone, Copy)]
struct Policies {
    admit_all: bool,
    restrict: bool,
}

/// `None` if there is no such table.
pub(super) async fn query(examiner: &Examiner<'_>, table: &Table) -> StepResult<Option<WriteRights>> {
    // `CASE`, since the planner may ask for the privilege first, which is an error for what is no sequence.
    const SQL: &str = "\
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on',
       coalesce('security_invoker=true' OPERATOR(pg_catalog.=) ANY (c.reloptions), false)
         OR coalesce('security_invoker=on' OPERATOR(pg_catalog.=) ANY (c.reloptions), false),
       pg_catalog.pg_relation_is_updatable(c.oid, true),
       pg_catalog.pg_relation_is_updatable(c.oid, false),
       pg_catalog.has_table_privilege(c.oid, 'DELETE'),
       pg_catalog.array_to_json(ARRAY(
         SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, s.relname)
         FROM pg_catalog.pg_attrdef a
         JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) a.oid
           AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
           AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
         JOIN pg_catalog.pg_class s ON s.oid OPERATOR(pg_catalog.=) d.refobjid
         JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) s.relnamespace
         WHERE a.adrelid OPERATOR(pg_catalog.=) c.oid
           AND CASE WHEN s.relkind::pg_catalog.text OPERATOR(pg_catalog.=) 'S'
             THEN NOT pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') ELSE false END
       ))::pg_catalog.text,
       c.oid
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) $1 AND c.relname::pg_catalog.text OPERATOR(pg_catalog.=) $2";
    let parameters = [Parameter::Text(table.namespace.as_deref()), Parameter::Text(Some(&table.name))];
    let found = examiner.rows(STEP, SQL, &parameters, |row| {
        let rights = WriteRights {
            is_standby: row.try_get(0)?,
            is_read_only: row.try_get(1)?,
            invokes_as_user: row.try_get(2)?,
            events: row.try_get(3)?,
            events_without_triggers: row.try_get(4)?,
            may_delete: row.try_get(5)?,
            sequences: serde_json::from_str(row.try_get(6)?).unwrap_or_default(),
            columns: HashMap::new(),
            policies: HashMap::new(),
        };
        Ok((row.try_get(7)?, rights))
    });
    let Some((oid, rights)) = found.await?.into_iter().next() else {
        return Ok(None);
    };
    let (columns, policies) = (query_columns(examiner, oid).await?, query_policies(examiner, oid).await?);
    Ok(Some(WriteRights { columns, policies, ..rights }))
}

async fn query_columns(examiner: &Examiner<'_>, oid: u32) -> StepResult<HashMap<String, ColumnRights>> {
    const SQL: &str = "\
SELECT a.attname::pg_catalog.text,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),
       pg_catalog.pg_column_is_updatable(a.attrelid, a.attnum, false)
FROM pg_catalog.pg_attribute a
WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped";
    let parameters = [Parameter::Oid(oid)];
    let columns = examiner.rows(STEP, SQL, &parameters, |row| {
        let rights = ColumnRights {
            may_select: row.try_get(1)?,
            may_insert: row.try_get(2)?,
            may_update: row.try_get(3)?,
            is_settable: row.try_get(4)?,
        };
        Ok((row.try_get(0)?, rights))
    });
    Ok(columns.await?.into_iter().collect())
}

async fn query_policies(examiner: &Examiner<'_>, oid: u32) -> StepResult<HashMap<String, Policies>> {
    const SQL: &str = "\
SELECT command,
       coalesce(
         pg_catalog.bool_or(
           p.polpermissive
           AND coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'true') OPERATOR(pg_catalog.=) 'true'
           AND coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), 'true') OPERATOR(pg_catalog.=) 'true'
         ) AND pg_catalog.bool_and(p.polpermissive),
         false
       ),
       coalesce(pg_catalog.bool_or(NOT p.polpermissive), false)
FROM pg_catalog.unnest('{w,a,d}'::pg_catalog.text[]) AS command
LEFT JOIN pg_catalog.pg_policy p ON p.polrelid OPERATOR(pg_catalog.=) $1
  AND p.polcmd::pg_catalog.text OPERATOR(pg_catalog.=) ANY (ARRAY[command, '*'])
  AND EXISTS (
    SELECT FROM pg_catalog.unnest(p.polroles) AS role
    WHERE role OPERATOR(pg_catalog.=) 0::pg_catalog.oid OR pg_catalog.pg_has_role(role, 'USAGE')
  )
WHERE pg_catalog.row_security_active($1)
GROUP BY command";
    let parameters = [Parameter::Oid(oid)];
    let policies = examiner.rows(STEP, SQL, &parameters, |row| {
        Ok((row.try_get(0)?, Policies { admit_all: row.try_get(1)?, restrict: row.try_get(2)? }))
    });
    Ok(policies.await?.into_iter().collect())
}

/// `rights` is the check of whether sessions can be read at all.
pub(super) fn judge(
    rights: &StepResult<Option<WriteRights>>,
    located: &StepResult<Located>,
    catalog: &Catalog,
    user: &str,
    reading: &Check,
) -> Check {
    let (found, rights, located) = match (&catalog.sessions.finding, rights, located) {
        (Finding::Found(found), Ok(Some(rights)), Ok(located)) => (found, rights, located),
        (_, Err(error), _) | (_, _, Err(error)) => return Check::from_step_error(ID, error),
        _ => return Check::skipped(ID, "needs the tables"),
    };
    if reading.status == Status::Failed {
        return Check::skipped(ID, "needs the rights to read");
    }
    let table = &catalog.sessions.table;
    if rights.is_standby || rights.is_read_only {
        return refused(rights, user);
    }
    if rights.invokes_as_user {
        let behind = found.names_behind();
        let view = &table.name;
        return Check::ok(
            ID,
            format!("{view} is a view with security_invoker: the rights of {user} on {behind} count"),
        );
    }
    let needed = ACCESSES.map(|(access, verb, functions)| (verb, functions, Needed::of(access, rights, located)));
    let details: BTreeMap<_, _> = needed.iter().map(|(verb, _, needed)| (*verb, needed.is_empty())).collect();
    let verbs = |is_allowed: bool| {
        let verbs: Vec<_> = needed.iter().filter(|(.., needed)| needed.is_empty() == is_allowed).collect();
        verbs.iter().map(|(verb, ..)| *verb).collect::<Vec<_>>().join(", ")
    };
    let mut check = match (verbs(true), verbs(false)) {
        (_, denied) if denied.is_empty() => {
            Check::ok(ID, format!("{user} may also list, slide, start, end and delete sessions"))
        }
        (allowed, denied) if allowed.is_empty() => {
            Check::ok(ID, format!("{user} may only read sessions, not {denied} them"))
        }
        (allowed, denied) => Check::ok(ID, format!("{user} may {allowed} sessions, but not {denied} them")),
    };
    let mut lines = Vec::new();
    for (verb, functions, needed) in needed.iter().filter(|(.., needed)| !needed.is_empty()) {
        lines.push(remark(&format!("For {functions}:")));
        lines.extend(needed.advice(table, found, user, verb));
    }
    if !lines.is_empty() {
        lines.insert(0, remark(&format!("Nothing to do if {user} needs none of that. Else run what is for it.")));
        check.advice = Some(lines.join("\n"));
    }
    check.with_details(&details)
}

fn refused(rights: &WriteRights, user: &str) -> Check {
    if rights.is_standby {
        return Check::ok(ID, "are refused: the server is a standby");
    }
    let mut check = Check::ok(ID, "are refused: default_transaction_read_only is on");
    let advice =
        format!("Nothing to do if {user} is only to read. Else connect to a database, or as a user, without it.");
    check.advice = Some(remark(&advice));
    check
}

/// What is missing for an access.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needed {
    select: Vec<&'static str>,
    insert: Vec<&'static str>,
    update: Vec<&'static str>,
    delete: bool,
    sequences: Vec<String>,
    /// What no right allows, since the view can't be written through.
    impossible: Option<String>,
    /// The command that row-level security limits, and whether a restrictive policy does.
    hidden: Option<(&'static str, bool)>,
}

impl Needed {
    fn of(access: Access, rights: &WriteRights, located: &Located) -> Self {
        // Another check says which columns there are not.
        let lacking = |columns: Vec<&'static str>, may: fn(&ColumnRights) -> bool| {
            let lacks = |name: &&str| rights.columns.get(*name).is_some_and(|column| !may(column));
            columns.into_iter().filter(lacks).collect::<Vec<_>>()
        };
        let set = || located.set_by(access);
        let mut needed =
            Self { select: lacking(located.read_by(access), |column| column.may_select), ..Self::default() };
        let (event, command) = match access {
            Access::List => return needed,
            Access::Slide | Access::Revoke => {
                needed.update = lacking(set(), |column| column.may_update);
                (UPDATE, "UPDATE")
            }
            Access::Create => {
                needed.insert = lacking(set(), |column| column.may_insert);
                needed.sequences.clone_from(&rights.sequences);
                (INSERT, "INSERT")
            }
            Access::Delete => {
                needed.delete = !rights.may_delete;
                (DELETE, "DELETE")
            }
        };
        let fixed = lacking(set(), |column| column.is_settable);
        needed.impossible = if rights.events & event == 0 {
            Some(format!("PostgreSQL can't run {command} on it"))
        } else if rights.events_without_triggers & event != 0 && !fixed.is_empty() {
            Some(format!("PostgreSQL can't set {} through it", fixed.join(", ")))
        } else {
            None
        };
        let limited = rights.policies.get(letter(command)).filter(|policies| !policies.admit_all);
        needed.hidden = limited.map(|policies| (command, policies.restrict));
        needed
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lines of SQL and remarks, complete without those for other accesses.
    fn advice(&self, table: &Table, found: &TableFacts, user: &str, verb: &str) -> Vec<String> {
        let name = found.sql_name(table);
        if let Some(problem) = &self.impossible {
            let kind = found.kind.name();
            return vec![remark(&format!("No right allows it: {} is a {kind}, and {problem}.", table.name))];
        }
        let columns = |right: &str, columns: &[&str]| {
            let names = columns.iter().map(|column| quoted_if_needed(column)).collect::<Vec<_>>().join(", ");
            (!columns.is_empty()).then(|| format!("{right} ({names})"))
        };
        let of_columns = [("SELECT", &self.select), ("INSERT", &self.insert), ("UPDATE", &self.update)];
        let rights = of_columns.into_iter().filter_map(|(right, names)| columns(right, names));
        let rights: Vec<_> = rights.chain(self.delete.then(|| "DELETE".to_owned())).collect();
        let mut lines = Vec::new();
        if !rights.is_empty() {
            lines.push(format!("GRANT {} ON {name} TO {};", rights.join(", "), quoted(user)));
        }
        let usage = |sequence: &String| format!("GRANT USAGE ON SEQUENCE {sequence} TO {};", quoted(user));
        lines.extend(self.sequences.iter().map(usage));
        lines.extend(self.hidden.map(|(command, restrict)| policy(command, restrict, &name, user, verb)));
        lines
    }
}

/// A policy for a user whom the app has, too, would open the rows of all tenants to the app. Its name is that of the access:
/// two of them need UPDATE, and whoever runs what is for both must not create the same policy twice.
fn policy(command: &str, restrict: bool, name: &str, user: &str, verb: &str) -> String {
    if user != ROLE {
        let problem = format!("Row-level security limits {command} for {user}");
        return remark(&format!("{problem}. Give the bridge a role of its own, {ROLE}: see the check row-security."));
    }
    if restrict {
        return format!("ALTER ROLE {ROLE} BYPASSRLS;");
    }
    let clause = if command == "INSERT" { "WITH CHECK" } else { "USING" };
    format!("CREATE POLICY {ROLE}_{verb} ON {name} FOR {command} TO {ROLE} {clause} (true);")
}

/// As `pg_policy.polcmd` has it.
fn letter(command: &str) -> &'static str {
    match command {
        "INSERT" => "a",
        "DELETE" => "d",
        _ => "w",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::tests::located;
    use super::*;
    use crate::postgres::StepError;

    /// All rights on a table as the catalog of tests has it.
    pub(in super::super) fn all() -> WriteRights {
        let may = ColumnRights { may_select: true, may_insert: true, may_update: true, is_settable: true };
        let names = ["tenant", "session_id", "user_id", "expires_at", "revoked_at", "revoked_reason"];
        WriteRights {
            is_standby: false,
            is_read_only: false,
            invokes_as_user: false,
            events: UPDATE | INSERT | DELETE,
            events_without_triggers: UPDATE | INSERT | DELETE,
            may_delete: true,
            sequences: Vec::new(),
            columns: names.map(|name| (name.to_owned(), may)).into(),
            policies: HashMap::new(),
        }
    }

    fn check(rights: WriteRights, user: &str) -> Check {
        judge(&Ok(Some(rights)), &Ok(located()), &healthy(), user, &Check::ok("rights", ""))
    }

    type Change = Box<dyn Fn(&mut WriteRights)>;

    /// `__test__/doctor-writes.spec.ts` runs what it advises.
    #[test]
    fn what_the_user_may_do() {
        let limited = |admit_all, restrict| {
            ["w", "a", "d"].map(|command| (command.to_owned(), Policies { admit_all, restrict })).into()
        };
        let cases: [(_, Change, _, _, Option<&str>); 12] = [
            ("all", Box::new(|_| {}), "me", "may also list", None),
            (
                "all, but a column is missing",
                Box::new(|rights| rights.columns.retain(|name, _| name != "tenant")),
                "me",
                "may also list",
                None,
            ),
            (
                "not to delete",
                Box::new(|rights| rights.may_delete = false),
                "me",
                "may list, slide, start, end sessions, but not delete them",
                Some("GRANT DELETE ON \"public\".\"sessions\" TO \"me\";"),
            ),
            (
                "not to use a sequence",
                Box::new(|rights| rights.sequences = vec!["public.ids".to_owned()]),
                "me",
                "may list, slide, end, delete sessions, but not start them",
                Some("GRANT USAGE ON SEQUENCE public.ids TO \"me\";"),
            ),
            (
                "limited by row-level security",
                Box::new(move |rights| rights.policies = limited(false, false)),
                ROLE,
                "may list sessions, but not slide, start, end, delete them",
                Some(
                    "CREATE POLICY authjs_bridge_delete ON \"public\".\"sessions\" FOR DELETE TO authjs_bridge USING (true);",
                ),
            ),
            (
                "limited by a restrictive policy",
                Box::new(move |rights| rights.policies = limited(false, true)),
                ROLE,
                "may list sessions",
                Some("ALTER ROLE authjs_bridge BYPASSRLS;"),
            ),
            (
                "limited, for a user of the app",
                Box::new(move |rights| rights.policies = limited(false, false)),
                "app",
                "may list sessions",
                Some("Give the bridge a role of its own"),
            ),
            (
                "admitted by row-level security",
                Box::new(move |rights| rights.policies = limited(true, false)),
                "me",
                "may also list",
                None,
            ),
            (
                "a view that can't be deleted from",
                Box::new(|rights| rights.events = UPDATE | INSERT),
                "me",
                "but not delete them",
                Some("No right allows it: sessions is a table, and PostgreSQL can't run DELETE on it."),
            ),
            (
                "a view with triggers",
                Box::new(|rights| {
                    rights.events_without_triggers = 0;
                    rights.columns.values_mut().for_each(|column| column.is_settable = false);
                }),
                "me",
                "may also list",
                None,
            ),
            (
                "a standby",
                Box::new(|rights| rights.is_standby = true),
                "me",
                "are refused: the server is a standby",
                None,
            ),
            (
                "a view that invokes as the user",
                Box::new(|rights| rights.invokes_as_user = true),
                "me",
                "is a view with security_invoker",
                None,
            ),
        ];
        for (case, change, user, message, advice) in cases {
            let mut rights = all();
            change(&mut rights);
            let check = check(rights, user);
            assert_eq!(check.status, Status::Ok, "{case}");
            assert!(check.message.contains(message), "{case}: {}", check.message);
            let told = check.advice.unwrap_or_default();
            assert!(told.contains(advice.unwrap_or_default()), "{case}: {told}");
            assert_eq!(told.is_empty(), advice.is_none(), "{case}: {told}");
            for section in told.split("-- For ").skip(1) {
                assert!(section.lines().count() > 1, "{case}: nothing for {section}");
            }
            // Whoever runs all sections must not create one policy twice.
            let mut created: Vec<_> = told.lines().filter(|line| line.starts_with("CREATE")).collect();
            let count = created.len();
            created.sort_unstable();
            created.dedup();
            assert_eq!(created.len(), count, "{case}");
        }
    }

    #[test]
    fn a_user_who_only_reads_is_told_each_right() {
        let mut rights = all();
        rights.may_delete = false;
        for column in rights.columns.values_mut() {
            (column.may_insert, column.may_update) = (false, false);
        }
        let check = check(rights, "me\nyou");
        assert_eq!(check.message, "me\nyou may list sessions, but not slide, start, end, delete them");
        let lines: Vec<_> = check.advice.as_deref().unwrap_or_default().lines().collect();
        let sql: Vec<_> = lines.iter().filter(|line| line.starts_with("GRANT")).collect();
        assert_eq!(lines.first(), Some(&"-- Nothing to do if me you needs none of that. Else run what is for it."));
        // In tests, the types of columns are not known, so there are none but those that are always set.
        assert_eq!(sql.len(), 4, "{lines:?}");
        assert!(sql[0].starts_with("GRANT UPDATE (expires_at) ON \"public\".\"sessions\" TO \"me"));
        assert!(sql[1].starts_with("GRANT INSERT (tenant, session_id, user_id, expires_at) ON "));
    }

    #[test]
    fn without_a_table_or_the_right_to_read_there_is_nothing_to_tell() {
        let failed = Check::failed("rights", "", "");
        let mut missing = healthy();
        missing.sessions.finding = Finding::Missing { elsewhere: Vec::new() };
        for (rights, catalog, reading, reason) in [
            (Ok(Some(all())), healthy(), &failed, "needs the rights to read"),
            (Ok(None), missing, &Check::ok("rights", ""), "needs the tables"),
            (Err(StepError::ConnectionLost), healthy(), &failed, "the connection to the database was lost"),
        ] {
            let check = judge(&rights, &Ok(located()), &catalog, "me", reading);
            assert_eq!((check.status, check.message.as_str()), (Status::Skipped, reason));
        }
    }
}
