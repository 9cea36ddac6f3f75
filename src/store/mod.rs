//! The session store, and the decision whether a session is live.
#![forbid(unsafe_code)]

mod cache;
#[cfg(test)]
pub(crate) mod fake;
mod fresh;
mod identity;
mod liveness;
mod manage;

use std::fmt;
use std::future::Future;

pub use self::cache::{CacheStatus, Moment, SessionCache};
pub use self::fresh::FreshValue;
pub use self::identity::{Candidates, Identity, Lifetime, Lookup, SessionKey, UserType, Wanted};
pub use self::liveness::{Liveness, SessionRecord, Slide, UserRow, Verdict};
pub use self::manage::{
    Columns, Deadline, Deleted, Deletion, ListedSession, ManagedStore, NewSession, Owner, Reason, Revocation, Scope,
    SessionLimit, Started, WhenFull,
};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::IdTypes;

/// Finds session records: PostgreSQL, or a fake in unit tests.
pub trait SessionStore: fmt::Debug + Send + Sync {
    type Connection: Send;

    /// How many connections there can be at once; at least one.
    fn max_connections(&self) -> usize;

    /// A connection for the exclusive use of the caller.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Error>> + Send;

    /// Whether `connect` would return an idle connection instead of making one.
    fn has_idle(&self) -> bool;

    /// What the columns of ids can hold, as far as it is known yet.
    fn id_types(&self) -> IdTypes;

    /// The record of each session, in the order of `wanted`: `None` if there is no such session. Sees every
    /// revocation that was committed before the call. Rows that are to be slid are slid in the same round trip, if they may be. If
    /// the future is dropped, the query is cancelled and the connection closed.
    fn find(
        &self,
        connection: Self::Connection,
        wanted: &[Wanted],
    ) -> impl Future<Output = Vec<Result<Option<SessionRecord>, Error>>> + Send;

    /// How a session ended; `None` if there is no such session.
    fn find_end(&self, key: &SessionKey) -> impl Future<Output = Result<Option<SessionEnd>, Error>> + Send;

    /// Where answers are kept; `None` if each call asks.
    fn cache(&self) -> Option<&SessionCache> {
        None
    }

    /// The connection on which is heard what others end; `None` if nobody listens.
    fn listener(&self) -> Option<ListenerStatus> {
        None
    }

    fn status(&self) -> PoolStatus;

    /// Ends every connection.
    fn close(&self);
}

/// How a session ended, and whose it is, for `explainSession`. Times are in seconds since 1970, infinite where PostgreSQL
/// says so.
#[derive(Clone, Default, PartialEq)]
pub struct SessionEnd {
    pub user_id: Option<String>,
    pub expires_at: Option<f64>,
    pub revoked_at: Option<f64>,
    pub revoked_reason: Option<String>,
}

redacted!(SessionEnd);

/// How it is with the connection on which is heard what others end. Serialises to `listener` of `BridgeStats` in `index.d.ts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ListenerStatus {
    /// Whether notifications come through.
    pub listening: bool,
    /// How many came, but for those that only try whether they do.
    pub notifications: u64,
    /// How often the connection was lost or could not be made.
    pub failures: u64,
    /// Why there is none.
    pub problem: Option<String>,
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
    /// How many tasks wait for one.
    pub waiting: usize,
    /// How many have been made so far.
    pub connects: u64,
    /// How many attempts to make one failed.
    pub connect_failures: u64,
}
