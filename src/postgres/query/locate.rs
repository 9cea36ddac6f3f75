//! The query for the PostgreSQL schema of each table that the configuration doesn't name, and for the types of the columns.
//!
//! The search path of the connection doesn't count: behind a pooler another client may have changed it, or made a
//! temporary table with the same name. What counts is the default of the user and the database, which no client can change.
//! Each function and operator is named with its schema for the same reason, here and in the other queries.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{DatabaseSession, Parameter, Statement};
use crate::postgres::fault::{Fault, on_one_line};
use crate::schema::{ACTIVITY_COLUMNS, CREATED_AT, DESCRIPTION_COLUMNS, Role, Schema, Table, quoted};

/// Where the tables are, and which types their columns have.
#[derive(Clone, Debug)]
pub struct Located {
    /// With the PostgreSQL schema of each table; `None` for a table that was not found.
    pub schema: Schema,
    /// The search path that was used; `None` if the configuration names the PostgreSQL schemas.
    pub search_path: Option<String>,
    /// Whether the database can hold every character.
    pub(super) is_utf8: bool,
    columns: Vec<LocatedColumn>,
}

#[derive(Clone, Debug)]
struct LocatedColumn {
    is_of_users: bool,
    name: String,
    /// `None` if there is no such column.
    column_type: Option<ColumnType>,
    /// `atttypmod` of `pg_attribute`.
    modifier: Option<i32>,
}

/// The type of a column; of a domain, the type that it is based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnType {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) is_enum: bool,
    /// Whether texts are the same only if they are equal, by the collation of the column.
    pub(super) is_deterministic: bool,
    /// Of an array: the type of its elements.
    pub(super) element: Option<Box<Self>>,
}

/// `reset_val` is the search path that a new connection has. It is split as PostgreSQL does: names are separated by commas,
/// and lower case unless they are quoted. Schemas that the user may not use are passed over.
const SQL: &str = r#"
WITH RECURSIVE wanted AS (
  SELECT w.namespace, w.relation, w.attribute, w.place
  FROM unnest($1, $2, $3) WITH ORDINALITY AS w (namespace, relation, attribute, place)
), located AS (
  SELECT wanted.place, wanted.attribute, path.reset_val, coalesce(wanted.namespace, (
    SELECT n.nspname::pg_catalog.text
    FROM pg_catalog.regexp_matches(path.reset_val, '"((?:[^"]|"")*)"|([^",[:space:]]+)', 'g')
      WITH ORDINALITY AS item (match, place)
    JOIN pg_catalog.pg_namespace n ON n.nspname::pg_catalog.text OPERATOR(pg_catalog.=)
      CASE WHEN coalesce(item.match[1], item.match[2]) OPERATOR(pg_catalog.=) '$user'
        THEN session_user::pg_catalog.text
        ELSE coalesce(pg_catalog.replace(item.match[1], '""', '"'), pg_catalog.lower(item.match[2])) END
    JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
    WHERE c.relname OPERATOR(pg_catalog.=) wanted.relation::pg_catalog.name
      AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
      AND pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE')
    ORDER BY item.place
    LIMIT 1
  )) AS namespace, wanted.relation
  FROM pg_catalog.pg_settings path, wanted
  WHERE path.name OPERATOR(pg_catalog.=) 'search_path'
), typed (place, type, modifier, collated) AS (
  SELECT l.place, a.atttypid, a.atttypmod, a.attcollation
  FROM located l
  JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) l.namespace::pg_catalog.name
  JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
    AND c.relname OPERATOR(pg_catalog.=) l.relation::pg_catalog.name
  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
    AND a.attname OPERATOR(pg_catalog.=) l.attribute::pg_catalog.name AND NOT a.attisdropped
  UNION ALL
  SELECT d.place, t.typbasetype, t.typtypmod, d.collated
  FROM typed d
  JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) d.type
  WHERE t.typtype::pg_catalog.text OPERATOR(pg_catalog.=) 'd'
), based AS (
  SELECT d.place, n.nspname::pg_catalog.text AS namespace, t.typname::pg_catalog.text AS name,
    t.typtype::pg_catalog.text OPERATOR(pg_catalog.=) 'e' AS is_enum, d.modifier,
    d.collated,
    CASE WHEN t.typcategory::pg_catalog.text OPERATOR(pg_catalog.=) 'A' THEN t.typelem END AS element
  FROM typed d
  JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) d.type
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
  WHERE t.typtype::pg_catalog.text OPERATOR(pg_catalog.<>) 'd'
)
SELECT l.reset_val, l.namespace, pg_catalog.getdatabaseencoding()::pg_catalog.text,
  b.modifier, b.namespace, b.name, b.is_enum,
  en.nspname::pg_catalog.text, e.typname::pg_catalog.text, e.typtype::pg_catalog.text OPERATOR(pg_catalog.=) 'e',
  coalesce((pg_catalog.to_jsonb(k) OPERATOR(pg_catalog.->>) 'collisdeterministic')::pg_catalog.bool, true)
