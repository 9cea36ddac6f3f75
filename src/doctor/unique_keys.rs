//! Whether unique indexes ensure at most one row per key. If two rows have the same key, calls for it are rejected.
#![forbid(unsafe_code)]

use super::catalog::{Catalog, Kind, STEP, sql_key};
use super::check::Check;
use crate::postgres::{Examiner, Parameter, StepResult};
use crate::schema::Table;

pub(super) const ID: &str = "unique-keys";

/// Whether there is a unique index on columns of the key only. `None` for a view or a foreign table, which have none.
pub(super) async fn query(examiner: &Examiner<'_>, table: &Table, oid: u32, kind: Kind) -> StepResult<Option<bool>> {
    const SQL: &str = "\
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index i
  WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND NOT EXISTS (
      SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE k.place <= i.indnkeyatts AND (a.attname = ANY ($2)) IS NOT TRUE
    )
)";
    match kind {
        Kind::View | Kind::ForeignTable => Ok(None),
        Kind::Table | Kind::PartitionedTable | Kind::MaterializedView => {
            let parameters = [Parameter::Oid(oid), Parameter::Texts(&table.key)];
            examiner.row(STEP, SQL, &parameters, |row| row.try_get(0)).await.map(Some)
        }
    }
}

pub(super) fn judge(catalog: &Catalog) -> Check {
    let with = |has_unique_key: Option<bool>| {
        catalog.found().filter(move |(_, found)| found.has_unique_key == has_unique_key).collect::<Vec<_>>()
    };
    let (without, unknown) = (with(Some(false)), with(None));
    let key = |table: &Table| format!("{} {}", table.name, sql_key(table));
    if !without.is_empty() {
        let names: Vec<_> = without.iter().map(|(table, _)| key(table)).collect();
        let advice: Vec<_> = without
            .iter()
            .map(|(table, found)| format!("ALTER TABLE {} ADD UNIQUE {};", found.sql_name(table), sql_key(table)))
            .collect();
        let message = format!("none on {}: if two rows have the same key, calls for it are rejected", names.join(", "));
        return Check::warning(ID, message, advice.join("\n"));
    }
    if !unknown.is_empty() {
        let names: Vec<_> = unknown.iter().map(|(table, _)| table.name).collect();
        return Check::ok(ID, format!("can't be checked on a view: {}", names.join(", ")));
    }
    Check::ok(ID, catalog.found().map(|(table, _)| key(table)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::*;

    #[test]
    fn tables_without_a_unique_index_are_warned_of() {
        for (of_sessions, of_users, status, message, advice) in [
            (Some(true), Some(true), Status::Ok, "sessions (tenant, session_id), users (tenant, user_id)", None),
            (None, Some(true), Status::Ok, "can't be checked on a view: sessions", None),
            (
                Some(false),
                None,
                Status::Warning,
                "none on sessions (tenant, session_id): if two rows have the same key, calls for it are rejected",
                Some("ALTER TABLE \"public\".\"sessions\" ADD UNIQUE (tenant, session_id);"),
            ),
            (
                Some(false),
                Some(false),
                Status::Warning,
                "none on sessions (tenant, session_id), users (tenant, user_id): if two rows have the same key, calls \
                 for it are rejected",
                Some(
                    "ALTER TABLE \"public\".\"sessions\" ADD UNIQUE (tenant, session_id);\n\
                     ALTER TABLE \"public\".\"users\" ADD UNIQUE (tenant, user_id);",
                ),
            ),
        ] {
            let mut catalog = healthy();
            catalog.sessions.found_mut().has_unique_key = of_sessions;
            catalog.users.found_mut().has_unique_key = of_users;
            let check = judge(&catalog);
            assert_eq!((check.status, check.message.as_str(), check.advice.as_deref()), (status, message, advice));
        }
    }
}
