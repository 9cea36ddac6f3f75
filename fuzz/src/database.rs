//! A fake database, and channels instead of JavaScript promises.

use std::sync::{Mutex, MutexGuard};

use arbitrary::Arbitrary;
use authjs_bridge::error::Error;
use authjs_bridge::lookups::{Answer, Responder};
use authjs_bridge::store::{PoolStatus, SessionEnd, SessionKey, SessionRecord, SessionStore};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::claims::Expected;

/// The state of the only session that may be looked up.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    Live,
    Missing,
    Revoked,
    Expired,
    OtherUser,
    UserGone,
    OtherUserType,
    /// The database can't be reached.
    Outage,
}

impl Row {
    fn record(self, session: &Expected) -> Result<Option<SessionRecord>, Error> {
        let type_name = |is_client| if is_client { "client" } else { "internal" };
        let live = SessionRecord {
            user_id: Some(session.user_id),
            revoked: false,
            expired: false,
            user_type: Some(type_name(session.is_client).to_owned()),
        };
        Ok(Some(match self {
            Self::Live => live,
            Self::Missing => return Ok(None),
            Self::Revoked => SessionRecord { revoked: true, ..live },
            Self::Expired => SessionRecord { expired: true, ..live },
            Self::OtherUser => SessionRecord { user_id: Some(Uuid::from_u128(!session.user_id.as_u128())), ..live },
            Self::UserGone => SessionRecord { user_type: None, ..live },
            Self::OtherUserType => SessionRecord { user_type: Some(type_name(!session.is_client).to_owned()), ..live },
            Self::Outage => return Err(Error::Connect("refused".to_owned())),
        }))
    }
}

/// Holds the sessions of one request. Panics if another one is looked up.
#[derive(Debug, Default)]
pub struct FakeDatabase(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    /// Newest first.
    sessions: Vec<(Row, Expected)>,
    lookups: usize,
}

impl FakeDatabase {
    /// Replaces the sessions and resets the count of lookups. `row` is of the newest session; the others are live.
    pub fn set_sessions(&self, row: Row, sessions: &[Expected]) {
        let rows = std::iter::once(row).chain(std::iter::repeat(Row::Live));
        *self.contents() = Contents { sessions: rows.zip(sessions.iter().cloned()).collect(), lookups: 0 };
    }

    /// The number of sessions that were looked up since the last [`Self::set_sessions`].
    pub fn lookups(&self) -> usize {
        self.contents().lookups
    }

    fn record(&self, key: SessionKey) -> Result<Option<SessionRecord>, Error> {
        let mut contents = self.contents();
        contents.lookups += 1;
        let is_asked =
            |(_, session): &&(Row, Expected)| (key.tenant, key.session_id) == (session.tenant, session.session_id);
        let (row, session) = contents.sessions.iter().find(is_asked).expect("a query for another session");
        row.record(session)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("no panic")
    }
}

impl SessionStore for &'static FakeDatabase {
    type Connection = ();

    fn max_connections(&self) -> usize {
        1
    }

    async fn connect(&self) -> Result<(), Error> {
        Ok(())
    }

    fn has_idle(&self) -> bool {
        true
    }

    async fn find(&self, (): (), keys: &[SessionKey]) -> Vec<Result<Option<SessionRecord>, Error>> {
        keys.iter().map(|key| self.record(*key)).collect()
    }

    async fn find_end(&self, _: SessionKey) -> Result<Option<SessionEnd>, Error> {
        Ok(Some(SessionEnd { expires_at: Some(1.5), revoked_at: Some(f64::INFINITY), revoked_reason: None }))
    }

    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }

    fn close(&self) {}
}

/// Each call has a channel of its own.
#[derive(Debug)]
pub struct Channels;

impl Responder for Channels {
    type Call = oneshot::Sender<Answer>;

    fn respond(&self, answers: Vec<(Self::Call, Answer)>) {
        for (call, answer) in answers {
            call.send(answer).expect("somebody waits");
        }
    }
}