FROM located l
LEFT JOIN based b ON b.place OPERATOR(pg_catalog.=) l.place
LEFT JOIN pg_catalog.pg_collation k ON k.oid OPERATOR(pg_catalog.=) b.collated
LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) b.element
LEFT JOIN pg_catalog.pg_namespace en ON en.oid OPERATOR(pg_catalog.=) e.typnamespace
ORDER BY l.place"#;

pub(in crate::postgres) async fn locate(session: &DatabaseSession<'_>, schema: &Schema) -> Result<Located, Fault> {
    let mut schema = schema.clone();
    let wanted = wanted(&schema);
    let of = |is_of_users| if is_of_users { &schema.users } else { &schema.sessions };
    let namespaces: Vec<_> = wanted.iter().map(|(is_of_users, _)| of(*is_of_users).namespace.as_deref()).collect();
    let relations: Vec<_> = wanted.iter().map(|(is_of_users, _)| &*of(*is_of_users).name).collect();
    let attributes: Vec<_> = wanted.iter().map(|(_, name)| name.as_str()).collect();
    // It is sent once, so it is not prepared.
    let session = DatabaseSession { prepares: false, ..*session };
    let types = vec![Type::TEXT_ARRAY; 3];
    let statement = Statement { sql: SQL.to_owned(), types };
    let mut rows = Vec::with_capacity(wanted.len());
    let read = |row: &Row| {
        if rows.len() == wanted.len() {
            return Err(Fault::UnexpectedRow);
        }
        rows.push(LocatedRow::of(row)?);
        Ok(())
    };
    let parameters: [Parameter; 3] = [&namespaces, &relations, &attributes];
    session.for_each_row(&statement, &parameters, read).await?;
    if rows.len() < wanted.len() {
        return Err(Fault::MissingRow);
    }
    let is_named = schema.tables().all(|table| table.namespace.is_some());
    let first = rows.first().ok_or(Fault::MissingRow)?;
    let search_path = (!is_named).then(|| first.search_path.clone());
    let is_utf8 = first.encoding == "UTF8";
    let mut columns = Vec::with_capacity(rows.len());
    for ((is_of_users, name), row) in wanted.into_iter().zip(rows) {
        let table = if is_of_users { &mut schema.users } else { &mut schema.sessions };
        table.namespace = table.namespace.take().or(row.namespace);
        columns.push(LocatedColumn { is_of_users, name, column_type: row.column_type, modifier: row.modifier });
    }
    Ok(Located { schema, search_path, is_utf8, columns })
}

/// The columns whose types are needed, at least one of each table, and those that need not exist: whether it is of the users
/// relation, and its name.
fn wanted(schema: &Schema) -> Vec<(bool, String)> {
    let of = |is_of_users, table: &Table, is_wanted: fn(Role) -> bool| {
        let columns = table.columns.iter().filter(|column| is_wanted(column.role));
        columns.map(|column| (is_of_users, column.name.clone().into_owned())).collect::<Vec<_>>()
    };
    let is_typed = |role| matches!(role, Role::Id | Role::Claim(_));
    let mut wanted = of(false, &schema.sessions, is_typed);
    if schema.reads_users() {
        wanted.extend(of(true, &schema.users, is_typed));
    }
    wanted.extend(of(false, &schema.sessions, Role::is_optional));
    // Those that slides and other writes read and set.
    wanted.extend(of(false, &schema.sessions, |role| role == Role::Time));
    let written = [CREATED_AT].into_iter().chain(ACTIVITY_COLUMNS).chain(DESCRIPTION_COLUMNS);
    wanted.extend(written.map(|name| (false, name.to_owned())));
    wanted
}

struct LocatedRow {
    search_path: String,
    namespace: Option<String>,
    encoding: String,
    modifier: Option<i32>,
    column_type: Option<ColumnType>,
}

impl LocatedRow {
    fn of(row: &Row) -> Result<Self, Fault> {
        let is_deterministic = row.try_get(10)?;
        let element = column_type(row, 7, true, None)?.map(Box::new);
        Ok(Self {
            search_path: row.try_get(0)?,
            namespace: row.try_get(1)?,
            encoding: row.try_get(2)?,
            modifier: row.try_get(3)?,
            column_type: column_type(row, 4, is_deterministic, element)?,
        })
    }
}

/// The type that three columns describe, from the index `at`.
fn column_type(
    row: &Row,
    at: usize,
    is_deterministic: bool,
    element: Option<Box<ColumnType>>,
) -> Result<Option<ColumnType>, Fault> {
    let (namespace, name): (Option<String>, Option<String>) = (row.try_get(at)?, row.try_get(at + 1)?);
    let is_enum: Option<bool> = row.try_get(at + 2)?;
    let described = namespace.zip(name).zip(is_enum);
    Ok(described.map(|((namespace, name), is_enum)| ColumnType { namespace, name, is_enum, is_deterministic, element }))
}

