//! Whether unique indexes ensure at most one row per key. If two rows have the same key, calls for it are rejected.
#![forbid(unsafe_code)]

use super::catalog::{Catalog, Kind, STEP, TableFacts, UniqueKey, sql_key};
use super::check::Check;
use crate::postgres::{Examiner, Parameter, StepResult};
use crate::schema::Table;

pub(super) const ID: &str = "unique-keys";

pub(super) async fn query(examiner: &Examiner<'_>, table: &Table, oid: u32, kind: Kind) -> StepResult<UniqueKey> {
    // Whether there is a unique index on columns of the key only.
    const IS_ENSURED: &str = "\
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index i
  WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND NOT EXISTS (
      SELECT FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, place)
      LEFT JOIN pg_catalog.pg_attribute a
        ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum
      WHERE k.place OPERATOR(pg_catalog.<=) i.indnkeyatts
        AND (a.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($2)) IS NOT TRUE
    )
)";
    const PARTITIONED_BY: &str = "\
SELECT coalesce(a.attname::pg_catalog.text, 'an expression')
FROM pg_catalog.pg_partitioned_table p
CROSS JOIN pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) AS k (attnum)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) p.partrelid
  AND a.attnum OPERATOR(pg_catalog.=) k.attnum AND k.attnum OPERATOR(pg_catalog.>) 0
WHERE p.partrelid OPERATOR(pg_catalog.=) $1
  AND (a.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($2)) IS NOT TRUE";
    if matches!(kind, Kind::View | Kind::ForeignTable) {
        return Ok(UniqueKey::Unknown);
    }
    let parameters = [Parameter::Oid(oid), Parameter::Texts(table.key)];
    if examiner.row(STEP, IS_ENSURED, &parameters, |row| row.try_get(0)).await? {
        return Ok(UniqueKey::Ensured);
    }
    let others: Vec<String> = examiner.rows(STEP, PARTITIONED_BY, &parameters, |row| row.try_get(0)).await?;
    Ok(if others.is_empty() { UniqueKey::Missing } else { UniqueKey::PartitionedBy(others) })
}

pub(super) fn judge(catalog: &Catalog) -> Check {
    let is_missing = |(table, found): &(&Table, &TableFacts)| {
        found.unique_key == UniqueKey::Missing && has_key_columns(table, found)
    };
    let missing: Vec<_> = catalog.found().filter(is_missing).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|(table, _)| key(table)).collect();
        let message = format!("none on {}: if two rows have the same key, calls for it are rejected", names.join(", "));
        let advice: Vec<_> = missing.iter().map(|(table, found)| create(table, found)).collect();
        return Check::warning(ID, message, advice.join("\n"));
    }
    let describe = |(table, found): (&Table, &TableFacts)| match &found.unique_key {
        UniqueKey::Missing => format!("{} can't be there without these columns", key(table)),
        UniqueKey::Ensured => key(table),
        UniqueKey::PartitionedBy(columns) => {
            format!("{} can't be ensured for a table that is partitioned by {}", key(table), columns.join(", "))
        }
        UniqueKey::Unknown => format!("{} can't be checked on a {}", key(table), found.kind.name()),
    };
    Check::ok(ID, catalog.found().map(describe).collect::<Vec<_>>().join(", "))
}

fn has_key_columns(table: &Table, found: &TableFacts) -> bool {
    let is_there = |name| found.columns.iter().any(|column| column.name == name && column.actual.is_some());
    table.key.iter().copied().all(is_there)
}

fn key(table: &Table) -> String {
    format!("{} {}", table.name, sql_key(table))
}

fn create(table: &Table, found: &TableFacts) -> String {
    let (name, key) = (found.sql_name(table), sql_key(table));
    match found.kind {
        Kind::MaterializedView => format!("CREATE UNIQUE INDEX ON {name} {key};"),
        _ => format!("ALTER TABLE {name} ADD UNIQUE {key};"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::*;

    #[test]
    fn tables_without_a_unique_index_are_warned_of() {
        let alter = |table: &str, key: &str| format!("ALTER TABLE \"public\".\"{table}\" ADD UNIQUE {key};");
        let (of_sessions, of_users) = ("(tenant, session_id)", "(tenant, user_id)");
        let by_day = || UniqueKey::PartitionedBy(vec!["created_at".to_owned()]);
        let rejected = "if two rows have the same key, calls for it are rejected";
        for (keys, kind, message, advice) in [
            (
                [UniqueKey::Ensured, UniqueKey::Ensured],
                Kind::Table,
                format!("sessions {of_sessions}, users {of_users}"),
                None,
            ),
            (
                [UniqueKey::Unknown, UniqueKey::Ensured],
                Kind::View,
                format!("sessions {of_sessions} can't be checked on a view, users {of_users}"),
                None,
            ),
            (
                [by_day(), UniqueKey::Ensured],
                Kind::PartitionedTable,
                format!(
                    "sessions {of_sessions} can't be ensured for a table that is partitioned by created_at, users {of_users}"
                ),
                None,
            ),
            (
                [UniqueKey::Missing, UniqueKey::Unknown],
                Kind::PartitionedTable,
                format!("none on sessions {of_sessions}: {rejected}"),
                Some(alter("sessions", of_sessions)),
            ),
            (
                [UniqueKey::Missing, UniqueKey::Missing],
                Kind::MaterializedView,
                format!("none on sessions {of_sessions}, users {of_users}: {rejected}"),
                Some(format!(
                    "CREATE UNIQUE INDEX ON \"public\".\"sessions\" {of_sessions};\n{}",
                    alter("users", of_users)
                )),
            ),
        ] {
            let mut catalog = healthy();
            catalog.sessions.found_mut().kind = kind;
            [catalog.sessions.found_mut().unique_key, catalog.users.found_mut().unique_key] = keys;
            let check = judge(&catalog);
            let status = if advice.is_some() { Status::Warning } else { Status::Ok };
            assert_eq!((check.status, check.message, check.advice), (status, message, advice));
        }
    }

    #[test]
    fn a_key_on_columns_that_are_missing_is_not_advised() {
        let mut catalog = healthy();
        let users = catalog.users.found_mut();
        users.unique_key = UniqueKey::Missing;
        for column in users.columns.iter_mut().filter(|column| column.name == "tenant") {
            column.actual = None;
        }
        let check = judge(&catalog);
        let expected = "sessions (tenant, session_id), users (tenant, user_id) can't be there without these columns";
        assert_eq!((check.status, check.message.as_str()), (Status::Ok, expected));
    }
}
