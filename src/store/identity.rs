//! The session that a token is for.
#![forbid(unsafe_code)]

use crate::redacted::redacted;
use crate::schema::{Id, IdType, IdTypes, Schema};

/// The session that a token is for: its key, its user, and the expiry of the token.
#[derive(Clone, PartialEq)]
pub struct Identity {
    pub lookup: Lookup,
    /// `None` if the token names none, which is allowed where the user's row is not compared with it.
    pub user_type: Option<UserType>,
    /// `iat` of the token, in seconds since 1970; minus infinity if it doesn't say.
    pub issued_at: f64,
    /// `exp` of the token, in seconds since 1970.
    pub token_expires_at: f64,
    /// `rolled_at` of the token, in seconds since 1970; minus infinity if it doesn't say.
    pub rolled_at: f64,
    /// For how many seconds the session is to be slid; `None` if it is only read.
    pub slide: Option<Lifetime>,
}

/// How long a session is to live from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime {
    /// From one second to 400 days.
    pub seconds: u32,
    /// Whether the row's own lifetime counts if it is shorter: how long it had left when it was last active.
    pub is_bounded_by_row: bool,
}

/// A session that is looked up, and perhaps slid.
#[derive(Clone, PartialEq)]
pub struct Wanted {
    pub lookup: Lookup,
    pub slide: Option<Lifetime>,
}

/// What one request may stand for, of which there is mostly one: a browser can send several session cookies.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates<T> {
    pub newest: T,
    /// The others, newest first.
    pub older: Vec<T>,
}

impl<T> Candidates<T> {
    pub fn one(newest: T) -> Self {
        Self { newest, older: Vec::new() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    pub fn as_ref(&self) -> Candidates<&T> {
        Candidates { newest: &self.newest, older: self.older.iter().collect() }
    }

    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Candidates<U> {
        Candidates { newest: change(self.newest), older: self.older.into_iter().map(change).collect() }
    }

    /// The one at `place`, the newest being 0.
    pub fn take(self, place: usize) -> Option<T> {
        match place.checked_sub(1) {
            None => Some(self.newest),
            Some(place) => self.older.into_iter().nth(place),
        }
    }
}

impl Identity {
    pub fn is_of_user_of(&self, other: &Self) -> bool {
        (&self.lookup.user_id, self.user_type) == (&other.lookup.user_id, other.user_type)
    }

    /// The claims whose ids the columns can't hold, which is known when the types of the columns are.
    pub fn unfit(&self, schema: &Schema, types: &IdTypes) -> Vec<&'static str> {
        let Lookup { key, user_id } = &self.lookup;
        schema.missing(|claim| match claim {
            "session_id" => types.session_id.fit(&key.session_id).is_some(),
            "tenant" => types.tenant.zip(key.tenant.as_ref()).is_some_and(|(column, id)| column.fit(id).is_some()),
            "id" => types.user_id.fit(user_id).is_some(),
            _ => true,
        })
    }
}

/// What is looked up: a session, and whether it belongs to this user.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Lookup {
    pub key: SessionKey,
    pub user_id: Id,
}

impl Lookup {
    /// A session that doesn't exist.
    pub fn of_nobody(types: &IdTypes) -> Self {
        let key = SessionKey { tenant: types.tenant.map(IdType::nil), session_id: types.session_id.nil() };
        Self { key, user_id: types.user_id.nil() }
    }

    /// Whether the columns can hold all ids.
    pub fn fits(&self, types: &IdTypes) -> bool {
        self.is_typed(types) || self.fit(types).is_some()
    }

    /// Whether the ids were read as those of the columns.
    pub fn is_typed(&self, types: &IdTypes) -> bool {
        let is_of = |column: Option<IdType>, id: Option<&Id>| match (column, id) {
            (Some(column), Some(id)) => column.is_of(id),
            (column, id) => column.is_none() && id.is_none(),
        };
        is_of(types.tenant, self.key.tenant.as_ref())
            && types.session_id.is_of(&self.key.session_id)
            && types.user_id.is_of(&self.user_id)
    }

    /// With the ids as the columns have them; `None` if one can't hold its id.
    pub fn fit(&self, types: &IdTypes) -> Option<Self> {
        Some(Self { key: self.key.fit(types)?, user_id: types.user_id.fit(&self.user_id)? })
    }
}

/// The primary key of `sessions`. The tenant comes first, so that a sharded database routes by it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// `None` if there are no tenants.
    pub tenant: Option<Id>,
    pub session_id: Id,
}

impl SessionKey {
    /// With the ids as the columns have them; `None` if one can't hold its id.
    pub fn fit(&self, types: &IdTypes) -> Option<Self> {
        let session_id = types.session_id.fit(&self.session_id)?;
        Some(Self { tenant: types.fit_tenant(self.tenant.as_ref())?, session_id })
    }
}

redacted!(Identity, Lookup, SessionKey, Wanted);

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UserType {
    Client,
    Internal,
}

impl UserType {
    pub const BY_NAME: [(&str, Self); 2] = [("client", Self::Client), ("internal", Self::Internal)];

    pub fn is_named(self, name: &str) -> bool {
        Self::BY_NAME.contains(&(name, self))
    }
}
