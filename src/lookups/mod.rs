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
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::worker::Worker;
use crate::claims::Session;
use crate::config::Limits;
use crate::error::Error;
use crate::metrics::{Metrics, Stats};
use crate::store::{Liveness, RevocationSource, RowExpiry, SessionEnd, SessionKey, SessionRecord};

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
    limits: Limits,
    metrics: Metrics,
    /// Calls that have no answer yet.
    pending: AtomicUsize,
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
    workers: Box<[Option<Progress>]>,
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
    fn new(connections: usize) -> Self {
        Self { waiting: Vec::new(), workers: vec![None; connections].into(), paused_until: None }
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
    pub fn new(source: S, row_expiry: RowExpiry, limits: Limits, replies: R, runtime: Handle) -> Self {
        let queue = Mutex::new(Queue::new(source.max_connections()));
        let (metrics, pending, tracker) = (Metrics::default(), AtomicUsize::new(0), TaskTracker::new());
        Self { source, row_expiry, limits, replies, runtime, metrics, pending, queue, tracker }
    }

    /// Settles `call` when the database has answered, or when the call has taken too long.
    pub fn ask(self: &Arc<Self>, session: Session, call: R::Call) {
        let waiting = Waiting { session, call, since: Instant::now() };
        self.pending.fetch_add(1, Ordering::Relaxed);
        let refused = self.with_queue(|queue| {
            if queue.waiting.len() >= self.limits.max_waiting {
                return Some(waiting);
            }
            queue.waiting.push(waiting);
            None
        });
        if let Some(waiting) = refused {
            self.reject(vec![waiting], &Error::Overload { limit: self.limits.max_waiting });
        }
    }

    /// Asks for one session by itself.
    pub async fn look_up(&self, session: &Session, since: Instant) -> Result<(Liveness, Option<SessionRecord>), Error> {
        let record = self.in_time(since, self.find_one(session.key)).await?;
        Ok((Liveness::of(record.as_ref(), &session.holder, self.row_expiry), record))
    }

    /// How a session ended.
    pub async fn look_up_end(&self, key: SessionKey, since: Instant) -> Result<Option<SessionEnd>, Error> {
        self.in_time(since, self.source.find_end(key)).await
    }

    /// How long the query takes, from the connection and back, for a session that there is not.
    pub async fn health(&self) -> Result<Duration, Error> {
        let nobody = SessionKey { tenant: Uuid::nil(), session_id: Uuid::nil() };
        let timed = async {
            let connection = self.source.connect().await?;
            let start = Instant::now();
            self.source.find(connection, &[nobody]).await.pop().unwrap_or(Ok(None))?;
            Ok(start.elapsed())
        };
        self.in_time(Instant::now(), timed).await
    }

    async fn find_one(&self, key: SessionKey) -> Result<Option<SessionRecord>, Error> {
        let connection = self.source.connect().await?;
        self.source.find(connection, &[key]).await.pop().unwrap_or(Ok(None))
    }

    /// Of a call that began at `since`.
    async fn in_time<T>(&self, since: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let limit = self.limits.call_timeout;
        tokio::time::timeout_at(since + limit, work).await.unwrap_or_else(|_elapsed| Err(too_long(limit)))
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub fn stats(&self) -> Stats {
        self.metrics.snapshot(self.pending.load(Ordering::Relaxed), self.source.status())
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

    /// Refuses calls from now on, lets those in flight have their answer, which none waits for longer
    /// than a call may take, then ends every connection.
    pub fn close(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<S, R> {
        self.tracker.close();
        let lookups = Arc::clone(self);
        async move {
            // A connection that is still being made has no call left that waits for it.
            let _ = tokio::time::timeout(lookups.limits.call_timeout, lookups.tracker.wait()).await;
            lookups.source.close();
        }
    }

    /// Changes the queue, and calls in another worker if that makes one needed.
    fn with_queue<T>(self: &Arc<Self>, change: impl FnOnce(&mut Queue<R::Call>) -> T) -> T {
        let mut queue = self.queue();
        let changed = change(&mut queue);
        if let Some(place) = queue.place_for_another(|| self.source.has_idle()) {
            queue.workers[place] = Some(Progress { step: Step::Connect, is_late: false });
            drop(queue);
            self.spawn(Worker::new(Arc::clone(self), place).work());
        }
        changed
    }

    /// What has gathered. It is sent after this, and nothing joins it any more, so the query sees
    /// all that was committed before any of these calls began.
    fn close_batch(&self) -> Vec<Waiting<R::Call>> {
        self.reject_overdue();
        let mut queue = self.queue();
        let batch = queue.waiting.len().min(MAX_BATCH);
        let rest = queue.waiting.split_off(batch);
        std::mem::replace(&mut queue.waiting, rest)
    }

    /// Rejects what has waited for too long; tells when to look again.
    fn reject_overdue(&self) -> Instant {
        let mut queue = self.queue();
        let overdue = self.split_overdue(&mut queue.waiting);
        let next = queue.waiting.first().map_or_else(Instant::now, |waiting| waiting.since) + self.limits.call_timeout;
        drop(queue);
        self.reject(overdue, &too_long(self.limits.call_timeout));
        next
    }

    /// Those that have taken too long, which are the first of `calls`.
    fn split_overdue(&self, calls: &mut Vec<Waiting<R::Call>>) -> Vec<Waiting<R::Call>> {
        let overdue = calls.iter().take_while(|call| call.since.elapsed() >= self.limits.call_timeout).count();
        if overdue == 0 { Vec::new() } else { calls.drain(..overdue).collect() }
    }

    async fn answer(&self, connection: S::Connection, mut batch: Vec<Waiting<R::Call>>) {
        let keys = Keys::of(&batch);
        self.metrics.count_batch(keys.unique.len());
        let found = async { Ok(self.source.find(connection, &keys.unique).await) };
        let mut found = pin!(caught(found));
        let found = loop {
            // With nobody left to answer, the query is given up.
            let Some(first) = batch.first() else { return };
            match tokio::time::timeout_at(first.since + self.limits.call_timeout, &mut found).await {
                Ok(found) => break found,
                Err(_elapsed) => {
                    let overdue = self.split_overdue(&mut batch);
                    self.reject(overdue, &too_long(self.limits.call_timeout));
                }
            }
        };
        match found {
            Ok(found) => {
                // Those at the start may be answered already.
                let answered = keys.places.len() - batch.len();
                self.settle(batch, &found, &keys.places[answered..]);
            }
            Err(error) => self.reject(batch, &error),
        }
    }

    /// `places` says for each call where in `found` its session is.
    fn settle(&self, batch: Vec<Waiting<R::Call>>, found: &[Result<Option<SessionRecord>, Error>], places: &[usize]) {
        let now = Instant::now();
        let answer = |(waiting, place): (Waiting<R::Call>, &usize)| {
            let answer = match found.get(*place) {
                Some(Ok(record)) => Ok(self.body_if_live(waiting.session, record.as_ref())),
                Some(Err(error)) => Err(error.clone()),
                None => Err(Error::Internal("a session was not asked for".to_owned())),
            };
            self.count(waiting.since, now, answer.as_ref().err());
            (waiting.call, answer)
        };
        self.replies.settle(batch.into_iter().zip(places).map(answer).collect());
    }

    fn reject(&self, batch: Vec<Waiting<R::Call>>, error: &Error) {
        if batch.is_empty() {
            return;
        }
        let now = Instant::now();
        let answer = |waiting: Waiting<R::Call>| {
            self.count(waiting.since, now, Some(error));
            (waiting.call, Err(error.clone()))
        };
        self.replies.settle(batch.into_iter().map(answer).collect());
    }

    fn count(&self, since: Instant, now: Instant, error: Option<&Error>) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
        if let Some(error) = error {
            self.metrics.count(error);
        }
        // One that was turned away has asked nothing.
        if !matches!(error, Some(Error::Overload { .. })) {
            self.metrics.count_latency(now - since);
        }
    }

    fn body_if_live(&self, session: Session, record: Option<&SessionRecord>) -> Option<String> {
        let liveness = Liveness::of(record, &session.holder, self.row_expiry);
        self.metrics.count(liveness);
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

/// What a call is told that took longer than it may.
fn too_long(limit: Duration) -> Error {
    Error::Timeout { step: "the session check", limit }
}

/// A panic in `call` is an error.
pub async fn caught<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    outcome.unwrap_or_else(|payload| Err(Error::panicked(payload)))
}
