//! The session that a token is for.
#![forbid(unsafe_code)]

use uuid::Uuid;

use crate::redacted::redacted;

/// The session that a token is for: its key, its user, and the expiry of the token.
#[derive(Clone, Copy, PartialEq)]
pub struct Identity {
    pub key: SessionKey,
    pub holder: Holder,
    /// `exp` of the token, in seconds since 1970.
    pub token_expires_at: f64,
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
