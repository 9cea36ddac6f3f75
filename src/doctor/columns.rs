//! Whether the required columns exist and have suitable types, also for the comparison of one with the other.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde::Serialize;

use super::adapter;
use super::catalog::{ActualColumn, Catalog, ColumnFacts, Entry, Finding, Fit, STEP, TableFacts};
use super::check::Check;
use super::conversion::{add, alike, change, conversion};
use crate::postgres::{Examiner, Located, Parameter, StepResult, TargetFacts};
use crate::schema::{Column, IdType, Role, Table};

pub(super) const ID: &str = "columns";

/// The columns of sessions that are compared with those of the same names of users.
const COMPARED: [&str; 2] = ["tenant", "user_id"];

/// A column as the catalog describes it.
struct CatalogColumn {
    type_name: String,
    /// For a domain: of the type that it is based on.
    base_name: String,
    base_category: String,
    is_readable: bool,
    used_by: Vec<String>,
}

pub(super) async fn query(
    examiner: &Examiner<'_>,
    located: &Located,
    table: &Table,
    oid: u32,
) -> StepResult<Vec<ColumnFacts>> {
    // Indexes and unique keys are built anew with a new type. These are not, or may not fit: foreign keys, checks, views,
    // policies, triggers, generated columns, a default, the partition key.
    const SQL: &str = "\
SELECT a.attname::pg_catalog.text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       b.typname::pg_catalog.text,
       b.typcategory::pg_catalog.text,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       pg_catalog.array_to_json(ARRAY(
         SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
         FROM pg_catalog.pg_depend d
         JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.classid
         LEFT JOIN pg_catalog.pg_constraint k
           ON c.relname OPERATOR(pg_catalog.=) 'pg_constraint' AND k.oid OPERATOR(pg_catalog.=) d.objid
         WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
           AND d.refobjid OPERATOR(pg_catalog.=) a.attrelid AND d.refobjsubid OPERATOR(pg_catalog.=) a.attnum
           AND (
             k.contype::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{f,c}'::pg_catalog.text[])
             OR c.relname::pg_catalog.text OPERATOR(pg_catalog.=)
               ANY ('{pg_rewrite,pg_policy,pg_trigger,pg_attrdef}'::pg_catalog.text[])
           )
         UNION ALL
         SELECT 'the partition key' FROM pg_catalog.pg_partitioned_table p
         WHERE p.partrelid OPERATOR(pg_catalog.=) a.attrelid
           AND a.attnum OPERATOR(pg_catalog.=) ANY (p.partattrs::pg_catalog.int2[])
       ))::pg_catalog.text
FROM pg_catalog.pg_attribute a
CROSS JOIN LATERAL (
  WITH RECURSIVE based AS (
    SELECT t.* FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) a.atttypid
    UNION ALL
    SELECT t.*
    FROM based d JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) d.typbasetype
    WHERE d.typtype::pg_catalog.text OPERATOR(pg_catalog.=) 'd'
  )
  SELECT * FROM based WHERE typtype::pg_catalog.text OPERATOR(pg_catalog.<>) 'd'
) b
WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped";
    let parameters = [Parameter::Oid(oid)];
    let described = examiner.rows(STEP, SQL, &parameters, |row| {
        let described = CatalogColumn {
            type_name: row.try_get(1)?,
            base_name: row.try_get(2)?,
            base_category: row.try_get(3)?,
            is_readable: row.try_get(4)?,
            // As JSON: an array says how many elements it has, and tokio-postgres allocates room for them before it reads one.
            used_by: serde_json::from_str(row.try_get(5)?).unwrap_or_default(),
        };
        Ok((row.try_get::<_, String>(0)?, described))
    });
    let mut described: HashMap<_, _> = described.await?.into_iter().collect();
    let facts = |column: &Column| {
        let suits_claim = match column.role {
            Role::Claim(kind) => located.suits_claim(&column.name, kind),
            _ => true,
        };
        ColumnFacts::of(column, described.remove(&*column.name), suits_claim)
    };
    Ok(table.columns.iter().map(facts).collect())
}

