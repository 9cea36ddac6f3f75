//! The session that a token is for.
#![forbid(unsafe_code)]

use uuid::Uuid;

use crate::redacted::redacted;

/// The session that a token is for: its key, its user, and the expiry of the token.
#[derive(Clone, Copy, PartialEq)]
pub struct Identity {
    pub key: SessionKey,
    pub holder: Holder,
    /// `iat` of the token, in seconds since 1970; minus infinity if it doesn't say.
    pub issued_at: f64,
    /// `exp` of the token, in seconds since 1970.
    pub token_expires_at: f64,
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

/// The primary key of `sessions`. The tenant comes first, so that a sharded database routes by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    pub tenant: Uuid,
    pub session_id: Uuid,
}

/// The user of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pub user_id: Uuid,
    pub user_type: UserType,
}

redacted!(Identity, SessionKey, Holder);

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
