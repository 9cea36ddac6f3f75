//! The two tables that a session is looked up in, and which claims the session object has. SQL, claims check and doctor are
//! derived from this description.
#![forbid(unsafe_code)]

mod id;

use std::borrow::Cow;
use std::fmt;

pub use self::id::{Id, IdType, IdTypes};

/// The tables of one database, and the claims that are compared with them or come from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub sessions: Table,
    pub users: Table,
    /// Whether rows and tokens have a tenant.
    pub is_multi_tenant: bool,
    pub user_check: UserCheck,
    /// Claims of the app, passed on in this order as the token has them.
    pub extra_claims: Vec<String>,
    /// Columns of the users relation that count in place of the token's claims.
    pub fresh_claims: Vec<FreshClaim>,
    /// Whether the session object says when the token expires.
    pub shows_expiry: bool,
    /// Whether `expires_at` counts. If not, it is neither read nor written.
    pub has_row_expiry: bool,
    /// For how many seconds a session can live, whatever it is used for; `None` for no end.
    pub absolute_max_age: Option<u32>,
}

/// What is asked of the row of a session's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCheck {
    /// Its `user_type` is that of the token.
    Type,
    /// There is one.
    Exists,
    /// Nothing: it is not read.
    None,
}

/// A column of the users relation that counts in place of the claim of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshClaim {
    pub name: String,
    pub kind: ClaimKind,
}

/// Which values a claim can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    Text,
    Flag,
    Texts,
    Any,
}

impl ClaimKind {
    /// The types that the column of a fresh claim can have, for messages.
    pub fn column_types(self) -> &'static str {
        match self {
            Self::Text => "a text, an enum, a uuid or a time",
            Self::Flag => "a boolean",
            Self::Texts => "text[], json or jsonb",
            Self::Any => "a text, an enum, a uuid, a boolean, a number, a time, json, jsonb or text[]",
        }
    }
}

/// A claim that a token must have, and the column that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityClaim {
    pub claim: &'static str,
    pub column: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The PostgreSQL schema of the table; `None` if the search path decides.
    pub namespace: Option<String>,
    pub name: Cow<'static, str>,
    /// The columns that identify one row. The tenant comes first, so that a sharded database queries one shard.
    pub key: &'static [&'static str],
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: Cow<'static, str>,
    pub role: Role,
}

/// What a column is used for, which decides the types that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Compared with an id of the token.
    Id,
    /// Compared with the server's clock.
    Time,
    /// Read as text.
    Text,
    /// Read by `explainSession` only, so the column is optional.
    Remark,
    /// A fresh claim.
    Claim(ClaimKind),
}

/// How the tables differ from those of `schema.sql`.
#[derive(Clone, Debug)]
pub struct Differences {
    pub sessions: Option<TableName>,
    pub users: Option<TableName>,
    pub is_multi_tenant: bool,
    pub user_check: UserCheck,
    pub extra_claims: Vec<String>,
    pub fresh_claims: Vec<FreshClaim>,
    pub shows_expiry: bool,
    pub has_row_expiry: bool,
    pub absolute_max_age: Option<u32>,
}

/// The name of a table, perhaps with its PostgreSQL schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub namespace: Option<String>,
    pub name: String,
}

impl Default for Differences {
    fn default() -> Self {
        Self {
            sessions: None,
            users: None,
            is_multi_tenant: true,
            user_check: UserCheck::Type,
            extra_claims: Vec::new(),
            fresh_claims: Vec::new(),
            shows_expiry: false,
            has_row_expiry: true,
            absolute_max_age: None,
        }
    }
}

impl Schema {
    /// The tables of `schema.sql`, in the PostgreSQL schema `namespace` or else on the search path.
    pub fn new(namespace: Option<String>) -> Self {
        Self::with(Differences::default()).in_namespace(namespace)
    }

