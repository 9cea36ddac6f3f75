//! When a session is live, and where that is asked.
#![forbid(unsafe_code)]

#[cfg(test)]
pub(crate) mod fake;

use std::fmt;
use std::future::Future;

use uuid::Uuid;

use crate::error::Error;
use crate::redacted::redacted;

/// The primary key of `sessions`. The tenant leads, so that a sharded database routes by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    pub tenant: Uuid,
    pub session_id: Uuid,
}

/// Whose session a token says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pub user_id: Uuid,
    pub user_type: UserType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UserType {
    Client,
    Internal,
}

impl UserType {
    pub const BY_NAME: [(&str, Self); 2] = [("client", Self::Client), ("internal", Self::Internal)];

    fn is_named(self, name: &str) -> bool {
        Self::BY_NAME.contains(&(name, self))
    }
}

/// What the database holds of a session at the moment of the query.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// `sessions.user_id`.
    pub user_id: Option<Uuid>,
    /// `sessions.revoked_at` is set.
    pub revoked: bool,
    /// `sessions.expires_at` is set and not later than the database's own now.
    pub expired: bool,
    /// `users.user_type` of that user in that tenant; `None` without such a user.
    pub user_type: Option<String>,
}

/// How a session ended, for whoever asks why. Times in seconds since 1970, infinite where
/// PostgreSQL says so.
#[derive(Clone, Default, PartialEq)]
pub struct SessionEnd {
    pub expires_at: Option<f64>,
    pub revoked_at: Option<f64>,
    pub revoked_reason: Option<String>,
}

redacted!(SessionKey, Holder, SessionRecord, SessionEnd);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    Live,
    /// No such session in this tenant.
    Unknown,
    Revoked,
    Expired,
    /// The session is another user's.
    OtherUser,
    /// Its user doesn't exist in this tenant.
    UserGone,
    /// Its user is now of another type than the token says.
    UserTypeChanged,
}

impl Liveness {
    /// The whole rule. `record` is what the database holds under the token's [`SessionKey`].
    pub fn of(record: Option<&SessionRecord>, holder: &Holder, expiry: RowExpiry) -> Self {
        let Some(record) = record else {
            return Self::Unknown;
        };
        if record.revoked {
            return Self::Revoked;
        }
        if record.expired && expiry == RowExpiry::Checked {
            return Self::Expired;
        }
        if record.user_id != Some(holder.user_id) {
            return Self::OtherUser;
        }
        match &record.user_type {
            None => Self::UserGone,
            Some(name) if holder.user_type.is_named(name) => Self::Live,
            Some(_) => Self::UserTypeChanged,
        }
    }
}

/// Whether `sessions.expires_at` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowExpiry {
    Checked,
    Ignored,
}

/// Where the records are: PostgreSQL, or a fake in unit tests.
pub trait RevocationSource: fmt::Debug + Send + Sync {
    type Connection: Send;

    /// How many connections there can be at once; at least one.
    fn max_connections(&self) -> usize;

    /// A connection that nobody else uses.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Error>> + Send;

    /// Whether `connect` would give a connection that is there already.
    fn has_idle(&self) -> bool;

    /// What is there now under each key, in their order: a revocation that was committed before the
    /// call is seen. `None` where there is no such session. Whoever drops the future gives the
    /// connection up.
    fn find(
        &self,
        connection: Self::Connection,
        keys: &[SessionKey],
    ) -> impl Future<Output = Vec<Result<Option<SessionRecord>, Error>>> + Send;

    /// How a session ended; `None` when there is no such session.
    fn find_end(&self, key: SessionKey) -> impl Future<Output = Result<Option<SessionEnd>, Error>> + Send;

    fn status(&self) -> PoolStatus;

    /// Ends every connection.
    fn close(&self);
}

/// The connections as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// How many there can be at once.
    pub max: usize,
    /// How many there are.
    pub size: usize,
    pub in_use: usize,
    /// Who waits for one.
    pub waiting: usize,
    /// How many were made so far.
    pub connects: u64,
    /// How often none could be made.
    pub connect_failures: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_session_is_live() {
        let user_id = Uuid::from_u128(1);
        let holder = Holder { user_id, user_type: UserType::Client };
        let live = SessionRecord {
            user_id: Some(user_id),
            revoked: false,
            expired: false,
            user_type: Some("client".to_owned()),
        };
        let with = |change: &dyn Fn(&mut SessionRecord)| {
            let mut record = live.clone();
            change(&mut record);
            Some(record)
        };
        for (case, record, expected) in [
            ("as the token says", with(&|_| {}), Liveness::Live),
            ("no row", None, Liveness::Unknown),
            ("revoked", with(&|row| row.revoked = true), Liveness::Revoked),
            ("expired", with(&|row| row.expired = true), Liveness::Expired),
            ("other user", with(&|row| row.user_id = Some(Uuid::from_u128(2))), Liveness::OtherUser),
            ("no user", with(&|row| row.user_id = None), Liveness::OtherUser),
            ("user gone", with(&|row| row.user_type = None), Liveness::UserGone),
            ("other type", with(&|row| row.user_type = Some("internal".to_owned())), Liveness::UserTypeChanged),
            ("unknown type", with(&|row| row.user_type = Some("Client".to_owned())), Liveness::UserTypeChanged),
        ] {
            let liveness = Liveness::of(record.as_ref(), &holder, RowExpiry::Checked);
            assert_eq!(liveness, expected, "{case}");
        }

        let ignoring =
            |change: &dyn Fn(&mut SessionRecord)| Liveness::of(with(change).as_ref(), &holder, RowExpiry::Ignored);
        assert_eq!(ignoring(&|row| row.expired = true), Liveness::Live);
        assert_eq!(ignoring(&|row| (row.expired, row.revoked) = (true, true)), Liveness::Revoked);
    }
}
