//! The columns that a session is found by, with their types.
#![forbid(unsafe_code)]

use tokio_postgres::types::Type;

use super::ids::{ID_TYPES, IdColumn};
use super::locate::Located;
use crate::postgres::fault::Fault;
use crate::schema::{IdTypes, Schema, Table};

pub(super) struct KeyColumns {
    /// Of sessions; `None` if there are no tenants.
    pub(super) tenant: Option<IdColumn>,
    pub(super) session_id: IdColumn,
    /// Of sessions.
    pub(super) user_id: IdColumn,
    of_users: Option<UserColumns>,
    is_utf8: bool,
    /// Whether the collation of each text is.
    is_deterministic: bool,
}

struct UserColumns {
    tenant: Option<IdColumn>,
    user_id: IdColumn,
}

impl KeyColumns {
    /// # Errors
    /// If ids can't be of the type that a column has. One that doesn't exist is left to the query, whose error names it.
    pub(super) fn new(located: &Located) -> Result<Self, Fault> {
        let Located { schema, is_utf8, .. } = located;
        let of = |is_of_users: bool, table: &Table, name: &str| match located.column_type(is_of_users, name) {
            None => Ok(IdColumn::Text),
            Some(found) => IdColumn::of(found).ok_or_else(|| {
                let column = format!("{}.{name} is {}", table.name, found.describe());
                Fault::UnsuitableColumn(format!("{column}, but ids must be {ID_TYPES}"))
            }),
        };
        let session = |name: &str| of(false, &schema.sessions, name);
        let user = |name: &str| of(true, &schema.users, name);
        let with_tenant = |column: &dyn Fn(&str) -> Result<IdColumn, Fault>| {
            schema.is_multi_tenant.then(|| column("tenant")).transpose()
        };
        let of_users = schema
            .reads_users()
            .then(|| Ok::<_, Fault>(UserColumns { tenant: with_tenant(&user)?, user_id: user("user_id")? }));
        let is_deterministic = |name| located.column_type(false, name).is_none_or(|found| found.is_deterministic);
        Ok(Self {
            is_deterministic: ["tenant", "session_id", "user_id"].into_iter().all(is_deterministic),
            tenant: with_tenant(&session)?,
            session_id: session("session_id")?,
            user_id: session("user_id")?,
            of_users: of_users.transpose()?,
            is_utf8: *is_utf8,
        })
    }

    /// The columns of a lookup: the key, and the user.
    pub(super) fn names(&self) -> &'static [&'static str] {
        const NAMES: &[&str] = &["tenant", "session_id", "user_id"];
        if self.tenant.is_some() { NAMES } else { &NAMES[1..] }
    }

    /// The columns of the key, with their names.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = (&'static str, &IdColumn)> {
        self.names().iter().copied().zip(self.tenant.iter().chain([&self.session_id]))
    }

    pub(super) fn types(&self) -> impl Iterator<Item = &IdColumn> {
        self.tenant.iter().chain([&self.session_id, &self.user_id])
    }

    /// Of the parameters of a statement for one session.
    pub(super) fn key_types(&self) -> Vec<Type> {
        self.key_columns().map(|(_, column)| column.parameter()).collect()
    }

    /// Of the parameters of a statement for one tenant: the tenant, and lists of the others.
    pub(super) fn types_of_tenant(&self) -> Vec<Type> {
        let lists = [&self.session_id, &self.user_id].map(IdColumn::list_parameter);
        self.tenant.iter().map(IdColumn::parameter).chain(lists).collect()
    }

    pub(super) fn id_types(&self) -> IdTypes {
        let of = |column: &IdColumn| column.id_type(self.is_utf8, self.is_deterministic);
        IdTypes { tenant: self.tenant.as_ref().map(of), session_id: of(&self.session_id), user_id: of(&self.user_id) }
    }

    /// The rows `k` of a statement for several sessions, with their places from 1 on. `names` are those of the lists, which are the
    /// parameters. `unnest` pairs the lists and numbers the rows; with several lists it is always PostgreSQL's own. The subselects
    /// hide their length from the planner: it would plan anew for each short list, which takes longer than the query.
    pub(super) fn unnest(&self, names: &[&str]) -> String {
        let lists: Vec<_> = (1..=names.len()).map(|number| format!("(SELECT ${number})")).collect();
        format!("unnest({}) WITH ORDINALITY AS k ({}, place)", lists.join(", "), names.join(", "))
    }

    /// Whether a row of sessions has the key of the first parameters.
    pub(super) fn equal_parameters(&self) -> String {
        self.equal(|number, _| format!("${number}"))
    }

    /// Whether a row of sessions has the key of a row of `other`.
    pub(super) fn equal_columns_of(&self, other: &str) -> String {
        self.equal(|_, name| format!("{other}.{name}"))
    }

    fn equal(&self, value: impl Fn(usize, &str) -> String) -> String {
        let equal = (1..).zip(self.key_columns());
        let equal = equal.map(|(number, (name, column))| column.equals(&format!("s.{name}"), &value(number, name)));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// The join of the user of a session, on a line of its own; empty if it is not read.
    pub(super) fn join_users(&self, schema: &Schema) -> String {
        let Some(UserColumns { tenant, user_id }) = &self.of_users else {
            return String::new();
        };
        let tenant = tenant.as_ref().zip(self.tenant.as_ref());
        let tenant = tenant.map(|(of_user, of_session)| of_user.equals_column("u.tenant", "s.tenant", of_session));
        let user = user_id.equals_column("u.user_id", "s.user_id", &self.user_id);
        let equal: Vec<_> = tenant.into_iter().chain([user]).collect();
        format!("\nLEFT JOIN {} u ON {}", schema.users, equal.join(" AND "))
    }
}
