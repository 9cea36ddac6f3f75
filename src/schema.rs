//! The two tables that a session is looked up in, as `schema.sql` creates them. SQL, claims check and doctor are derived
//! from this description.
#![forbid(unsafe_code)]

use std::fmt;

/// The tables of one database, and the claims that are compared with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub sessions: Table,
    pub users: Table,
    pub identity: [IdentityClaim; 4],
}

/// A claim that a token must have, and the column that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityClaim {
    pub claim: &'static str,
    pub table: &'static str,
    pub column: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The PostgreSQL schema of the table; `None` if the search path decides.
    pub namespace: Option<String>,
    pub name: &'static str,
    /// The columns that identify one row. The tenant comes first, so that a sharded database queries one shard.
    pub key: [&'static str; 2],
    pub columns: &'static [Column],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub role: Role,
}

/// What a column is used for, which decides the types that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Compared with a UUID of the token.
    Id,
    /// Compared with the server's clock.
    Time,
    /// Read as text.
    Text,
    /// Read by `explainSession` only, so the column is optional.
    Remark,
}

impl Schema {
    /// The tables of `schema.sql`, in the PostgreSQL schema `namespace` or else on the search path.
    pub fn new(namespace: Option<String>) -> Self {
        Self {
            sessions: Table {
                namespace: namespace.clone(),
                name: "sessions",
                key: ["tenant", "session_id"],
                columns: &SESSION_COLUMNS,
            },
            users: Table { namespace, name: "users", key: ["tenant", "user_id"], columns: &USER_COLUMNS },
            identity: IDENTITY,
        }
    }

    /// Moves the tables to the PostgreSQL schema `namespace`, if it is not `None`.
    pub fn in_namespace(mut self, namespace: Option<String>) -> Self {
        if namespace.is_some() {
            (self.sessions.namespace, self.users.namespace) = (namespace.clone(), namespace);
        }
        self
    }
}

const IDENTITY: [IdentityClaim; 4] = [
    IdentityClaim { claim: "session_id", table: "sessions", column: "session_id" },
    IdentityClaim { claim: "tenant", table: "sessions", column: "tenant" },
    IdentityClaim { claim: "id", table: "sessions", column: "user_id" },
    IdentityClaim { claim: "user_type", table: "users", column: "user_type" },
];
const SESSION_COLUMNS: [Column; 6] = [
    Column { name: "tenant", role: Role::Id },
    Column { name: "session_id", role: Role::Id },
    Column { name: "user_id", role: Role::Id },
    Column { name: "revoked_at", role: Role::Time },
    Column { name: "expires_at", role: Role::Time },
    Column { name: "revoked_reason", role: Role::Remark },
];
const USER_COLUMNS: [Column; 3] = [
    Column { name: "tenant", role: Role::Id },
    Column { name: "user_id", role: Role::Id },
    Column { name: "user_type", role: Role::Text },
];

impl Role {
    /// The type that `schema.sql` gives such a column.
    pub fn usual_type(self) -> &'static str {
        match self {
            Self::Id => "uuid",
            Self::Time => "timestamptz",
            Self::Text | Self::Remark => "text",
        }
    }

    pub fn is_optional(self) -> bool {
        matches!(self, Self::Remark)
    }
}

/// The quoted name for SQL.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{}.", quoted(namespace))?;
        }
        f.write_str(&quoted(self.name))
    }
}

/// A quoted SQL identifier. Without quotes, upper case is lost, and spaces and reserved words are syntax errors.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_quoted() {
        for (namespace, expected) in [
            (None, r#""sessions""#),
            (Some("app"), r#""app"."sessions""#),
            (Some(r#"My "app""#), r#""My ""app"""."sessions""#),
        ] {
            assert_eq!(Schema::new(namespace.map(str::to_owned)).sessions.to_string(), expected);
        }
    }

    #[test]
    fn identity_claims_are_compared_with_columns_that_are_read() {
        let schema = Schema::new(None);
        for IdentityClaim { claim, table, column } in schema.identity {
            let table = [&schema.sessions, &schema.users].into_iter().find(|known| known.name == table);
            let columns = table.expect(claim).columns;
            assert!(columns.iter().any(|known| known.name == column), "{claim}");
        }
    }

    #[test]
    fn a_namespace_of_none_changes_nothing() {
        let app = || Some("app".to_owned());
        for (before, named, expected) in [(None, app(), app()), (app(), None, app()), (None, None, None)] {
            let schema = Schema::new(before).in_namespace(named);
            assert_eq!([schema.sessions.namespace, schema.users.namespace], [expected.clone(), expected]);
        }
    }

    /// Each column that is read is declared in `schema.sql` with the type given here.
    #[test]
    fn columns_are_those_of_schema_sql() {
        let sql = include_str!("../schema.sql");
        let schema = Schema::new(None);
        for table in [&schema.sessions, &schema.users] {
            let (_, rest) = sql.split_once(&format!("TABLE {} (", table.name)).expect(table.name);
            let (body, _) = rest.split_once(");").expect("its end");
            for Column { name, role } in table.columns {
                let declared = body.lines().map(str::split_whitespace).find_map(|mut words| {
                    (words.next() == Some(name)).then(|| words.next().unwrap_or_default().trim_end_matches(','))
                });
                assert_eq!(declared, Some(role.usual_type()), "{}.{name}", table.name);
            }
            assert!(body.contains(&format!("PRIMARY KEY ({})", table.key.join(", "))), "{}", table.name);
        }
    }
}
