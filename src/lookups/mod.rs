//! Sessions -> verdicts: queries the store in batches, without waiting for a batch to fill.
//!
//! A single call is queried at once. Calls that arrive while its query is in flight are queued, and share one query as
//! soon as the connection is free. So batches grow with the load.
//!
//! A call that starts after a revocation was committed never gets that session, since a call only shares a query that
//! is sent after the call started: see [`Lookups::close_batch`].
#![forbid(unsafe_code)]

mod batch;
mod queue;
mod responder;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::batch::Batch;
pub(crate) use self::batch::first_live;
use self::queue::{Queue, Waiting};
#[cfg(test)]
pub(crate) use self::responder::Channels;
pub use self::responder::{Answer, Responder};
use self::responder::{Caller, deliver};
use self::worker::Worker;
use crate::config::Limits;
use crate::error::Error;
use crate::metrics::{Metrics, Stats};
use crate::schema::IdTypes;
use crate::store::{
    Candidates, Deadline, Identity, Lookup, Moment, SessionCache, SessionEnd, SessionKey, SessionStore, Verdict, Wanted,
};

/// The most sessions in one query.
const MAX_BATCH: usize = 512;

pub struct Lookups<S, R: Responder> {
    store: S,
    responder: R,
    runtime: Handle,
    limits: Limits,
    metrics: Arc<Metrics>,
    /// How many counted calls have no answer yet.
    pending: AtomicUsize,
    /// How many calls that start, list or end sessions have none.
    managing: AtomicUsize,
    queue: Mutex<Queue<R::Call>>,
    /// The tasks in flight; closed by `close`.
    tracker: TaskTracker,
}

impl<S, R: Responder> fmt::Debug for Lookups<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookups(..)")
    }
}

