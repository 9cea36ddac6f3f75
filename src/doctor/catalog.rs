//! The facts about the two tables in the system catalog. Each fact is queried and judged by its own check.
//!
//! An advice can be pasted into psql: its statements end with a semicolon, its remarks are comments.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::schema::{Role, Table, quoted};

/// The name of these queries in timeout errors.
pub(super) const STEP: &str = "reading the catalog";

pub(super) struct Catalog {
    pub(super) sessions: Entry,
    pub(super) users: Entry,
    /// Tables with the sessions of an adapter of Auth.js, with their PostgreSQL schemas.
    pub(super) of_adapter: Vec<String>,
}

pub(super) struct Entry {
    pub(super) table: Table,
    pub(super) finding: Finding,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Finding {
    Found(TableFacts),
    /// Not found. There are these tables with the same name, or one that differs in upper and lower case only.
    Missing {
        elsewhere: Vec<OtherTable>,
    },
    /// The configuration asks nothing of users.
    NotRead,
}

/// A table of another PostgreSQL schema, or of another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct OtherTable {
    pub(super) schema: String,
    pub(super) name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TableFacts {
    /// Its PostgreSQL schema.
    pub(super) schema: String,
    pub(super) kind: Kind,
    /// The tables behind a view.
    pub(super) behind: Vec<Behind>,
    pub(super) columns: Vec<ColumnFacts>,
    #[serde(flatten)]
    pub(super) rights: SchemaRights,
    pub(super) unique_key: UniqueKey,
    /// Indexes that have to do with the last column of the key.
    pub(super) indexes: Vec<IndexFacts>,
    #[serde(flatten)]
    pub(super) visibility: Visibility,
    /// From the statistics of the server; `None` if it has none yet.
    pub(super) estimated_rows: Option<f64>,
}

/// A table that a view reads, or a view between.
#[derive(Serialize)]
pub(super) struct Behind {
    /// With its PostgreSQL schema.
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexFacts {
    pub(super) name: String,
    /// Its method, columns and condition.
    pub(super) definition: String,
    /// Whether it finds one row: it has the column itself, in its collation, behind none but columns of the key, and has no
    /// condition.
    pub(super) finds_one: bool,
}

/// Whether a unique index ensures at most one row per key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UniqueKey {
    Ensured,
    Missing,
    /// The table is partitioned by these other columns, which such an index would have to contain.
    PartitionedBy(Vec<String>),
    /// For a view or a foreign table.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

impl Kind {
    /// By `pg_class.relkind`.
    pub(super) fn of(letter: &str) -> Self {
        match letter {
            "p" => Self::PartitionedTable,
            "v" => Self::View,
            "m" => Self::MaterializedView,
            "f" => Self::ForeignTable,
            _ => Self::Table,
        }
    }

    /// Whether `ALTER TABLE` can change its columns.
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::PartitionedTable)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::PartitionedTable => "partitioned table",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::ForeignTable => "foreign table",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ColumnFacts {
    pub(super) name: String,
    #[serde(skip)]
    pub(super) role: Role,
    pub(super) usual_type: &'static str,
    pub(super) is_optional: bool,
    /// `None` if there is no such column.
    pub(super) actual: Option<ActualColumn>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActualColumn {
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// The type itself; for a domain, the one that it is based on.
    #[serde(skip)]
    pub(super) base_name: String,
    pub(super) fit: Fit,
    pub(super) is_readable: bool,
    /// What prevents a change of the type.
    pub(super) used_by: Vec<String>,
    /// The actions of `ALTER TABLE` that make it the usual type, if there are any.
    #[serde(skip)]
    pub(super) conversion: Option<String>,
}

/// Whether the type of a column is suitable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fit {
    Good,
    /// A time without a zone, which is read as UTC.
    Zoneless,
    Wrong,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaRights {
    /// Whether the user may use the PostgreSQL schema of the table.
    pub(super) schema_is_usable: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Visibility {
    /// `None` if it is not active for the user.
    pub(super) row_security: Option<RowSecurity>,
    /// Whether the table has rows, visible or not.
    pub(super) holds_rows: bool,
    /// Whether it is active for a user without privileges.
    pub(super) is_secured: bool,
    /// Whether there is a restrictive policy for every user.
    pub(super) restricts_everyone: bool,
    /// Whether what `row_security` advises is there already.
    pub(super) has_bridge_policy: bool,
    pub(super) has_bridge_role: bool,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowSecurity {
    /// The number of permissive policies that apply to this user and to reading.
    pub(super) policies: i64,
    /// Whether the policies let the user read all rows.
    pub(super) admits_all: bool,
}

impl Catalog {
    pub(super) fn entries(&self) -> [&Entry; 2] {
        [&self.sessions, &self.users]
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.entries().iter().any(|entry| matches!(entry.finding, Finding::Missing { .. }))
    }

    pub(super) fn found(&self) -> impl Iterator<Item = (&Table, &TableFacts)> {
        self.entries().into_iter().filter_map(|Entry { table, finding }| match finding {
            Finding::Found(found) => Some((table, found)),
            Finding::Missing { .. } | Finding::NotRead => None,
        })
    }
}

/// As an object with the keys `sessions` and `users`, whatever the names of the tables are.
impl Serialize for Catalog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = [("sessions", &self.sessions.finding), ("users", &self.users.finding)];
        BTreeMap::from(named).serialize(serializer)
    }
}

impl OtherTable {
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

impl TableFacts {
    /// The table's name for the SQL in an advice.
    pub(super) fn sql_name(&self, table: &Table) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&table.name))
    }

