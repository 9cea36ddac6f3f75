//! Takes batches out of the queue, and decides when another worker starts.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout, timeout_at};

use super::queue::{PATIENCE, Progress, Queue, Step};
use super::{Lookups, Responder};
use crate::panics::catch_panic_async;
use crate::store::SessionStore;

/// A step that takes longer is late: the calls that wait get another connection.
/// docs/decisions/batches-without-timer.md has the measurements.
pub(super) const LATE: Duration = Duration::from_millis(1);
/// How long no further connection is opened after one was refused while others work.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A task that answers batches until no call waits. It occupies its slot in the queue from before it is spawned until it
/// is dropped.
pub(super) struct Worker<S: SessionStore + 'static, R: Responder> {
    lookups: Arc<Lookups<S, R>>,
    /// `None` once the slot is released.
    slot: Option<usize>,
}

impl<S: SessionStore + 'static, R: Responder> Worker<S, R> {
    pub(super) fn new(lookups: Arc<Lookups<S, R>>, slot: usize) -> Self {
        Self { lookups, slot: Some(slot) }
    }

    /// Boxed, since a worker can start another one.
    pub(super) fn work(mut self) -> BoxFuture<'static, ()> {
        async move {
            let lookups = Arc::clone(&self.lookups);
            while !self.release_slot_if(|queue| queue.is_empty()) {
                let start = Instant::now();
                match self.at(Step::Connect, catch_panic_async(lookups.store.connect())).await {
                    Ok(connection) => self.serve(connection).await,
                    // Another worker has returned its connection meanwhile.
                    Err(_) if lookups.store.has_idle() => {}
                    Err(_) if self.release_slot_if(|queue| queue.pause_if_others_are_connected(PAUSE)) => return,
                    // A call that came meanwhile is worth another attempt.
                    Err(error) => {
                        let waiting = lookups.queue().take_until(start);
                        lookups.reject(waiting, &error);
                    }
                }
            }
        }
        .boxed()
    }

    async fn serve(&self, connection: S::Connection) {
        let batch = self.lookups.close_batch();
        if !batch.is_empty() {
            self.at(Step::Query, batch.answer(connection)).await;
        }
    }

    /// Waits for `step`. Once it is late, another worker may start.
    async fn at<T>(&self, step: Step, work: impl Future<Output = T>) -> T {
        let progress = Progress::begin(step);
        self.set(&mut self.lookups.queue(), progress);
        let mut work = pin!(work);
        if let Ok(done) = timeout(LATE, &mut work).await {
            return done;
        }
        loop {
            self.lookups.with_queue(|queue| self.set(queue, progress.late()));
            // All other workers may be busy, so this one rejects the calls that wait for too long, and looks whether
            // another one should start by now.
            let next = self.lookups.reject_overdue().min(Instant::now() + PATIENCE);
            if let Ok(done) = timeout_at(next, &mut work).await {
                return done;
            }
        }
    }

    fn set(&self, queue: &mut Queue<R::Call>, progress: Progress) {
        if let Some(slot) = self.slot {
            queue.set_progress(slot, progress);
        }
    }

    /// Releases the slot if `is_over`, while the queue is locked; returns whether it did.
    fn release_slot_if(&mut self, is_over: impl FnOnce(&mut Queue<R::Call>) -> bool) -> bool {
        let mut queue = self.lookups.queue();
        let is_over = is_over(&mut queue);
        if let Some(slot) = self.slot.take_if(|_| is_over) {
            queue.release_slot(slot);
        }
        is_over
    }
}

impl<S: SessionStore + 'static, R: Responder> Drop for Worker<S, R> {
    /// A worker that panicked still occupies its slot: another one starts if calls are waiting.
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        if std::thread::panicking() {
            self.lookups.with_queue(|queue| queue.release_slot(slot));
        } else {
            // The runtime is shutting down, so no task can be started.
            self.lookups.queue().release_slot(slot);
        }
    }
}
