//! The facts about the two tables in the system catalog. Each is queried and judged by its own check.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{columns, rights, row_security, sessions, tables, unique_keys};
use crate::postgres::{Examiner, StepResult};
use crate::schema::{Schema, Table, quoted};

/// The name of these queries in timeout errors.
pub(super) const STEP: &str = "reading the catalog";

pub(super) struct Catalog {
    pub(super) sessions: Entry,
    pub(super) users: Entry,
}

pub(super) struct Entry {
    pub(super) table: Table,
    pub(super) finding: Finding,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Finding {
    Found(TableFacts),
    /// Not found. These PostgreSQL schemas have tables with the same name.
    Missing {
        elsewhere: Vec<String>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TableFacts {
    /// Its PostgreSQL schema.
    pub(super) schema: String,
    pub(super) kind: tables::Kind,
    pub(super) columns: Vec<columns::ColumnFacts>,
    #[serde(flatten)]
    pub(super) rights: rights::SchemaRights,
    /// Whether a unique index ensures at most one row per key. `None` for a view or a foreign table.
    pub(super) has_unique_key: Option<bool>,
    #[serde(flatten)]
    pub(super) visibility: row_security::Visibility,
    /// From the statistics of the server; `None` if it has none yet.
    pub(super) estimated_rows: Option<f64>,
}

pub(super) async fn query(examiner: &Examiner<'_>, schema: &Schema) -> StepResult<Catalog> {
    Ok(Catalog { sessions: entry(examiner, &schema.sessions).await?, users: entry(examiner, &schema.users).await? })
}

async fn entry(examiner: &Examiner<'_>, table: &Table) -> StepResult<Entry> {
    let finding = match tables::query(examiner, table).await? {
        None => Finding::Missing { elsewhere: tables::find_elsewhere(examiner, table).await? },
        Some(tables::FoundTable { oid, schema, kind }) => Finding::Found(TableFacts {
            schema,
            kind,
            columns: columns::query(examiner, table, oid).await?,
            rights: rights::query(examiner, oid).await?,
            has_unique_key: unique_keys::query(examiner, table, oid, kind).await?,
            visibility: row_security::query(examiner, oid).await?,
            estimated_rows: sessions::estimate_rows(examiner, oid).await?,
        }),
    };
    Ok(Entry { table: table.clone(), finding })
}

impl Catalog {
    pub(super) fn entries(&self) -> [&Entry; 2] {
        [&self.sessions, &self.users]
    }

    pub(super) fn found(&self) -> impl Iterator<Item = (&Table, &TableFacts)> {
        self.entries().into_iter().filter_map(|Entry { table, finding }| match finding {
            Finding::Found(found) => Some((table, found)),
            Finding::Missing { .. } => None,
        })
    }
}

/// As an object whose keys are the names of the tables.
impl Serialize for Catalog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = self.entries().map(|Entry { table, finding }| (table.name, finding));
        BTreeMap::from(named).serialize(serializer)
    }
}

impl TableFacts {
    /// The table's name for the SQL in an advice.
    pub(super) fn sql_name(&self, table: &Table) -> String {
        format!("{}.{}", sql_name(&self.schema), table.name)
    }
}

/// A name for SQL, quoted if necessary.
pub(super) fn sql_name(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'0'..=b'9'))
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty();
    if is_plain { name.to_owned() } else { quoted(name) }
}

/// The columns of the table's key, in parentheses.
pub(super) fn sql_key(table: &Table) -> String {
    format!("({})", table.key.join(", "))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::schema::Column;

    /// Two tables without problems.
    pub(in super::super) fn healthy() -> Catalog {
        let Schema { sessions, users, .. } = Schema::new(None);
        Catalog { sessions: healthy_entry(sessions), users: healthy_entry(users) }
    }

    fn healthy_entry(table: Table) -> Entry {
        let column = |column: &Column| columns::ColumnFacts::with_type(column, Some(column.role.usual_type()));
        let found = TableFacts {
            schema: "public".to_owned(),
            kind: tables::Kind::Table,
            columns: table.columns.iter().map(column).collect(),
            rights: rights::SchemaRights { schema_is_usable: true },
            has_unique_key: Some(true),
            visibility: row_security::Visibility { row_security: None, holds_rows: true },
            estimated_rows: None,
        };
        Entry { table, finding: Finding::Found(found) }
    }

    impl Entry {
        pub(in super::super) fn found_mut(&mut self) -> &mut TableFacts {
            match &mut self.finding {
                Finding::Found(found) => found,
                Finding::Missing { .. } => panic!("is missing"),
            }
        }
    }

    #[test]
    fn names_are_quoted_if_necessary() {
        for (name, expected) in [
            ("public", "public"),
            ("app_2", "app_2"),
            ("2app", "\"2app\""),
            ("", "\"\""),
            ("My app", "\"My app\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(sql_name(name), expected);
        }
    }

    #[test]
    fn details_are_by_table() {
        let details = serde_json::to_value(healthy()).expect("is JSON");
        let expected = serde_json::json!({
            "schema": "public", "kind": "table", "schemaIsUsable": true, "hasUniqueKey": true, "rowSecurity": null,
            "holdsRows": true, "estimatedRows": null,
        });
        for table in ["sessions", "users"] {
            let mut found = details[table]["found"].clone();
            assert!(found.as_object_mut().and_then(|found| found.remove("columns")).is_some());
            assert_eq!(found, expected, "{table}");
        }
    }
}
