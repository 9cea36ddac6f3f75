//! Takes batches out of the queue, and decides when another worker starts.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{timeout, timeout_at};

use super::queue::{Progress, Queue, Step};
use super::{Lookups, Responder};
use crate::panics::catch_panic_async;
use crate::store::SessionStore;

/// A step that takes longer is late: what gathers meanwhile gets a connection of its own.
/// docs/performance.md has the measurements.
pub(super) const LATE: Duration = Duration::from_millis(1);
/// How long no more connections are tried after one was refused while others work.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A task that answers batches until nothing waits. It holds its place in the queue from before it is spawned
/// until it is dropped.
pub(super) struct Worker<S: SessionStore + 'static, R: Responder> {
    lookups: Arc<Lookups<S, R>>,
    /// `None` once the place is given up.
    place: Option<usize>,
}

impl<S: SessionStore + 'static, R: Responder> Worker<S, R> {
    pub(super) fn new(lookups: Arc<Lookups<S, R>>, place: usize) -> Self {
        Self { lookups, place: Some(place) }
    }

    /// Boxed, since a worker can start another one.
    pub(super) fn work(mut self) -> BoxFuture<'static, ()> {
        async move {
            let lookups = Arc::clone(&self.lookups);
            while !self.leaves_if(|queue| queue.is_empty()) {
                match self.at(Step::Connect, catch_panic_async(lookups.store.connect())).await {
                    Ok(connection) => self.serve(connection).await,
                    // Another worker has given one back meanwhile.
                    Err(_) if lookups.store.has_idle() => {}
                    Err(_) if self.leaves_if(|queue| queue.pause_if_others_are_connected(PAUSE)) => return,
                    Err(error) => {
                        let waiting = lookups.queue().take(usize::MAX);
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
        self.set(&mut self.lookups.queue(), Progress { step, is_late: false });
        let mut work = pin!(work);
        if let Ok(done) = timeout(LATE, &mut work).await {
            return done;
        }
        self.lookups.with_queue(|queue| self.set(queue, Progress { step, is_late: true }));
        loop {
            // No other worker may be free to reject what waits for too long.
            let next = self.lookups.reject_overdue();
            if let Ok(done) = timeout_at(next, &mut work).await {
                return done;
            }
        }
    }

    fn set(&self, queue: &mut Queue<R::Call>, progress: Progress) {
        if let Some(place) = self.place {
            queue.set_progress(place, progress);
        }
    }

    /// Gives the place up if `is_over`, while the queue is locked; returns whether it did.
    fn leaves_if(&mut self, is_over: impl FnOnce(&mut Queue<R::Call>) -> bool) -> bool {
        let mut queue = self.lookups.queue();
        let is_over = is_over(&mut queue);
        if let Some(place) = self.place.take_if(|_| is_over) {
            queue.leave_place(place);
        }
        is_over
    }
}

impl<S: SessionStore + 'static, R: Responder> Drop for Worker<S, R> {
    /// A worker that panicked still holds its place: another one starts there if calls wait.
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        if std::thread::panicking() {
            self.lookups.with_queue(|queue| queue.leave_place(place));
        } else {
            // The runtime ends, so nothing more can be started.
            self.lookups.queue().leave_place(place);
        }
    }
}
