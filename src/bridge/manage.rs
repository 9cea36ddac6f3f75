//! Starts, lists and ends sessions. What the app names is asked of the store as it is; only the loops are here.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;

use rand::random;
use serde::Serialize;
use uuid::Builder;

use super::Bridge;
use crate::claims::Rolling;
use crate::error::Error;
use crate::iso8601::date_time;
use crate::lookups::{Lookups, Responder};
use crate::metrics::Write;
use crate::redacted::redacted;
use crate::schema::{Id, Schema};
use crate::store::{
    Deletion, ListedSession, ManagedStore, NewSession, Owner, Revocation, Scope, SessionLimit, Started,
};

/// What JavaScript gets of a session that started.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedSession {
    session_id: String,
    expires_at: Option<String>,
}

redacted!(CreatedSession);

/// An id for a session that starts.
pub fn new_session_id() -> Id {
    Id::Uuid(Builder::from_random_bytes(random()).into_uuid())
}

impl<S: ManagedStore + 'static, R: Responder> Bridge<S, R> {
    pub fn schema(&self) -> &Schema {
        self.reader.sessions.schema()
    }

    /// How long a session lives if the app doesn't say, in seconds.
    pub fn max_age(&self) -> u32 {
        self.rolling.max_age.unwrap_or(Rolling::DEFAULT_MAX_AGE)
    }

    pub fn create_session(
        &self,
        new: NewSession,
    ) -> impl Future<Output = Result<CreatedSession, Error>> + Send + use<S, R> {
        let lookups = Arc::clone(&self.lookups);
        async move {
            let end = lookups.deadline();
            let started = lookups.manage(async {
                match (lookups.store().create(&new, &end).await?, new.limit) {
                    (Started::Created { expires_at, revoked }, _) => Ok((expires_at, revoked)),
                    (Started::Full, limit) => {
                        Err(Error::TooManySessions { max: limit.map_or(0, |SessionLimit { max, .. }| max) })
                    }
                }
            });
            let (expires_at, revoked) = started.await?;
            lookups.metrics().count_written(Write::Created, 1);
            lookups.metrics().count_written(Write::Revoked, revoked);
            Ok(CreatedSession { session_id: new.session_id.text().into_owned(), expires_at: date_time(expires_at) })
        }
    }

    pub fn list_sessions(
        &self,
        owner: Owner,
        current: Option<Id>,
    ) -> impl Future<Output = Result<Vec<ListedSession>, Error>> + Send + use<S, R> {
        let lookups = Arc::clone(&self.lookups);
        async move {
            let end = lookups.deadline();
            lookups.manage(lookups.store().list(&owner, current.as_ref(), &end)).await
        }
    }

    /// Ends sessions: how many.
    pub fn revoke(&self, revocation: Revocation) -> impl Future<Output = Result<u64, Error>> + Send + use<S, R> {
        let lookups = Arc::clone(&self.lookups);
        let is_tenant = matches!(revocation.scope, Scope::Tenant(_));
        async move {
            let mut all = 0;
            loop {
                let ended = revoke_part(&lookups, &revocation).await?;
                all += ended;
                if !is_tenant || ended == 0 {
                    return Ok(all);
                }
            }
        }
    }

    /// Deletes sessions that ended before a time, in seconds since 1970: how many, at most `limit`. Each part is a statement of its
    /// own, so it has no time limit as a whole.
    pub fn delete_ended_sessions(
        &self,
        before: f64,
        limit: u64,
    ) -> impl Future<Output = Result<u64, Error>> + Send + use<S, R> {
        let lookups = Arc::clone(&self.lookups);
        async move {
            let mut deletion = Deletion { before, after: None, limit };
            loop {
                let end = lookups.deadline();
                let deleted = lookups.manage(lookups.store().delete_ended(&deletion, &end)).await?;
                lookups.metrics().count_written(Write::Deleted, deleted.rows);
                deletion.limit = deletion.limit.saturating_sub(deleted.rows);
                deletion.after = deleted.next;
                if deletion.after.is_none() || deletion.limit == 0 {
                    return Ok(limit - deletion.limit);
                }
            }
        }
    }
}

pub(super) async fn revoke_part<S: ManagedStore + 'static, R: Responder>(
    lookups: &Arc<Lookups<S, R>>,
    revocation: &Revocation,
) -> Result<u64, Error> {
    let end = lookups.deadline();
    let ended = lookups.manage(lookups.store().revoke(revocation, &end)).await?;
    lookups.metrics().count_written(Write::Revoked, ended);
    Ok(ended)
}
