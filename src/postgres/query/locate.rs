//! The query for the PostgreSQL schema of each table that the configuration doesn't name.
//!
//! The search path of the connection doesn't count: behind a pooler another client may have changed it, or made a
//! temporary table with the same name. What counts is the default of the user and the database, which no client can change.
//! Each function and operator is named with its schema for the same reason, here and in the other queries.
#![forbid(unsafe_code)]

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{DatabaseSession, Statement};
use crate::postgres::fault::Fault;
use crate::schema::Schema;

/// Where the tables are.
#[derive(Clone, Debug)]
pub struct Located {
    /// With the PostgreSQL schema of each table; `None` for a table that was not found.
    pub schema: Schema,
    /// The search path that was used; `None` if the configuration names the PostgreSQL schema.
    pub search_path: Option<String>,
}

/// `reset_val` is the search path that a new connection has. It is split as PostgreSQL does: names are separated by commas,
/// and lower case unless they are quoted. Schemas that the user may not use are passed over.
const SQL: &str = r#"
SELECT path.reset_val, (
  SELECT n.nspname::pg_catalog.text
  FROM pg_catalog.regexp_matches(path.reset_val, '"((?:[^"]|"")*)"|([^",[:space:]]+)', 'g')
    WITH ORDINALITY AS item (match, place)
  JOIN pg_catalog.pg_namespace n ON n.nspname::pg_catalog.text OPERATOR(pg_catalog.=)
    CASE WHEN coalesce(item.match[1], item.match[2]) OPERATOR(pg_catalog.=) '$user'
      THEN session_user::pg_catalog.text
      ELSE coalesce(pg_catalog.replace(item.match[1], '""', '"'), pg_catalog.lower(item.match[2])) END
  JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
  WHERE c.relname OPERATOR(pg_catalog.=) wanted.name::pg_catalog.name
    AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
    AND pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE')
  ORDER BY item.place
  LIMIT 1
)
FROM pg_catalog.pg_settings path, pg_catalog.unnest($1) WITH ORDINALITY AS wanted (name, place)
WHERE path.name OPERATOR(pg_catalog.=) 'search_path'
ORDER BY wanted.place"#;

pub(in crate::postgres) async fn locate(session: &DatabaseSession<'_>, schema: &Schema) -> Result<Located, Fault> {
    let mut schema = schema.clone();
    let tables = [&mut schema.sessions, &mut schema.users];
    if tables.iter().all(|table| table.namespace.is_some()) {
        return Ok(Located { schema, search_path: None });
    }
    let names = tables.each_ref().map(|table| table.name);
    // It is sent once, so it is not prepared.
    let session = DatabaseSession { prepares: false, ..*session };
    let statement = Statement { sql: SQL.to_owned(), types: vec![Type::TEXT_ARRAY] };
    let mut rows: Vec<(String, Option<String>)> = Vec::new();
    let read = |row: &Row| {
        if rows.len() == names.len() {
            return Err(Fault::UnexpectedRow);
        }
        rows.push((row.try_get(0)?, row.try_get(1)?));
        Ok(())
    };
    session.for_each_row(&statement, &[&names.as_slice()], read).await?;
    let search_path = rows.first().ok_or(Fault::MissingRow)?.0.clone();
    let mut found = rows.into_iter();
    for table in tables {
        let (_, namespace) = found.next().ok_or(Fault::MissingRow)?;
        table.namespace = table.namespace.take().or(namespace);
    }
    Ok(Located { schema, search_path: Some(search_path) })
}

impl Located {
    /// # Errors
    /// When a table was not found.
    pub(in crate::postgres) fn into_schema(self) -> Result<Schema, Fault> {
        let Self { schema, search_path } = self;
        let missing: Vec<_> = [&schema.sessions, &schema.users]
            .into_iter()
            .filter(|table| table.namespace.is_none())
            .map(|table| table.name)
            .collect();
        if missing.is_empty() {
            return Ok(schema);
        }
        let (missing, path) = (missing.join(" and "), search_path.unwrap_or_default());
        Err(Fault::MissingTables { missing, search_path: path })
    }
}