    pub fn with(differences: Differences) -> Self {
        let Differences {
            sessions,
            users,
            is_multi_tenant,
            user_check,
            extra_claims,
            fresh_claims,
            shows_expiry,
            has_row_expiry,
            absolute_max_age,
        } = differences;
        let is_read = |column: &Column| match &*column.name {
            EXPIRES_AT => has_row_expiry,
            CREATED_AT => absolute_max_age.is_some(),
            _ => true,
        };
        let session_columns = SESSION_COLUMNS.into_iter().filter(is_read).collect();
        let mut user_columns = vec![Column::new("user_id", Role::Id)];
        if user_check == UserCheck::Type {
            user_columns.push(Column::new("user_type", Role::Text));
        }
        let fresh = |claim: &FreshClaim| Column { name: claim.name.clone().into(), role: Role::Claim(claim.kind) };
        user_columns.extend(fresh_claims.iter().map(fresh));
        Self {
            sessions: Table::new("sessions", sessions, SESSIONS_KEY, session_columns, is_multi_tenant),
            users: Table::new("users", users, USERS_KEY, user_columns, is_multi_tenant),
            is_multi_tenant,
            user_check,
            extra_claims,
            fresh_claims,
            shows_expiry,
            has_row_expiry,
            absolute_max_age,
        }
    }

    /// Moves those tables to the PostgreSQL schema `namespace` that are in none, if it is not `None`.
    pub fn in_namespace(mut self, namespace: Option<String>) -> Self {
        for table in [&mut self.sessions, &mut self.users] {
            table.namespace = table.namespace.take().or_else(|| namespace.clone());
        }
        self
    }

    /// The tables that are read.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        [&self.sessions].into_iter().chain(self.reads_users().then_some(&self.users))
    }

    pub fn reads_users(&self) -> bool {
        self.user_check != UserCheck::None
    }

    /// The claims that a token must have.
    pub fn identity(&self) -> impl Iterator<Item = IdentityClaim> {
        let is_needed = |claim: &IdentityClaim| match claim.claim {
            "tenant" => self.is_multi_tenant,
            "user_type" => self.user_check == UserCheck::Type,
            _ => true,
        };
        IDENTITY.into_iter().filter(is_needed)
    }

    /// The claims of the identity that a token lacks, or that no id can be.
    pub fn missing(&self, is_present: impl Fn(&str) -> bool) -> Vec<&'static str> {
        self.identity().map(|identity| identity.claim).filter(|claim| !is_present(claim)).collect()
    }
}

impl Table {
    fn new(
        usual: &'static str,
        named: Option<TableName>,
        key: &'static [&'static str],
        mut columns: Vec<Column>,
        is_multi_tenant: bool,
    ) -> Self {
        let (namespace, name) = match named {
            Some(TableName { namespace, name }) => (namespace, Cow::Owned(name)),
            None => (None, Cow::Borrowed(usual)),
        };
        if is_multi_tenant {
            columns.insert(0, Column::new("tenant", Role::Id));
        }
        Self { namespace, name, key: if is_multi_tenant { key } else { &key[1..] }, columns }
    }
}

impl Column {
    const fn new(name: &'static str, role: Role) -> Self {
        Self { name: Cow::Borrowed(name), role }
    }
}

const IDENTITY: [IdentityClaim; 4] = [
    IdentityClaim { claim: "session_id", column: "session_id" },
    IdentityClaim { claim: "tenant", column: "tenant" },
    IdentityClaim { claim: "id", column: "user_id" },
    IdentityClaim { claim: "user_type", column: "user_type" },
];
const SESSIONS_KEY: &[&str] = &["tenant", "session_id"];
const USERS_KEY: &[&str] = &["tenant", "user_id"];
/// When a session ends, unless it is slid.
pub const EXPIRES_AT: &str = "expires_at";
/// When it began, which bounds how long it can be slid.
pub const CREATED_AT: &str = "created_at";
pub const LAST_ACTIVITY_AT: &str = "last_activity_at";
/// The columns that a slide sets if the table has them.
pub const ACTIVITY_COLUMNS: [&str; 2] = [LAST_ACTIVITY_AT, "updated_at"];
/// Texts that describe a session. A table need not have them.
pub const DESCRIPTION_COLUMNS: [&str; 5] = ["login_method", "ip_address", "user_agent", "device_name", "device_type"];
pub const REVOKED_AT: &str = "revoked_at";
pub const REVOKED_REASON: &str = "revoked_reason";
const SESSION_COLUMNS: [Column; 6] = [
    Column::new("session_id", Role::Id),
    Column::new("user_id", Role::Id),
    Column::new(REVOKED_AT, Role::Time),
    Column::new(EXPIRES_AT, Role::Time),
    Column::new(CREATED_AT, Role::Time),
    Column::new(REVOKED_REASON, Role::Remark),
];