impl ColumnType {
    pub(super) fn is_built_in(&self) -> bool {
        self.namespace == "pg_catalog"
    }

    /// The name as in SQL, for messages.
    pub(super) fn describe(&self) -> String {
        let name = match &self.element {
            Some(element) => format!("{}[]", element.name),
            None => self.name.clone(),
        };
        on_one_line(&name)
    }

    #[cfg(test)]
    pub(super) fn built_in(name: &str) -> Self {
        let (namespace, name) = ("pg_catalog".to_owned(), name.to_owned());
        Self { namespace, name, is_enum: false, is_deterministic: true, element: None }
    }
}

impl Located {
    /// The tables of `schema.sql` in the PostgreSQL schema `public`, by the search path.
    #[cfg(test)]
    pub(crate) fn in_public() -> Self {
        let schema = Schema::new(Some("public".to_owned()));
        Self { search_path: Some("\"$user\", public".to_owned()), ..Self::of_types(&schema, |_| None) }
    }

    /// Columns with the types that `of` gives them by their names, in a database with UTF-8.
    #[cfg(test)]
    pub(super) fn of_types(schema: &Schema, of: impl Fn(&str) -> Option<ColumnType>) -> Self {
        let wanted = wanted(schema).into_iter();
        let columns = wanted.map(|(is_of_users, name)| LocatedColumn {
            is_of_users,
            column_type: of(&name),
            modifier: None,
            name,
        });
        Self { schema: schema.clone(), search_path: None, is_utf8: true, columns: columns.collect() }
    }

    /// The SQL of a text as the column of the sessions holds it, cut where that is too long; `None` if there is no such column.
    pub(super) fn text_as(&self, column: &str, text: &str) -> Option<String> {
        const HEADER_BYTES: i32 = 4;
        let column = self.column(false, column)?;
        let ColumnType { namespace, name, .. } = column.column_type.as_ref()?;
        let text = format!("{text}::pg_catalog.text");
        let max = column.modifier.and_then(|modifier| modifier.checked_sub(HEADER_BYTES)).filter(|max| *max > 0);
        Some(match (name.as_str(), max) {
            ("varchar" | "bpchar", Some(max)) => format!("pg_catalog.left({text}, {max})"),
            ("text" | "varchar" | "bpchar", _) => text,
            _ => format!("{text}::{}.{}", quoted(namespace), quoted(name)),
        })
    }

    /// The same, or NULL where the column is an enum that doesn't have the text.
    pub(super) fn text_if_held(&self, column: &str, text: &str) -> Option<String> {
        let value = self.text_as(column, text)?;
        let ColumnType { namespace, name, is_enum, .. } = self.column_type(false, column)?;
        if !is_enum {
            return Some(value);
        }
        let all = format!("pg_catalog.enum_range(NULL::{}.{})::pg_catalog.text[]", quoted(namespace), quoted(name));
        let is_held = format!("{text}::pg_catalog.text OPERATOR(pg_catalog.=) ANY ({all})");
        Some(format!("CASE WHEN {is_held} THEN {value} END"))
    }

    /// Whether the type of the column is one that takes the text, as far as that is known without the database.
    pub(super) fn may_hold(&self, column: &str, text: &str) -> bool {
        let is_address = |found: &ColumnType| matches!(found.name.as_str(), "inet" | "cidr");
        !self.column_type(false, column).is_some_and(is_address) || text.parse::<IpAddr>().is_ok()
    }

    /// The SQL of the text of a column `s` of the sessions; `None` if there is no such column.
    pub(super) fn text_of(&self, column: &str) -> Option<String> {
        Some(match self.column_type(false, column)?.name.as_str() {
            // As a text it would have a netmask.
            "inet" => format!("pg_catalog.host(s.{column})"),
            _ => format!("s.{column}::pg_catalog.text"),
        })
    }

    /// The type of a column; `None` if there is no such column.
    pub(super) fn column_type(&self, is_of_users: bool, name: &str) -> Option<&ColumnType> {
        self.column(is_of_users, name)?.column_type.as_ref()
    }

    fn column(&self, is_of_users: bool, name: &str) -> Option<&LocatedColumn> {
        self.columns.iter().find(|column| column.is_of_users == is_of_users && column.name == name)
    }

    /// # Errors
    /// When a table was not found.
    pub(in crate::postgres) fn check_found(&self) -> Result<(), Fault> {
        let missing = self.schema.tables().filter(|table| table.namespace.is_none());
        let missing: Vec<_> = missing.map(|table| &*table.name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (missing, search_path) = (missing.join(" and "), self.search_path.clone().unwrap_or_default());
        Err(Fault::MissingTables { missing, search_path })
    }
}
