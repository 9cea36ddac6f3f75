//! A session store for unit tests.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    FreshValue, Identity, Lookup, PoolStatus, SessionEnd, SessionKey, SessionRecord, SessionStore, Slide, UserRow,
    UserType, Wanted,
};
use crate::error::Error;
use crate::schema::{Id, IdType, IdTypes};

pub(crate) const MAX_CONNECTIONS: usize = 10;

/// Gives every key the same answer, as soon as `gate` has a permit.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) answer: Mutex<Result<Option<SessionRecord>, Error>>,
    /// The keys of each query, in the order of the queries.
    pub(crate) queries: Mutex<Vec<Vec<SessionKey>>>,
    /// A permit for each query that may be answered.
    pub(crate) gate: Semaphore,
    /// A permit for each new connection that may be opened.
    pub(crate) connect_gate: Semaphore,
    /// The error of each further attempt to connect.
    pub(crate) connect_error: Mutex<Option<Error>>,
    /// How many further attempts to connect never end.
    pub(crate) swallowed: AtomicUsize,
    /// How many new connections were tried.
    pub(crate) connects: AtomicUsize,
    /// The number of idle connections.
    pub(crate) idle: AtomicUsize,
    /// Whether the user id of each session is its session id, instead of user 1, and each record has its [`mark`].
    own_users: bool,
    /// If there is such a list, all other sessions are revoked.
    live_ids: Option<Vec<u128>>,
    /// Whether `find` panics.
    pub(crate) panics: AtomicBool,
    /// The number of the call at which `has_idle` panics, from 1; 0 for none.
    pub(crate) has_idle_panics_at: AtomicUsize,
    pub(crate) closed: AtomicBool,
}

impl Fake {
    /// A store whose gates are open.
    pub(crate) fn new(answer: Result<Option<SessionRecord>, Error>) -> Self {
        Self {
            answer: Mutex::new(answer),
            queries: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            connect_gate: Semaphore::new(Semaphore::MAX_PERMITS),
            connect_error: Mutex::default(),
            swallowed: AtomicUsize::new(0),
            connects: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            own_users: false,
            live_ids: None,
            panics: AtomicBool::new(false),
            has_idle_panics_at: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn live() -> Self {
        Self::new(Ok(Some(live_record())))
    }

    pub(crate) fn with_own_users(self) -> Self {
        Self { own_users: true, ..self }
    }

    pub(crate) fn live_with_own_users() -> Self {
        Self::live().with_own_users()
    }

    pub(crate) fn revoked_but(self, live_ids: &[u128]) -> Self {
        Self { live_ids: Some(live_ids.to_vec()), ..self }
    }

    pub(crate) fn gated(mut self) -> Self {
        self.gate = Semaphore::new(0);
        self
    }

    /// How many keys each query had.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.queries.lock().expect("no panic").iter().map(Vec::len).collect()
    }
}

/// The record of a live session of an internal user.
pub(crate) fn live_record() -> SessionRecord {
    SessionRecord {
        is_of_user: true,
        revoked: false,
        expired: false,
        too_old: false,
        user: UserRow::OfType("internal".to_owned()),
        fresh: None,
        slide: Slide::NotAsked,
        ends_in: None,
    }
}

/// The lookup of a session in tenant 2 for a user, all with these numbers as UUIDs.
pub(crate) fn lookup(session: u128, user: u128) -> Lookup {
    let id = |number| Id::Uuid(Uuid::from_u128(number));
    Lookup { key: SessionKey { tenant: Some(id(2)), session_id: id(session) }, user_id: id(user) }
}

/// Such a lookup, of an internal user.
pub(crate) fn identity(session: u128, user: u128) -> Identity {
    Identity {
        lookup: lookup(session, user),
        user_type: Some(UserType::Internal),
        issued_at: 0.0,
        token_expires_at: 0.0,
        rolled_at: f64::NEG_INFINITY,
        slide: None,
    }
}

/// A fresh claim by which a test recognises the record of a session.
pub(crate) fn mark(session: u128) -> Arc<[Option<FreshValue>]> {
    let number = serde_json::value::to_raw_value(&session.to_string()).expect("serialises");
    Arc::new([Some(FreshValue(number))])
}

/// The number that a session id is made of.
pub(crate) fn number(key: &SessionKey) -> u128 {
    match key.session_id {
        Id::Uuid(uuid) => uuid.as_u128(),
        _ => panic!("not a UUID"),
    }
}

impl SessionStore for Arc<Fake> {
    type Connection = ();

    fn max_connections(&self) -> usize {
        MAX_CONNECTIONS
    }

    async fn connect(&self) -> Result<(), Error> {
        assert!(!self.closed.load(Ordering::SeqCst), "connect after close");
        if self.idle.load(Ordering::SeqCst) == 0 {
            self.connects.fetch_add(1, Ordering::SeqCst);
            if self.swallowed.load(Ordering::SeqCst) > 0 {
                self.swallowed.fetch_sub(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            self.connect_gate.acquire().await.expect("never closed").forget();
            return self.connect_error.lock().expect("no panic").clone().map_or(Ok(()), Err);
        }
        self.idle.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    fn has_idle(&self) -> bool {
        let left = self.has_idle_panics_at.load(Ordering::SeqCst);
        self.has_idle_panics_at.store(left.saturating_sub(1), Ordering::SeqCst);
        assert_ne!(left, 1, "the test asked for a panic");
        self.idle.load(Ordering::SeqCst) > 0
    }

    fn id_types(&self) -> IdTypes {
        IdTypes { tenant: Some(IdType::Uuid), session_id: IdType::Uuid, user_id: IdType::Uuid }
    }

    async fn find(&self, (): (), wanted: &[Wanted]) -> Vec<Result<Option<SessionRecord>, Error>> {
        let keys = wanted.iter().map(|wanted| wanted.lookup.key.clone()).collect();
        self.queries.lock().expect("no panic").push(keys);
        assert!(!self.panics.load(Ordering::SeqCst), "the test asked for a panic");
        self.gate.acquire().await.expect("never closed").forget();
        self.idle.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().expect("no panic").clone();
        let user = Id::Uuid(Uuid::from_u128(1));
        let of = |Wanted { lookup, slide }: &Wanted| {
            let Some(record) = answer.clone()? else { return Ok(None) };
            let owner = if self.own_users { &lookup.key.session_id } else { &user };
            let is_other = self.live_ids.as_ref().is_some_and(|ids| !ids.contains(&number(&lookup.key)));
            Ok(Some(SessionRecord {
                is_of_user: record.is_of_user && lookup.user_id == *owner,
                revoked: record.revoked || (self.own_users && is_other),
                fresh: self.own_users.then(|| mark(number(&lookup.key))),
                slide: slide.map_or(Slide::NotAsked, |slide| Slide::Done(f64::from(slide.seconds))),
                ..record
            }))
        };
        wanted.iter().map(of).collect()
    }

    async fn find_end(&self, _: &SessionKey) -> Result<Option<SessionEnd>, Error> {
        self.gate.acquire().await.expect("never closed").forget();
        Ok(None)
    }

    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}
