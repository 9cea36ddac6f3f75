//! What the catalog says of the two tables.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::{Oid, Type};

use super::super::connect::Connection;
use super::columns::{Fit, Needed, OF_SESSIONS, OF_USERS};

type Answer<T> = Result<T, tokio_postgres::Error>;

#[derive(Serialize)]
pub(super) struct Tables {
    sessions: Table,
    users: Table,
}

impl Tables {
    /// In `schema`, or where the search path finds them.
    pub(super) async fn new(connection: &Connection, schema: Option<&str>) -> Answer<Self> {
        let catalog = Catalog { client: &connection.client, schema };
        Ok(Self {
            sessions: catalog.table("sessions", &OF_SESSIONS, &["tenant", "session_id"]).await?,
            users: catalog.table("users", &OF_USERS, &["tenant", "user_id"]).await?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Table {
    Found(FoundTable),
    /// There are tables of this name in these schemas.
    Missing {
        elsewhere: Vec<String>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundTable {
    schema: String,
    kind: Kind,
    columns: Vec<Column>,
    /// Whether the user may use the schema.
    schema_is_usable: bool,
    /// Whether one row at most has a key; `None` where an index can't tell.
    has_unique_key: Option<bool>,
    /// That is in force for the user.
    row_security: Option<RowSecurity>,
    /// Whether there is anything in it, be it visible or not.
    holds_rows: bool,
    /// By the server's statistics; `None` where there are none yet.
    estimated_rows: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Column {
    name: &'static str,
    usual_type: &'static str,
    is_optional: bool,
    /// `None` where there is no such column.
    actual: Option<ActualColumn>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActualColumn {
    #[serde(rename = "type")]
    type_name: String,
    fit: Fit,
    is_readable: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RowSecurity {
    /// Policies for this user that let rows be read.
    policies: i64,
    /// Whether they let all be read.
    admits_all: bool,
}

struct Catalog<'a> {
    client: &'a Client,
    schema: Option<&'a str>,
}

/// Of `pg_class.relkind`: what can be selected from.
const KINDS: [(&str, Kind); 5] = [
    ("r", Kind::Table),
    ("p", Kind::PartitionedTable),
    ("v", Kind::View),
    ("m", Kind::MaterializedView),
    ("f", Kind::ForeignTable),
];

impl Catalog<'_> {
    async fn table(&self, name: &str, needed: &[Needed], key: &[&str]) -> Answer<Table> {
        const QUESTION: &str = "\
SELECT c.oid,
       n.nspname::text,
       c.relkind::text,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
       pg_catalog.row_security_active(c.oid),
       coalesce(pg_catalog.pg_relation_size(c.oid), 0) > 0 OR c.relkind <> 'r',
       nullif(c.reltuples, -1)::float8
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN $2 IS NULL THEN c.oid = pg_catalog.to_regclass($1) ELSE n.nspname = $2 END";
        let parameters = [(&name as _, Type::TEXT), (&self.schema as _, Type::TEXT)];
        let Some(row) = self.client.query_typed(QUESTION, &parameters).await?.into_iter().next() else {
            return Ok(Table::Missing { elsewhere: self.elsewhere(name).await? });
        };
        let oid: Oid = row.try_get(0)?;
        let kind = kind(row.try_get(2)?);
        let has_row_security: bool = row.try_get(4)?;
        let estimated_rows: Option<f64> = row.try_get(6)?;
        Ok(Table::Found(FoundTable {
            schema: row.try_get(1)?,
            kind,
            columns: self.columns(oid, needed).await?,
            schema_is_usable: row.try_get(3)?,
            has_unique_key: match kind {
                Kind::Table | Kind::PartitionedTable | Kind::MaterializedView => {
                    Some(self.has_unique_key(oid, key).await?)
                }
                Kind::View | Kind::ForeignTable => None,
            },
            row_security: match has_row_security {
                true => Some(self.row_security(oid).await?),
                false => None,
            },
            holds_rows: row.try_get(5)?,
            estimated_rows,
        }))
    }

    async fn elsewhere(&self, name: &str) -> Answer<Vec<String>> {
        const QUESTION: &str = "\
SELECT n.nspname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^(pg_|information_schema$)'
ORDER BY 1";
        let rows = self.client.query_typed(QUESTION, &[(&name, Type::TEXT)]).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    async fn columns(&self, table: Oid, needed: &[Needed]) -> Answer<Vec<Column>> {
        const QUESTION: &str = "\
SELECT a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       b.typname::text,
       b.typcategory::text,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = self.client.query_typed(QUESTION, &[(&table, Type::OID)]).await?;
        let mut rows: HashMap<String, _> =
            rows.into_iter().map(|row| Ok((row.try_get(0)?, row))).collect::<Answer<_>>()?;
        let column = |Needed { name, need }: &Needed| {
            let actual = rows.remove(*name).map(|row| {
                Ok(ActualColumn {
                    type_name: row.try_get(1)?,
                    fit: need.fit(row.try_get(2)?, row.try_get(3)?),
                    is_readable: row.try_get(4)?,
                })
            });
            let (usual_type, is_optional) = (need.usual_type(), need.is_optional());
            Ok(Column { name, usual_type, is_optional, actual: actual.transpose()? })
        };
        needed.iter().map(column).collect()
    }

    /// Whether there is a unique index on nothing but columns of the key.
    async fn has_unique_key(&self, table: Oid, key: &[&str]) -> Answer<bool> {
        const QUESTION: &str = "\
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index i
  WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND NOT EXISTS (
      SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE k.place <= i.indnkeyatts AND (a.attname = ANY ($2)) IS NOT TRUE
    )
)";
        let parameters = [(&table as _, Type::OID), (&key as _, Type::TEXT_ARRAY)];
        let rows = self.client.query_typed(QUESTION, &parameters).await?;
        rows.first().map_or(Ok(false), |row| row.try_get(0))
    }

    async fn row_security(&self, table: Oid) -> Answer<RowSecurity> {
        const QUESTION: &str = "\
SELECT count(*) FILTER (WHERE p.polpermissive),
       coalesce(
         bool_or(p.polpermissive AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true')
           AND bool_and(p.polpermissive),
         false
       )
FROM pg_catalog.pg_policy p
WHERE p.polrelid = $1 AND p.polcmd IN ('r', '*')
  AND EXISTS (
    SELECT FROM unnest(p.polroles) AS role
    WHERE role = 0 OR pg_catalog.pg_has_role(role, 'USAGE')
  )";
        let row = self.client.query_typed(QUESTION, &[(&table, Type::OID)]).await?;
        row.first().map_or(Ok(RowSecurity { policies: 0, admits_all: false }), |row| {
            Ok(RowSecurity { policies: row.try_get(0)?, admits_all: row.try_get(1)? })
        })
    }
}

fn kind(letter: &str) -> Kind {
    KINDS.into_iter().find(|(of, _)| *of == letter).map_or(Kind::Table, |(_, kind)| kind)
}