impl Role {
    /// The type that `schema.sql` gives such a column.
    pub fn usual_type(self) -> &'static str {
        match self {
            Self::Id => "uuid",
            Self::Time => "timestamptz",
            Self::Claim(ClaimKind::Flag) => "boolean",
            Self::Claim(ClaimKind::Texts) => "text[]",
            Self::Text | Self::Remark | Self::Claim(ClaimKind::Text | ClaimKind::Any) => "text",
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
        f.write_str(&quoted(&self.name))
    }
}

/// A quoted SQL identifier. Without quotes, upper case is lost, and spaces and reserved words are syntax errors.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name of a column in an advice: quoted only where it must be, so that it can be read.
pub fn quoted_if_needed(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
    let is_plain = name.chars().all(is_plain) && !name.starts_with(|first: char| first.is_ascii_digit());
    if is_plain { name.to_owned() } else { quoted(name) }
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
        for (is_multi_tenant, user_check, expected) in [
            (true, UserCheck::Type, &["session_id", "tenant", "id", "user_type"] as &[_]),
            (true, UserCheck::Exists, &["session_id", "tenant", "id"]),
            (false, UserCheck::Type, &["session_id", "id", "user_type"]),
            (false, UserCheck::None, &["session_id", "id"]),
        ] {
            let schema = Schema::with(Differences { is_multi_tenant, user_check, ..Differences::default() });
            assert_eq!(schema.missing(|_| false), expected);
            assert_eq!(schema.missing(|claim| claim != "id"), ["id"]);
            for IdentityClaim { claim, column } in schema.identity() {
                let is_read = schema.tables().any(|table| table.columns.iter().any(|known| known.name == column));
                assert!(is_read, "{claim}");
            }
        }
    }

    #[test]
    fn tables_of_other_names_keep_their_own_namespace() {
        let named = |namespace: Option<&str>, name: &str| {
            Some(TableName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
        };
        let schema = Schema::with(Differences {
            sessions: named(Some("auth"), "Session"),
            users: named(None, "User"),
            is_multi_tenant: false,
            ..Differences::default()
        });
        let schema = schema.in_namespace(Some("app".to_owned()));
        assert_eq!(schema.sessions.to_string(), r#""auth"."Session""#);
        assert_eq!(schema.users.to_string(), r#""app"."User""#);
        assert_eq!((schema.sessions.key, schema.users.key), (&["session_id"] as &[_], &["user_id"] as &[_]));
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
        let sql = include_str!("../../schema.sql");
        let schema = Schema::new(None);
        for table in [&schema.sessions, &schema.users] {
            let (_, rest) = sql.split_once(&format!("TABLE {} (", table.name)).expect(&table.name);
            let (body, _) = rest.split_once(");").expect("its end");
            for Column { name, role } in &table.columns {
                let declared = body.lines().map(str::split_whitespace).find_map(|mut words| {
                    (words.next() == Some(&**name)).then(|| words.next().unwrap_or_default().trim_end_matches(','))
                });
                assert_eq!(declared, Some(role.usual_type()), "{}.{name}", table.name);
            }
            assert!(body.contains(&format!("PRIMARY KEY ({})", table.key.join(", "))), "{}", table.name);
        }
    }
}
