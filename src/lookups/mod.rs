//! Sessions -> answers: which of them live, asked in batches without waiting for any.
//!
//! A lone call is asked at once. While its query is on the way others gather; they go out together,
//! in one query, as soon as the connection is free. So the batch grows with the load by itself.
//!
//! A call that starts after a revocation has committed never gets that session, since a call only
//! shares a query that is sent after it began to wait: see [`Lookups::close_batch`].
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;
mod worker;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::worker::Worker;
use crate::config::MAX_CONNECTIONS;
use crate::error::Error;
use crate::revocation::{Liveness, RevocationSource, RowExpiry, SessionKey, SessionRecord};
use crate::session::Session;

/// More keys are not asked in one query.
const MAX_BATCH: usize = 512;
/// The body of a live session; `None` for one that doesn't live.
pub type Answer = Result<Option<String>, Error>;

/// Who waits for the answers: the promises of JavaScript, or a channel in tests.
pub trait Replies: Send + Sync + 'static {
    /// What tells one call from another.
    type Call: Send;

    /// Takes the answers of a batch at once, since it is waking the other side that costs.
    fn settle(&self, answers: Vec<(Self::Call, Answer)>);
}

pub struct Lookups<S, R: Replies> {
    source: S,
    row_expiry: RowExpiry,
    replies: R,
    runtime: Handle,
    queue: Mutex<Queue<R::Call>>,
    /// What is in flight; closed by `close`.
    tracker: TaskTracker,
}

impl<S, R: Replies> fmt::Debug for Lookups<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookups(..)")
    }
}

struct Queue<Call> {
    waiting: Vec<Waiting<Call>>,
    /// What each worker is at: a task that takes batches out of `waiting`, with a connection.
    workers: [Option<Progress>; MAX_CONNECTIONS],
    /// Until then no new connection is tried while there are others.
    paused_until: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Progress {
    step: Step,
    /// A worker that is not late soon comes back for what waits.
    is_late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    Query,
}

struct Waiting<Call> {
    session: Session,
    call: Call,
    since: Instant,
}

impl<Call> Queue<Call> {
    const fn new() -> Self {
        Self { waiting: Vec::new(), workers: [None; MAX_CONNECTIONS], paused_until: None }
    }

    /// The place of another worker, if one should come in. `has_idle` tells whether it would find a
    /// connection: new ones are made one at a time.
    fn place_for_another(&self, has_idle: impl FnOnce() -> bool) -> Option<usize> {
        let all_late = self.workers.iter().flatten().all(|worker| worker.is_late);
        if self.waiting.is_empty() || !all_late {
            return None;
        }
        let place = self.workers.iter().position(Option::is_none)?;
        (has_idle() || self.may_connect()).then_some(place)
    }

    fn may_connect(&self) -> bool {
        if self.is_any_at(Step::Query) && self.paused_until.is_some_and(|end| Instant::now() < end) {
            return false;
        }
        !self.is_any_at(Step::Connect)
    }

    fn is_any_at(&self, step: Step) -> bool {
        self.workers.iter().flatten().any(|worker| worker.step == step)
    }
}

impl<S: RevocationSource + 'static, R: Replies> Lookups<S, R> {
    pub fn new(source: S, row_expiry: RowExpiry, replies: R, runtime: Handle) -> Self {
        Self { source, row_expiry, replies, runtime, queue: Mutex::new(Queue::new()), tracker: TaskTracker::new() }
    }

    /// Settles `call` when the database has answered.
    pub fn ask(self: &Arc<Self>, session: Session, call: R::Call) {
        let waiting = Waiting { session, call, since: Instant::now() };
        self.with_queue(|queue| queue.waiting.push(waiting));
    }

    /// Asks for one session by itself.
    pub async fn look_up(&self, session: &Session) -> Result<(Liveness, Option<SessionRecord>), Error> {
        let connection = self.source.connect().await?;
        let record = self.source.find(connection, &[session.key]).await?.pop().flatten();
        Ok((Liveness::of(record.as_ref(), &session.holder, self.row_expiry), record))
    }

    pub fn source(&self) -> &S {
        &self.source
    }

    pub fn replies(&self) -> &R {
        &self.replies
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub fn is_closed(&self) -> bool {
        self.tracker.is_closed()
    }

    /// Runs `task`, which counts as in flight from now on.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Refuses calls from now on, lets those in flight have their answer, then ends every connection.
    pub fn close(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<S, R> {
        self.tracker.close();
        let lookups = Arc::clone(self);
        async move {
            lookups.tracker.wait().await;
            lookups.source.close();
        }
    }

    /// Changes the queue, and calls in another worker if that makes one needed.
    fn with_queue(self: &Arc<Self>, change: impl FnOnce(&mut Queue<R::Call>)) {
        let mut queue = self.queue();
        change(&mut queue);
        if let Some(place) = queue.place_for_another(|| self.source.has_idle()) {
            queue.workers[place] = Some(Progress { step: Step::Connect, is_late: false });
            drop(queue);
            self.spawn(Worker::new(Arc::clone(self), place).work());
        }
    }

    /// What has gathered. It is sent after this, and nothing joins it any more, so the query sees
    /// all that was committed before any of these calls began.
    fn close_batch(&self) -> Vec<Waiting<R::Call>> {
        let mut queue = self.queue();
        let batch = queue.waiting.len().min(MAX_BATCH);
        let rest = queue.waiting.split_off(batch);
        std::mem::replace(&mut queue.waiting, rest)
    }

    async fn answer(&self, connection: S::Connection, batch: Vec<Waiting<R::Call>>) {
        let keys = Keys::of(&batch);
        let found = caught(self.source.find(connection, &keys.unique)).await;
        let answers = batch.into_iter().zip(keys.places).map(|(Waiting { session, call, .. }, place)| {
            let answer = match &found {
                Ok(records) => Ok(self.body_if_live(session, records.get(place).and_then(Option::as_ref))),
                Err(error) => Err(error.clone()),
            };
            (call, answer)
        });
        self.replies.settle(answers.collect());
    }

    fn reject(&self, batch: Vec<Waiting<R::Call>>, error: &Error) {
        if !batch.is_empty() {
            self.replies.settle(batch.into_iter().map(|waiting| (waiting.call, Err(error.clone()))).collect());
        }
    }

    fn body_if_live(&self, session: Session, record: Option<&SessionRecord>) -> Option<String> {
        let liveness = Liveness::of(record, &session.holder, self.row_expiry);
        (liveness == Liveness::Live).then_some(session.body)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<R::Call>> {
        // Whoever panics leaves the queue whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of a batch, each once.
struct Keys {
    unique: Vec<SessionKey>,
    /// For each call of the batch the place of its key.
    places: Vec<usize>,
}

impl Keys {
    fn of<Call>(batch: &[Waiting<Call>]) -> Self {
        let mut unique = Vec::with_capacity(batch.len());
        let mut known = HashMap::with_capacity(batch.len());
        let place = |waiting: &Waiting<Call>| {
            *known.entry(waiting.session.key).or_insert_with(|| {
                unique.push(waiting.session.key);
                unique.len() - 1
            })
        };
        let places = batch.iter().map(place).collect();
        Self { unique, places }
    }
}

/// A panic in `call` is an error.
pub async fn caught<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    outcome.unwrap_or_else(|payload| Err(Error::panicked(payload)))
}
