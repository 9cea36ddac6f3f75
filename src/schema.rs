//! The two tables that a session is looked up in: SQL, claims and the doctor read them from here.
//! `schema.sql` creates them.
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
    /// The PostgreSQL schema that the table is in; `None` where the search path decides.
    pub namespace: Option<String>,
    pub name: &'static str,
    /// The columns that find one row. The tenant comes first, so that a sharded database asks one shard.
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
    /// Read by `explainSession` only, so it may be missing.
    Remark,
}

impl Schema {
    /// The tables of `schema.sql`, in the PostgreSQL schema `namespace` or where the search path finds them.
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

    /// The same tables in another PostgreSQL schema, where one is named.
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

/// The name as SQL has it, quoted.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{}.", quoted(namespace))?;
        }
        f.write_str(&quoted(self.name))
    }
}

/// An identifier as SQL has it. Quoting keeps upper case, spaces and reserved words.
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
    fn a_namespace_replaces_one_only_if_there_is_one() {
        let app = || Some("app".to_owned());
        for (before, named, expected) in [(None, app(), app()), (app(), None, app()), (None, None, None)] {
            let schema = Schema::new(before).in_namespace(named);
            assert_eq!([schema.sessions.namespace, schema.users.namespace], [expected.clone(), expected]);
        }
    }

    /// Each column that is read stands in `schema.sql` with the type that is said here.
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
