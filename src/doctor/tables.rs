//! Whether the two tables exist, and which kind of relation they are.
#![forbid(unsafe_code)]

use super::catalog::{Catalog, Entry, Finding, Kind, STEP};
use super::check::Check;
use crate::postgres::{Examiner, Located, Parameter, StepResult, TargetFacts};
use crate::schema::Table;

pub(super) const ID: &str = "tables";

/// A table that was found.
pub(super) struct FoundTable {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) kind: Kind,
}

/// `table` is in a PostgreSQL schema, or was not found in the search path.
pub(super) async fn query(examiner: &Examiner<'_>, table: &Table) -> StepResult<Option<FoundTable>> {
    const SQL: &str = "\
SELECT c.oid, n.nspname::text, c.relkind::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname = $2";
    let parameters = [Parameter::Text(Some(table.name)), Parameter::Text(table.namespace.as_deref())];
    let tables = examiner.rows(STEP, SQL, &parameters, |row| {
        Ok(FoundTable { oid: row.try_get(0)?, schema: row.try_get(1)?, kind: Kind::of(row.try_get(2)?) })
    });
    Ok(tables.await?.into_iter().next())
}

/// The PostgreSQL schemas that have a table of this name.
pub(super) async fn find_elsewhere(examiner: &Examiner<'_>, table: &Table) -> StepResult<Vec<String>> {
    const SQL: &str = "\
SELECT n.nspname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^(pg_|information_schema$)'
ORDER BY 1";
    examiner.rows(STEP, SQL, &[Parameter::Text(Some(table.name))], |row| row.try_get(0)).await
}

pub(super) fn judge(catalog: &StepResult<Catalog>, target: &TargetFacts, located: &StepResult<Located>) -> Check {
    let (catalog, located) = match (catalog, located) {
        (Ok(catalog), Ok(located)) => (catalog, located),
        (Err(error), _) | (_, Err(error)) => return Check::from_step_error(ID, error),
    };
    let variables = target.variables.join(", ");
    let (reason, searched) = match (&target.schema, &located.search_path) {
        (None, Some(path)) => (format!("by the search path ({path})"), format!("the search path ({path})")),
        (schema, _) => {
            let schema = schema.as_deref().unwrap_or_default();
            (format!("by schema={schema} in {variables}"), format!("schema {schema}"))
        }
    };
    let missing: Vec<_> = catalog.entries().into_iter().filter_map(missing).collect();
    let Some((_, elsewhere)) = missing.first() else {
        let found = catalog.found().map(|(table, found)| {
            let (kind, schema) = (found.kind.name(), &found.schema);
            format!("{kind} {schema}.{}", table.name)
        });
        return Check::ok(ID, format!("{}; {reason}", found.collect::<Vec<_>>().join(", ")));
    };
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    let advice = match elsewhere.first() {
        Some(schema) => format!(
            "There is one in schema {}: set schema={schema} in {variables}, or the user's search_path.",
            elsewhere.join(", ")
        ),
        None => "Create them: psql \"$DATABASE_URL\" --file node_modules/authjs-bridge/schema.sql".to_owned(),
    };
    Check::failed(ID, format!("{} not found in {searched}", names.join(" and ")), advice).with_details(catalog)
}

/// The table's name, and the schemas that have a table with this name.
fn missing(Entry { table, finding }: &Entry) -> Option<(&'static str, &[String])> {
    match finding {
        Finding::Missing { elsewhere } => Some((table.name, elsewhere)),
        Finding::Found(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::super::tests::{located, target};
    use super::*;

    #[test]
    fn missing_tables_are_reported() {
        let missing = |elsewhere: &[&str]| Finding::Missing {
            elsewhere: elsewhere.iter().map(|schema| (*schema).to_owned()).collect(),
        };
        let neither = || {
            let mut catalog = healthy();
            (catalog.sessions.finding, catalog.users.finding) = (missing(&[]), missing(&[]));
            catalog
        };
        let elsewhere = || {
            let mut catalog = healthy();
            catalog.users.finding = missing(&["app", "old"]);
            catalog
        };
        let partitioned = || {
            let mut catalog = healthy();
            catalog.users.found_mut().kind = Kind::PartitionedTable;
            catalog
        };
        let named = || TargetFacts { schema: Some("app".to_owned()), ..target() };
        let [ok, failed] = [Status::Ok, Status::Failed];
        for (catalog, target, status, message, advice) in [
            (
                healthy(),
                target(),
                ok,
                "table public.sessions, table public.users; by the search path (\"$user\", public)",
                "",
            ),
            (
                partitioned(),
                named(),
                ok,
                "table public.sessions, partitioned table public.users; by schema=app in DATABASE_URL",
                "",
            ),
            (
                neither(),
                target(),
                failed,
                "sessions and users not found in the search path (\"$user\", public)",
                "schema.sql",
            ),
            (neither(), named(), failed, "sessions and users not found in schema app", "schema.sql"),
            (
                elsewhere(),
                target(),
                failed,
                "users not found in the search path (\"$user\", public)",
                "in schema app, old: set schema=app in DATABASE_URL",
            ),
        ] {
            let check = judge(&Ok(catalog), &target, &Ok(located()));
            assert_eq!((check.status, check.message.as_str()), (status, message));
            assert!(check.advice.unwrap_or_default().contains(advice), "{message}");
        }
    }

    #[test]
    fn kinds_by_relkind() {
        for (letter, name) in [
            ("r", "table"),
            ("p", "partitioned table"),
            ("v", "view"),
            ("m", "materialized view"),
            ("f", "foreign table"),
        ] {
            assert_eq!(Kind::of(letter).name(), name);
        }
    }
}