impl ColumnFacts {
    fn of(Column { name, role }: &Column, described: Option<CatalogColumn>, suits_claim: bool) -> Self {
        let actual = described.map(|column| {
            let CatalogColumn { type_name, base_name, base_category, is_readable, used_by } = column;
            ActualColumn {
                type_name,
                fit: if suits_claim { fit(*role, &base_name, &base_category) } else { Fit::Wrong },
                is_readable,
                used_by,
                conversion: conversion(*role, name, &base_name, &base_category),
                base_name,
            }
        });
        Self {
            name: name.clone().into_owned(),
            role: *role,
            usual_type: role.usual_type(),
            is_optional: role.is_optional(),
            actual,
        }
    }
}

/// `name` and `category` are `typname` and `typcategory` of `pg_type`.
fn fit(role: Role, name: &str, category: &str) -> Fit {
    match (role, name, category) {
        (Role::Id, ..) if IdType::of_column(name).is_some() => Fit::Good,
        (Role::Time, "timestamptz", _) | (Role::Remark | Role::Claim(_), ..) => Fit::Good,
        // Strings and enums.
        (Role::Text, _, "S" | "E") => Fit::Good,
        (Role::Time, "timestamp" | "date", _) => Fit::Zoneless,
        (Role::Id | Role::Time | Role::Text, ..) => Fit::Wrong,
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    table: &'a str,
    schema: &'a str,
    #[serde(flatten)]
    column: &'a ColumnFacts,
}

struct Problem {
    message: String,
    /// SQL that fixes it, or a remark on how to.
    fix: String,
    is_broken: bool,
}

pub(super) fn judge(catalog: &Catalog, target: &TargetFacts) -> Check {
    let all =
        || catalog.found().flat_map(|(table, found)| found.columns.iter().map(move |column| (table, found, column)));
    let details: Vec<_> =
        all().map(|(table, found, column)| Detail { table: &table.name, schema: &found.schema, column }).collect();
    if let Some(name) = adapter::mistaken(catalog) {
        return Check::failed(ID, adapter::message(&name), adapter::advice(&name, target)).with_details(&details);
    }
    let single = all().filter_map(|(table, found, column)| problem(table, found, column));
    let problems: Vec<_> = single.chain(incomparable(catalog)).collect();
    let join = |part: fn(&Problem) -> &str, by| problems.iter().map(part).collect::<Vec<_>>().join(by);
    let (message, advice) = (join(|problem| &problem.message, "; "), join(|problem| &problem.fix, "\n"));
    let check = if problems.is_empty() {
        Check::ok(ID, "all present, with suitable types")
    } else if problems.iter().any(|problem| problem.is_broken) {
        Check::failed(ID, message, advice)
    } else {
        Check::warning(ID, message, advice)
    };
    check.with_details(&details)
}

fn problem(table: &Table, found: &TableFacts, column: &ColumnFacts) -> Option<Problem> {
    let ColumnFacts { name, is_optional, actual, .. } = column;
    let Some(actual @ ActualColumn { type_name, fit, .. }) = actual else {
        let remark = if *is_optional { ", which only explainSession reads" } else { "" };
        return Some(Problem {
            message: format!("{}.{name} is missing{remark}", table.name),
            fix: add(table, found, column),
            is_broken: !is_optional,
        });
    };
    let remark = match fit {
        Fit::Good => return None,
        Fit::Zoneless => ", which is read as UTC, whatever the time zone of the database",
        Fit::Wrong => "",
    };
    Some(Problem {
        message: format!("{}.{name} is {type_name}{remark}", table.name),
        fix: change(table, found, column, actual),
        is_broken: *fit == Fit::Wrong,
    })
}

/// Of the columns that are compared, those whose types can't be.
fn incomparable(catalog: &Catalog) -> impl Iterator<Item = Problem> {
    fn column<'e>(entry: &'e Entry, name: &str) -> Option<(&'e TableFacts, &'e ColumnFacts, &'e ActualColumn)> {
        match &entry.finding {
            Finding::Found(found) => {
                let column = found.columns.iter().find(|column| column.name == name)?;
                Some((found, column, column.actual.as_ref()?))
            }
            Finding::Missing { .. } | Finding::NotRead => None,
        }
    }
    COMPARED.into_iter().filter_map(|name| {
        let (found, facts, of_session) = column(&catalog.sessions, name)?;
        let (.., of_user) = column(&catalog.users, name)?;
        let types = [IdType::of_column(&of_session.base_name)?, IdType::of_column(&of_user.base_name)?];
        let (sessions, users) = (&catalog.sessions.table, &catalog.users.table);
        (types[0] != types[1]).then(|| Problem {
            message: format!(
                "{}.{name} is {}, but {}.{name} is {}: they can't be compared",
                sessions.name, of_session.type_name, users.name, of_user.type_name
            ),
            fix: alike(sessions, found, facts, of_session, types),
            is_broken: true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Kind;
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::super::tests::target;
    use super::*;
    use crate::schema::{ClaimKind, Differences, FreshClaim, Schema};

    impl ColumnFacts {
        /// A readable column with this type; a missing column for `None`.
        pub(in super::super) fn with_type(column: &Column, type_name: Option<&str>) -> Self {
            let category = if type_name == Some("text") { "S" } else { "U" };
            let described = type_name.map(|name| CatalogColumn {
                type_name: name.to_owned(),
                base_name: name.to_owned(),
                base_category: category.to_owned(),
                is_readable: true,
                used_by: Vec::new(),
            });
            Self::of(column, described, true)
        }
    }

    #[test]
    fn suitable_types() {
        for (role, name, category, expected) in [
            (Role::Id, "uuid", "U", Fit::Good),
            (Role::Id, "text", "S", Fit::Good),
            (Role::Id, "int8", "N", Fit::Good),
            (Role::Id, "numeric", "N", Fit::Wrong),
            (Role::Id, "name", "S", Fit::Wrong),
            (Role::Time, "timestamptz", "D", Fit::Good),
            (Role::Time, "timestamp", "D", Fit::Zoneless),
            (Role::Time, "date", "D", Fit::Zoneless),
            (Role::Time, "time", "D", Fit::Wrong),
            (Role::Time, "bool", "B", Fit::Wrong),
            (Role::Time, "int8", "N", Fit::Wrong),
            (Role::Text, "text", "S", Fit::Good),
            (Role::Text, "varchar", "S", Fit::Good),
            (Role::Text, "user_type", "E", Fit::Good),
            (Role::Text, "int4", "N", Fit::Wrong),
            (Role::Remark, "jsonb", "U", Fit::Good),
        ] {
            assert_eq!(fit(role, name, category), expected, "{name}");
        }
    }

    #[test]
    fn missing_columns_and_unsuitable_types() {
        let alter = |rest: &str| format!("ALTER TABLE \"public\".\"sessions\" {rest};");
        for (name, actual, status, message, advice) in [
            ("session_id", Some("uuid"), Status::Ok, "all present, with suitable types", None),
            (
                "session_id",
                Some("numeric"),
                Status::Failed,
                "sessions.session_id is numeric",
                Some(alter("ALTER COLUMN session_id TYPE text")),
            ),
            (
                "expires_at",
                Some("timestamp"),
                Status::Warning,
                "sessions.expires_at is timestamp, which is read as UTC, whatever the time zone of the database",
                Some(format!(
                    "-- Which time zone are the values in? Prisma and Drizzle write UTC. For another one, replace 'UTC'.\n{}\n\
                     -- In Prisma's schema it is then @db.Timestamptz, in Drizzle's withTimezone: true.",
                    alter("ALTER COLUMN expires_at TYPE timestamptz USING expires_at::timestamp AT TIME ZONE 'UTC'"),
                )),
            ),
            (
                "revoked_at",
                None,
                Status::Failed,
                "sessions.revoked_at is missing",
                Some(alter("ADD COLUMN revoked_at timestamptz")),
            ),
            (
                "revoked_reason",
                None,
                Status::Warning,
                "sessions.revoked_reason is missing, which only explainSession reads",
                Some(alter("ADD COLUMN revoked_reason text")),
            ),
        ] {
            let mut catalog = healthy();
            let column = catalog.sessions.table.columns.iter().find(|column| column.name == name).expect(name);
            let facts = ColumnFacts::with_type(column, actual);
            let columns = &mut catalog.sessions.found_mut().columns;
            *columns.iter_mut().find(|column| column.name == name).expect(name) = facts;
            let check = judge(&catalog, &target());
            assert_eq!((check.status, check.message.as_str(), check.advice), (status, message, advice));
        }
    }

    /// The facts about a column of this type, of the role that it has in `table`.
    fn of_type(table: &Table, name: &str, type_name: Option<&str>) -> ColumnFacts {
        let column = table.columns.iter().find(|column| column.name == name).expect(name);
        ColumnFacts::with_type(column, type_name)
    }

    fn replace(entry: &mut Entry, facts: ColumnFacts) -> &mut ColumnFacts {
        let columns = &mut entry.found_mut().columns;
        let column = columns.iter_mut().find(|column| column.name == facts.name).expect("is there");
        *column = facts;
        column
    }

    #[test]
    fn ids_of_different_families_cannot_be_compared() {
        let alter = |rest: &str| Some(format!("ALTER TABLE \"public\".\"sessions\" ALTER COLUMN {rest};"));
        let remark = |text: &str| Some(format!("-- {text}"));
        let fk = || vec!["constraint fk on table logins".to_owned()];
        let table = Kind::Table;
        for (name, of_session, of_user, kind, used_by, advice) in [
            ("user_id", "uuid", "uuid", table, vec![], None),
            ("user_id", "varchar", "citext", table, vec![], None),
            ("user_id", "bpchar", "text", table, vec![], None),
            ("user_id", "int8", "int2", table, fk(), None),
            ("user_id", "uuid", "varchar", table, vec![], alter("user_id TYPE text")),
            ("tenant", "int4", "citext", table, vec![], alter("tenant TYPE text")),
            ("user_id", "text", "uuid", table, vec![], alter("user_id TYPE uuid USING user_id::uuid")),
            ("user_id", "citext", "int4", table, vec![], alter("user_id TYPE bigint USING user_id::bigint")),
            (
                "user_id",
                "uuid",
                "int4",
                table,
                vec![],
                remark("sessions.user_id must be bigint, to which uuid can't be converted."),
            ),
            (
                "user_id",
                "uuid",
                "text",
                table,
                fk(),
                remark(
                    "Change sessions.user_id together with constraint fk on table logins, or make sessions a view that \
                     shows user_id::text as user_id.",
                ),
            ),
            (
                "user_id",
                "text",
                "uuid",
                Kind::View,
                vec![],
                remark("sessions is a view: have it show user_id::uuid as user_id."),
            ),
        ] {
            let mut catalog = healthy();
            catalog.sessions.found_mut().kind = kind;
            let facts = of_type(&catalog.sessions.table, name, Some(of_session));
            replace(&mut catalog.sessions, facts).actual.as_mut().expect("is there").used_by = used_by;
            let facts = of_type(&catalog.users.table, name, Some(of_user));
            replace(&mut catalog.users, facts);
            let check = judge(&catalog, &target());
            assert_eq!(check.advice, advice, "{of_session} {of_user}");
            if check.status == Status::Failed {
                let expected =
                    format!("sessions.{name} is {of_session}, but users.{name} is {of_user}: they can't be compared");
                assert_eq!(check.message, expected);
            }
        }
    }

    #[test]
    fn what_no_id_can_be_is_told_before_the_comparison() {
        let mut catalog = healthy();
        let facts = of_type(&catalog.sessions.table, "user_id", Some("numeric"));
        replace(&mut catalog.sessions, facts);
        let check = judge(&catalog, &target());
        assert_eq!(check.message, "sessions.user_id is numeric");
        catalog.users.finding = Finding::NotRead;
        let facts = of_type(&catalog.sessions.table, "user_id", Some("int8"));
        replace(&mut catalog.sessions, facts);
        assert_eq!(judge(&catalog, &target()).status, Status::Ok);
    }

    #[test]
    fn columns_of_fresh_claims() {
        let plan = FreshClaim { name: "Plan B".to_owned(), kind: ClaimKind::Texts };
        let users = Schema::with(Differences { fresh_claims: vec![plan], ..Differences::default() }).users;
        let column = users.columns.last().expect("the claim");
        let described = || CatalogColumn {
            type_name: "integer".to_owned(),
            base_name: "int4".to_owned(),
            base_category: "N".to_owned(),
            is_readable: true,
            used_by: Vec::new(),
        };
        let is_int = "users.Plan B is integer";
        for (described, suits_claim, kind, message, advice) in [
            (Some(described()), true, Kind::Table, "all present, with suitable types", None),
            (
                Some(described()),
                false,
                Kind::Table,
                is_int,
                Some(
                    "-- users.Plan B must be text[], json or jsonb. Change its type, make users a view that shows it so, or \
                     take Plan B out of the option freshClaims.",
                ),
            ),
            (
                Some(described()),
                false,
                Kind::View,
                is_int,
                Some("-- users is a view: have it show Plan B as text[], json or jsonb."),
            ),
            (
                None,
                true,
                Kind::Table,
                "users.Plan B is missing",
                Some(
                    "-- The column counts in place of the token's claim: fill it. Or take Plan B out of the option \
                     freshClaims.\nALTER TABLE \"public\".\"users\" ADD COLUMN \"Plan B\" text[];",
                ),
            ),
            (
                None,
                true,
                Kind::View,
                "users.Plan B is missing",
                Some(
                    "-- users is a view: have it show Plan B as text[], json or jsonb. Or take Plan B out of the option \
                     freshClaims.",
                ),
            ),
        ] {
            let mut catalog = healthy();
            let found = catalog.users.found_mut();
            found.kind = kind;
            found.columns.push(ColumnFacts::of(column, described, suits_claim));
            let check = judge(&catalog, &target());
            assert_eq!((check.message.as_str(), check.advice.as_deref()), (message, advice));
        }
    }

    #[test]
    fn columns_that_options_make_unnecessary() {
        for (of_users, name, option) in [
            (false, "tenant", "An app without tenants sets the option multiTenant: false."),
            (true, "tenant", "An app without tenants sets the option multiTenant: false."),
            (true, "user_type", "An app without such types sets the option userCheck: 'exists'."),
        ] {
            let mut catalog = healthy();
            let entry = if of_users { &mut catalog.users } else { &mut catalog.sessions };
            let facts = of_type(&entry.table, name, None);
            replace(entry, facts);
            let advice = judge(&catalog, &target()).advice.expect("is missing");
            assert!(advice.contains("with a value in each row.") && advice.ends_with(option), "{advice}");
        }
    }

    #[test]
    fn a_table_of_an_adapter_is_one_only_without_the_columns() {
        for (missing, status, part) in [
            (None, Status::Ok, "all present"),
            (Some("revoked_reason"), Status::Warning, "which only explainSession reads"),
            (Some("revoked_at"), Status::Failed, "public.sessions holds database sessions of an Auth.js adapter"),
        ] {
            let mut catalog = healthy();
            catalog.of_adapter = vec!["public.sessions".to_owned()];
            if let Some(name) = missing {
                let facts = of_type(&catalog.sessions.table, name, None);
                replace(&mut catalog.sessions, facts);
            }
            let check = judge(&catalog, &target());
            assert_eq!(check.status, status, "{missing:?}");
            assert!(check.message.contains(part), "{}", check.message);
        }
    }
}
