//! What is asked of the store beside reads: to start sessions, to list and to end them, and to delete ended ones.
#![forbid(unsafe_code)]

use std::future::Future;

use serde::ser::{Serialize, SerializeMap, Serializer};
use tokio::time::Instant;

use super::{SessionKey, SessionStore};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::{Id, IdTypes};

/// A store whose sessions can be started, listed and ended. Each call takes a connection of its own.
pub trait ManagedStore: SessionStore {
    fn create(&self, new: &NewSession, end: &Deadline) -> impl Future<Output = Result<Started, Error>> + Send;

    /// The live sessions of a user, the latest activity first. `current` is marked among them.
    fn list(
        &self,
        owner: &Owner,
        current: Option<&Id>,
        end: &Deadline,
    ) -> impl Future<Output = Result<Vec<ListedSession>, Error>> + Send;

    /// Ends sessions: how many. Of a tenant, as many as one statement should; none are left if it ended none.
    fn revoke(&self, revocation: &Revocation, end: &Deadline) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Deletes the ended sessions of a part of the table.
    fn delete_ended(&self, deletion: &Deletion, end: &Deadline) -> impl Future<Output = Result<Deleted, Error>> + Send;
}

/// When a call has taken too long, and the error that it rejects with then.
#[derive(Clone, Debug)]
pub struct Deadline {
    pub at: Instant,
    pub error: Error,
}

/// A user, whose sessions are meant.
#[derive(Clone, PartialEq)]
pub struct Owner {
    /// `None` if there are no tenants.
    pub tenant: Option<Id>,
    pub user_id: Id,
}

impl Owner {
    /// With the ids as the columns have them; `None` if one can't hold its id, so that no session is this user's.
    pub fn fit(&self, types: &IdTypes) -> Option<Self> {
        Some(Self { tenant: types.fit_tenant(self.tenant.as_ref())?, user_id: types.user_id.fit(&self.user_id)? })
    }
}

/// A session that starts.
#[derive(Clone)]
pub struct NewSession {
    pub owner: Owner,
    pub session_id: Id,
    /// In seconds.
    pub max_age: u32,
    pub login_method: Option<String>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub device_name: Option<String>,
    pub device_type: Option<String>,
    pub columns: Columns,
    pub limit: Option<SessionLimit>,
    /// Sessions that are about to end for this one, so that the limit doesn't count them.
    pub replaced: Vec<Id>,
}

/// Further columns of the app's table.
#[derive(Clone, Default)]
pub struct Columns {
    pub names: Vec<String>,
    /// An object with the value of each.
    pub json: String,
}

/// The most sessions that a user can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimit {
    pub max: u32,
    pub when_full: WhenFull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Ends those that were not active for longest.
    RevokeOldest,
    /// No session starts.
    Refuse,
}

/// What became of a session that was to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Started {
    Created {
        /// In seconds since 1970, by the clock of the database.
        expires_at: f64,
        /// How many others were ended for it.
        revoked: u64,
    },
    /// The user has as many as may be.
    Full,
}

/// A live session of a list.
#[derive(Clone, PartialEq)]
pub struct ListedSession {
    pub session_id: String,
    /// What the table has columns for, with its names in JavaScript.
    pub fields: Vec<(&'static str, Option<String>)>,
    pub is_current: bool,
}

impl Serialize for ListedSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("sessionId", &self.session_id)?;
        for (name, value) in &self.fields {
            object.serialize_entry(name, value)?;
        }
        if self.is_current {
            object.serialize_entry("current", &true)?;
        }
        object.end()
    }
}

/// Which sessions are to end.
#[derive(Clone, PartialEq)]
pub enum Scope {
    /// One, if it is of this user; of whomever without one.
    One { key: SessionKey, user_id: Option<Id> },
    /// All of a user, but for the one that is kept.
    User { owner: Owner, kept: Option<Id> },
    /// All of a tenant.
    Tenant(Id),
}

#[derive(Clone, PartialEq)]
pub struct Revocation {
    pub scope: Scope,
    pub reason: Option<Reason>,
}

/// Why sessions end.
#[derive(Clone, PartialEq)]
pub enum Reason {
    OfApp(String),
    /// Left out where there is no column for it, or the column doesn't take it.
    Own(&'static str),
}

impl Reason {
    pub fn text(&self) -> &str {
        match self {
            Self::OfApp(text) => text,
            Self::Own(text) => text,
        }
    }
}

/// A part of the rows that ended before a time, by their keys.
#[derive(Clone, PartialEq)]
pub struct Deletion {
    /// In seconds since 1970.
    pub before: f64,
    /// Where the last part ended; `None` for the first.
    pub after: Option<SessionKey>,
    /// The most rows to delete.
    pub limit: u64,
}

#[derive(Clone, PartialEq)]
pub struct Deleted {
    pub rows: u64,
    /// Where the next part begins; `None` at the end of the table.
    pub next: Option<SessionKey>,
}

redacted!(Owner, NewSession, Columns, ListedSession, Scope, Revocation, Reason, Deletion, Deleted);
