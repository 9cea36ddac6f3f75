//! A session store for unit tests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{PoolStatus, SessionEnd, SessionKey, SessionRecord, SessionStore};
use crate::error::Error;

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
    /// Whether the user id of each session is its session id, instead of that of `answer`.
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

/// The record of a live session of user 1.
pub(crate) fn live_record() -> SessionRecord {
    SessionRecord {
        user_id: Some(Uuid::from_u128(1)),
        revoked: false,
        expired: false,
        user_type: Some("internal".to_owned()),
    }
}

impl SessionStore for std::sync::Arc<Fake> {
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

    async fn find(&self, (): (), keys: &[SessionKey]) -> Vec<Result<Option<SessionRecord>, Error>> {
        self.queries.lock().expect("no panic").push(keys.to_vec());
        assert!(!self.panics.load(Ordering::SeqCst), "the test asked for a panic");
        self.gate.acquire().await.expect("never closed").forget();
        self.idle.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().expect("no panic").clone();
        let of = |key: &SessionKey| match answer.clone() {
            Ok(Some(record)) if self.own_users => Ok(Some(SessionRecord {
                user_id: Some(key.session_id),
                revoked: record.revoked
                    || self.live_ids.as_ref().is_some_and(|ids| !ids.contains(&key.session_id.as_u128())),
                ..record
            })),
            answer => answer,
        };
        keys.iter().map(of).collect()
    }

    async fn find_end(&self, _: SessionKey) -> Result<Option<SessionEnd>, Error> {
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