    /// The name with its PostgreSQL schema, for messages.
    pub(super) fn full_name(&self, table: &Table) -> String {
        format!("{}.{}", self.schema, table.name)
    }

    /// Names the tables behind a view.
    pub(super) fn names_behind(&self) -> String {
        let tables = self.behind.iter().filter(|behind| behind.kind != Kind::View);
        tables.map(|behind| behind.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether its rows are as old as the last refresh of a materialized view.
    pub(super) fn is_materialized(&self) -> bool {
        self.kind == Kind::MaterializedView || self.behind.iter().any(|behind| behind.kind == Kind::MaterializedView)
    }
}

/// The columns of the table's key, in parentheses.
pub(super) fn sql_key(table: &Table) -> String {
    format!("({})", table.key.join(", "))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::schema::{Column, Schema};

    /// Two tables without problems.
    pub(in super::super) fn healthy() -> Catalog {
        let Schema { sessions, users, .. } = Schema::new(None);
        Catalog { sessions: healthy_entry(sessions), users: healthy_entry(users), of_adapter: Vec::new() }
    }

    fn healthy_entry(table: Table) -> Entry {
        let column = |column: &Column| ColumnFacts::with_type(column, Some(column.role.usual_type()));
        let found = TableFacts {
            schema: "public".to_owned(),
            kind: Kind::Table,
            behind: Vec::new(),
            columns: table.columns.iter().map(column).collect(),
            rights: SchemaRights { schema_is_usable: true },
            unique_key: UniqueKey::Ensured,
            indexes: vec![IndexFacts { name: "key".to_owned(), definition: "btree".to_owned(), finds_one: true }],
            visibility: Visibility {
                row_security: None,
                holds_rows: true,
                is_secured: false,
                restricts_everyone: false,
                has_bridge_policy: false,
                has_bridge_role: false,
            },
            estimated_rows: None,
        };
        Entry { table, finding: Finding::Found(found) }
    }

    impl Entry {
        pub(in super::super) fn found_mut(&mut self) -> &mut TableFacts {
            match &mut self.finding {
                Finding::Found(found) => found,
                Finding::Missing { .. } | Finding::NotRead => panic!("was not found"),
            }
        }
    }

    #[test]
    fn details_are_by_table() {
        let details = serde_json::to_value(healthy()).expect("is JSON");
        let expected = serde_json::json!({
            "schema": "public", "kind": "table", "behind": [], "schemaIsUsable": true, "uniqueKey": "ensured", "rowSecurity": null,
            "indexes": [{ "name": "key", "definition": "btree", "findsOne": true }],
            "holdsRows": true, "estimatedRows": null, "isSecured": false, "restrictsEveryone": false,
            "hasBridgePolicy": false, "hasBridgeRole": false,
        });
        for table in ["sessions", "users"] {
            let mut found = details[table]["found"].clone();
            assert!(found.as_object_mut().and_then(|found| found.remove("columns")).is_some());
            assert_eq!(found, expected, "{table}");
        }
    }
}
