//! Whether the required columns exist and have suitable types.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde::Serialize;

use super::catalog::{ActualColumn, Catalog, ColumnFacts, Fit, STEP, TableFacts};
use super::check::Check;
use crate::postgres::{Examiner, Parameter, StepResult};
use crate::schema::{Column, Role, Table};

pub(super) const ID: &str = "columns";

/// A column as the catalog describes it.
struct CatalogColumn {
    type_name: String,
    /// For a domain: of the type that it is based on.
    base_name: String,
    base_category: String,
    is_readable: bool,
}

pub(super) async fn query(examiner: &Examiner<'_>, table: &Table, oid: u32) -> StepResult<Vec<ColumnFacts>> {
    const SQL: &str = "\
SELECT a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       b.typname::text,
       b.typcategory::text,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped";
    let parameters = [Parameter::Oid(oid)];
    let described = examiner.rows(STEP, SQL, &parameters, |row| {
        let described = CatalogColumn {
            type_name: row.try_get(1)?,
            base_name: row.try_get(2)?,
            base_category: row.try_get(3)?,
            is_readable: row.try_get(4)?,
        };
        Ok((row.try_get::<_, String>(0)?, described))
    });
    let mut described: HashMap<_, _> = described.await?.into_iter().collect();
    Ok(table.columns.iter().map(|column| ColumnFacts::of(column, described.remove(column.name))).collect())
}

impl ColumnFacts {
    fn of(Column { name, role }: &Column, described: Option<CatalogColumn>) -> Self {
        let actual = described.map(|CatalogColumn { type_name, base_name, base_category, is_readable }| ActualColumn {
            type_name,
            fit: fit(*role, &base_name, &base_category),
            is_readable,
        });
        Self { name, usual_type: role.usual_type(), is_optional: role.is_optional(), actual }
    }
}

/// `name` and `category` are `typname` and `typcategory` of `pg_type`.
fn fit(role: Role, name: &str, category: &str) -> Fit {
    match (role, name, category) {
        (Role::Id, "uuid", _) | (Role::Time, "timestamptz", _) | (Role::Remark, ..) => Fit::Good,
        // Strings and enums.
        (Role::Text, _, "S" | "E") => Fit::Good,
        (Role::Time, "timestamp" | "date", _) => Fit::Zoneless,
        (Role::Id | Role::Time | Role::Text, ..) => Fit::Wrong,
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    table: &'static str,
    schema: &'a str,
    #[serde(flatten)]
    column: &'a ColumnFacts,
}

struct Problem {
    message: String,
    /// SQL that fixes it.
    fix: String,
    is_broken: bool,
}

pub(super) fn judge(catalog: &Catalog) -> Check {
    let all =
        || catalog.found().flat_map(|(table, found)| found.columns.iter().map(move |column| (table, found, column)));
    let details: Vec<_> =
        all().map(|(table, found, column)| Detail { table: table.name, schema: &found.schema, column }).collect();
    let problems: Vec<_> = all().filter_map(|(table, found, column)| problem(table, found, column)).collect();
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
    let ColumnFacts { name, usual_type, is_optional, actual } = column;
    let alter = format!("ALTER TABLE {}", found.sql_name(table));
    let table = table.name;
    let Some(ActualColumn { type_name, fit, .. }) = actual else {
        let remark = if *is_optional { ", which only explainSession reads" } else { "" };
        return Some(Problem {
            message: format!("{table}.{name} is missing{remark}"),
            fix: format!("{alter} ADD COLUMN {name} {usual_type};"),
            is_broken: !is_optional,
        });
    };
    let remark = match fit {
        Fit::Good => return None,
        Fit::Zoneless => ", which is read as UTC, whatever the time zone of the database",
        Fit::Wrong => "",
    };
    let alter = format!("{alter} ALTER COLUMN {name} TYPE {usual_type} USING {name}");
    Some(Problem {
        message: format!("{table}.{name} is {type_name}{remark}"),
        fix: match fit {
            Fit::Zoneless => format!(
                "-- Which time zone are the values in? Prisma and Drizzle write UTC. For another one, replace 'UTC'.\n\
                 {alter}::timestamp AT TIME ZONE 'UTC';\n\
                 -- In Prisma's schema it is then @db.Timestamptz, in Drizzle's withTimezone: true."
            ),
            Fit::Good | Fit::Wrong => format!("{alter}::{usual_type};"),
        },
        is_broken: *fit == Fit::Wrong,
    })
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::*;

    impl ColumnFacts {
        /// A readable column with this type; a missing column for `None`.
        pub(in super::super) fn with_type(column: &Column, type_name: Option<&str>) -> Self {
            let category = if column.role == Role::Text { "S" } else { "U" };
            let described = type_name.map(|name| CatalogColumn {
                type_name: name.to_owned(),
                base_name: name.to_owned(),
                base_category: category.to_owned(),
                is_readable: true,
            });
            Self::of(column, described)
        }
    }

    #[test]
    fn suitable_types() {
        for (role, name, category, expected) in [
            (Role::Id, "uuid", "U", Fit::Good),
            (Role::Id, "text", "S", Fit::Wrong),
            (Role::Id, "int8", "N", Fit::Wrong),
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
                Some("text"),
                Status::Failed,
                "sessions.session_id is text",
                Some(alter("ALTER COLUMN session_id TYPE uuid USING session_id::uuid")),
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
            let check = judge(&catalog);
            assert_eq!((check.status, check.message.as_str(), check.advice), (status, message, advice));
        }
    }
}