impl<S: SessionStore + 'static, R: Responder> Lookups<S, R> {
    pub fn new(store: S, limits: Limits, responder: R, runtime: Handle) -> Self {
        let queue = Mutex::new(Queue::new(store.max_connections()));
        let (pending, managing) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (metrics, tracker) = (Arc::default(), TaskTracker::new());
        Self { store, limits, responder, runtime, metrics, pending, managing, queue, tracker }
    }

    /// The verdict by what the store said of these sessions before, if that still counts and is enough for the caller, whose call is
    /// counted then. If the newest is not live, the older ones are to be asked for.
    pub fn known(
        &self,
        candidates: Candidates<&Identity>,
        now: impl FnOnce() -> Moment,
        is_enough: impl FnOnce(&Verdict) -> bool,
    ) -> Option<Verdict> {
        let cache = self.store.cache()?;
        let is_decided = |verdict: &Verdict| verdict.is_live() || candidates.older.is_empty();
        let is_enough = |verdict: &Verdict| is_decided(verdict) && is_enough(verdict);
        let verdict = cache.verdict(candidates.newest, now(), is_enough)?;
        self.metrics.count(verdict.liveness.outcome());
        Some(verdict)
    }

    /// Answers `call` through the responder: with the verdict, or with an error when the call takes too long.
    ///
    /// The newest candidate is queried first, the others only if it is not live. The first one that is live gives the
    /// verdict; if none is, the newest.
    pub fn ask(self: &Arc<Self>, candidates: Candidates<Identity>, call: R::Call) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.enqueue(candidates, Caller::Responder(call));
    }

    /// The same for one session and a task in this process. `stats` does not count it.
    pub async fn verdict(self: &Arc<Self>, identity: Identity) -> Answer {
        let (sender, answer) = oneshot::channel();
        self.enqueue(Candidates::one(identity), Caller::Task(sender));
        answer.await.unwrap_or_else(|_| Err(Error::Internal("a lookup was dropped".to_owned())))
    }

    fn enqueue(self: &Arc<Self>, candidates: Candidates<Identity>, caller: Caller<R::Call>) {
        let waiting = Waiting { candidates, refused: None, caller, since: Instant::now() };
        let limit = self.limits.max_waiting;
        if let Some(refused) = self.with_queue(|queue| queue.push(waiting, limit)) {
            self.reject(vec![refused], &Error::Overload { limit });
        }
    }

    /// How a session ended. The time limit is that of a call that started at `since`.
    pub async fn find_end(&self, key: &SessionKey, since: Instant) -> Result<Option<SessionEnd>, Error> {
        self.within_call_timeout(since, self.store.find_end(key)).await
    }

    /// Runs the session query for a session that doesn't exist and returns the round-trip time.
    pub async fn health(&self) -> Result<Duration, Error> {
        let timed = async {
            loop {
                let types = self.store.id_types();
                let nobody = Wanted { lookup: Lookup::of_nobody(&types), slide: None };
                let connection = self.store.connect().await?;
                let start = Instant::now();
                self.store.find(connection, &[nobody]).await.pop().unwrap_or(Ok(None))?;
                // The first query may have learnt that the columns can't hold such an id.
                if self.store.id_types() == types {
                    return Ok(start.elapsed());
                }
            }
        };
        self.within_call_timeout(Instant::now(), timed).await
    }

    /// What the columns of ids can hold, as far as it is known yet.
    pub fn id_types(&self) -> IdTypes {
        self.store.id_types()
    }

    /// When a call that starts now has taken too long, and its error then.
    pub fn deadline(&self) -> Deadline {
        Deadline { at: Instant::now() + self.limits.call_timeout, error: self.call_timeout_error() }
    }

    /// Runs `work` of the store, which starts, lists or ends sessions. It doesn't wait behind reads: of the connections, which
    /// both share, it gets the next one that is free.
    pub async fn manage<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let limit = self.limits.max_waiting;
        let place = Place::take(&self.managing);
        let done = if self.is_closed() {
            Err(Error::Closed)
        } else if place.number > limit {
            Err(Error::Overload { limit })
        } else {
            work.await
        };
        done.inspect_err(|error| self.metrics.count(error.outcome()))
    }

    /// Runs `work` of a call that started at `since`, at most until the call timeout.
    async fn within_call_timeout<T>(
        &self,
        since: Instant,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let end = since + self.limits.call_timeout;
        tokio::time::timeout_at(end, work).await.unwrap_or_else(|_elapsed| Err(self.call_timeout_error()))
    }

    pub fn store(&self) -> &S {
        &self.store
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub fn stats(&self) -> Stats {
        let cache = self.store.cache().map(SessionCache::status).unwrap_or_default();
        let pending = self.pending.load(Ordering::Relaxed);
        self.metrics.snapshot(pending, self.store.status(), cache, self.store.listener())
    }

    pub fn responder(&self) -> &R {
        &self.responder
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub fn is_closed(&self) -> bool {
        self.tracker.is_closed()
    }

    /// Runs `task`. `close` waits for it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Rejects calls from now on, waits until those in flight are answered, at most for the call timeout, and closes
    /// every connection.
    pub fn close(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<S, R> {
        self.tracker.close();
        let lookups = Arc::clone(self);
        async move {
            // After the call timeout no call is left.
            let _ = tokio::time::timeout(lookups.limits.call_timeout, lookups.tracker.wait()).await;
            lookups.store.close();
        }
    }

    /// Changes the queue, and starts another worker if the change makes one necessary.
    fn with_queue<T>(self: &Arc<Self>, change: impl FnOnce(&mut Queue<R::Call>) -> T) -> T {
        let mut queue = self.queue();
        let changed = change(&mut queue);
        if let Some(slot) = queue.occupy_slot(|| self.store.has_idle()) {
            drop(queue);
            self.spawn(Worker::new(Arc::clone(self), slot).work());
        }
        changed
    }

    /// Takes the waiting calls. Their query is sent after this, and no further call joins it, so it sees everything that
    /// was committed before any of these calls started.
    fn close_batch(self: &Arc<Self>) -> Batch<S, R> {
        self.reject_overdue();
        let calls = self.queue().take(MAX_BATCH);
        Batch::new(Arc::clone(self), calls)
    }

    /// Rejects calls that have waited for too long; returns when to check again.
    fn reject_overdue(&self) -> Instant {
        let mut queue = self.queue();
        let overdue = queue.take_overdue(self.limits.call_timeout);
        let next = queue.oldest().unwrap_or_else(Instant::now) + self.limits.call_timeout;
        drop(queue);
        self.reject(overdue, &self.call_timeout_error());
        next
    }

    fn reject(&self, calls: Vec<Waiting<R::Call>>, error: &Error) {
        let now = Instant::now();
        let answer = |call: Waiting<R::Call>| {
            let answer = Err(error.clone());
            (self.count(call, now, &answer), answer)
        };
        deliver(&self.responder, calls.into_iter().map(answer).collect());
    }

    /// Counts the end of a call, and returns its caller.
    fn count(&self, call: Waiting<R::Call>, now: Instant, answer: &Answer) -> Caller<R::Call> {
        let Waiting { caller, since, .. } = call;
        if let Caller::Responder(call) = &caller {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            if !R::is_end(call, answer) {
                return caller;
            }
            self.metrics.count(match answer {
                Ok(verdict) => verdict.liveness.outcome(),
                Err(error) => error.outcome(),
            });
            // A call that was rejected at once has not waited for the database.
            if !matches!(answer, Err(Error::Overload { .. })) {
                self.metrics.count_latency(now - since);
            }
        }
        caller
    }

    /// The error of a call that took too long.
    fn call_timeout_error(&self) -> Error {
        Error::Timeout { step: "the session check", limit: self.limits.call_timeout }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<R::Call>> {
        // A poisoned lock is harmless here: no panic can leave the queue inconsistent.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among calls in flight, which is given back when it is dropped.
struct Place<'c> {
    count: &'c AtomicUsize,
    /// From one on.
    number: usize,
}

impl<'c> Place<'c> {
    fn take(count: &'c AtomicUsize) -> Self {
        Self { count, number: count.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
