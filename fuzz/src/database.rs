//! A fake database, and channels instead of JavaScript promises.

use std::sync::Mutex;

use arbitrary::Arbitrary;
use authjs_bridge::error::Error;
use authjs_bridge::lookups::{Answer, Responder};
use authjs_bridge::schema::IdTypes;
use authjs_bridge::store::{
    Lookup, PoolStatus, SessionEnd, SessionKey, SessionRecord, SessionStore, Slide, UserRow, Wanted,
};
use tokio::sync::oneshot;

use crate::claims::Expected;
use crate::setup::{Ids, UserCheck};

/// The state of the only session that may be looked up.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    Live,
    Missing,
    Revoked,
    Expired,
    TooOld,
    OtherUser,
    UserGone,
    OtherUserType,
    /// The database can't be reached.
    Outage,
}

impl Row {
    /// What is left of it if the user is checked in this way.
    pub fn seen_by(self, check: UserCheck) -> Self {
        match (self, check) {
            (Self::UserGone, UserCheck::None) => Self::Live,
            (Self::OtherUserType, UserCheck::Exists | UserCheck::None) => Self::Live,
            (row, _) => row,
        }
    }

    fn record(self, session: &Expected, check: UserCheck) -> Result<Option<SessionRecord>, Error> {
        let user = |is_client| match check {
            UserCheck::Type => UserRow::OfType(if is_client { "client" } else { "internal" }.to_owned()),
            UserCheck::Exists | UserCheck::None => UserRow::Present,
        };
        let is_client = session.is_client == Some(true);
        let live = SessionRecord {
            is_of_user: true,
            revoked: false,
            expired: false,
            too_old: false,
            user: user(is_client),
            fresh: session.fresh.row(),
            slide: Slide::NotAsked,
            ends_in: None,
        };
        Ok(Some(match self {
            Self::Live => live,
            Self::Missing => return Ok(None),
            Self::Revoked => SessionRecord { revoked: true, ..live },
            Self::Expired => SessionRecord { expired: true, ..live },
            Self::TooOld => SessionRecord { too_old: true, ..live },
            Self::OtherUser => SessionRecord { is_of_user: false, ..live },
            Self::UserGone => SessionRecord { user: UserRow::Missing, fresh: None, ..live },
            Self::OtherUserType => SessionRecord { user: user(!is_client), ..live },
            Self::Outage => return Err(Error::Connect("refused".to_owned())),
        }))
    }
}

/// Holds the sessions of one request. Panics if another one is looked up.
#[derive(Debug)]
pub struct FakeDatabase(Mutex<Option<Contents>>);

#[derive(Clone, Debug)]
pub struct Contents {
    /// Newest first.
    pub sessions: Vec<(Row, Expected)>,
    pub user_check: UserCheck,
    pub ids: Ids,
    /// Whether the types of the columns are known before the first query.
    pub knows_types: bool,
    /// How many sessions were looked up.
    pub lookups: usize,
}

pub static DATABASE: FakeDatabase = FakeDatabase(Mutex::new(None));

impl FakeDatabase {
    pub fn set(&self, contents: Contents) {
        *self.0.lock().expect("no panic") = Some(contents);
    }

    /// The number of sessions that were looked up since the last [`Self::set`].
    pub fn lookups(&self) -> usize {
        self.with(|contents| contents.lookups)
    }

    fn with<T>(&self, read: impl FnOnce(&mut Contents) -> T) -> T {
        read(self.0.lock().expect("no panic").as_mut().expect("contents"))
    }
}

impl Contents {
    fn record(&mut self, lookup: &Lookup) -> Result<Option<SessionRecord>, Error> {
        self.lookups += 1;
        self.knows_types = true;
        let is_asked = |(_, session): &&(Row, Expected)| session.is_looked_up_by(lookup);
        let (row, session) = self.sessions.iter().find(is_asked).expect("a query for another session");
        row.record(session, self.user_check)
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

    fn id_types(&self) -> IdTypes {
        self.with(
            |Contents { ids, knows_types, .. }| {
                if *knows_types { ids.types() } else { IdTypes::unknown(ids.tenant.is_some()) }
            },
        )
    }

    async fn find(&self, (): (), wanted: &[Wanted]) -> Vec<Result<Option<SessionRecord>, Error>> {
        assert!(wanted.iter().all(|wanted| wanted.slide.is_none()), "reading slides nothing");
        self.with(|contents| wanted.iter().map(|wanted| contents.record(&wanted.lookup)).collect())
    }

    async fn find_end(&self, _: &SessionKey) -> Result<Option<SessionEnd>, Error> {
        Ok(Some(SessionEnd { expires_at: Some(1.5), revoked_at: Some(f64::INFINITY), ..SessionEnd::default() }))
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
