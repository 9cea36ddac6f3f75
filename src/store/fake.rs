//! A revocation source and a receiver of answers for unit tests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::{PoolStatus, RevocationSource, SessionEnd, SessionKey, SessionRecord};
use crate::error::Error;
use crate::lookups::{Answer, Replies};

pub(crate) const MAX_CONNECTIONS: usize = 10;

/// Answers every key with the same, when `gate` lets it.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) answer: Mutex<Result<Option<SessionRecord>, Error>>,
    /// The keys of each query, in the order of the queries.
    pub(crate) asked: Mutex<Vec<Vec<SessionKey>>>,
    /// A permit for each query that may be answered.
    pub(crate) gate: Semaphore,
    /// A permit for each new connection that may be made.
    pub(crate) doors: Semaphore,
    /// What each further new connection is refused with.
    pub(crate) refusal: Mutex<Option<Error>>,
    /// How many new connections were tried.
    pub(crate) connects: AtomicUsize,
    /// Connections that nobody uses.
    pub(crate) idle: AtomicUsize,
    pub(crate) panics: AtomicBool,
    pub(crate) closed: AtomicBool,
}

impl Fake {
    /// With the gate open.
    pub(crate) fn new(answer: Result<Option<SessionRecord>, Error>) -> Self {
        Self {
            answer: Mutex::new(answer),
            asked: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            doors: Semaphore::new(Semaphore::MAX_PERMITS),
            refusal: Mutex::default(),
            connects: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            panics: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn live() -> Self {
        Self::new(Ok(Some(live_record())))
    }

    pub(crate) fn gated(mut self) -> Self {
        self.gate = Semaphore::new(0);
        self
    }

    /// How many keys each query had.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.asked.lock().expect("no panic").iter().map(Vec::len).collect()
    }
}

/// Of a session of user 1.
pub(crate) fn live_record() -> SessionRecord {
    SessionRecord {
        user_id: Some(Uuid::from_u128(1)),
        revoked: false,
        expired: false,
        user_type: Some("internal".to_owned()),
    }
}

impl RevocationSource for std::sync::Arc<Fake> {
    type Connection = ();

    fn max_connections(&self) -> usize {
        MAX_CONNECTIONS
    }

    async fn connect(&self) -> Result<(), Error> {
        assert!(!self.closed.load(Ordering::SeqCst), "asked after close");
        if self.idle.load(Ordering::SeqCst) == 0 {
            self.connects.fetch_add(1, Ordering::SeqCst);
            self.doors.acquire().await.expect("never closed").forget();
            return self.refusal.lock().expect("no panic").clone().map_or(Ok(()), Err);
        }
        self.idle.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    fn has_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst) > 0
    }

    async fn find(&self, (): (), keys: &[SessionKey]) -> Vec<Result<Option<SessionRecord>, Error>> {
        self.asked.lock().expect("no panic").push(keys.to_vec());
        assert!(!self.panics.load(Ordering::SeqCst), "as the test wants it");
        self.gate.acquire().await.expect("never closed").forget();
        self.idle.fetch_add(1, Ordering::SeqCst);
        vec![self.answer.lock().expect("no panic").clone(); keys.len()]
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

/// Each call has a channel of its own.
#[derive(Debug)]
pub(crate) struct Channels;

impl Replies for Channels {
    type Call = oneshot::Sender<Answer>;

    fn settle(&self, answers: Vec<(Self::Call, Answer)>) {
        for (call, answer) in answers {
            // Whoever no longer listens is not in the test.
            let _ = call.send(answer);
        }
    }
}
