//! What takes batches out of the queue, and when another one comes in.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Lookups, Progress, Queue, Replies, Step, caught};
use crate::store::RevocationSource;

/// What takes longer is not waited for any more: what gathers meanwhile gets a connection of its own.
/// docs/performance.md has the measurements.
pub(super) const LATE: Duration = Duration::from_millis(1);
/// How long no more connections are tried after one was refused, while there are others.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A task that takes batches until nothing waits. It has its place in the queue from before its
/// start until it is dropped.
pub(super) struct Worker<S: RevocationSource + 'static, R: Replies> {
    lookups: Arc<Lookups<S, R>>,
    /// `None` when it has given its place up.
    place: Option<usize>,
}

impl<S: RevocationSource + 'static, R: Replies> Worker<S, R> {
    pub(super) fn new(lookups: Arc<Lookups<S, R>>, place: usize) -> Self {
        Self { lookups, place: Some(place) }
    }

    /// Boxed, since a worker can call in another.
    pub(super) fn work(mut self) -> BoxFuture<'static, ()> {
        async move {
            let lookups = Arc::clone(&self.lookups);
            while !self.leaves_if(|queue| queue.waiting.is_empty()) {
                match self.at(Step::Connect, caught(lookups.source.connect())).await {
                    Ok(connection) => self.serve(connection).await,
                    // One has come back meanwhile.
                    Err(_) if lookups.source.has_idle() => {}
                    // Others have a connection, and will take what waits.
                    Err(_) if self.leaves_if(pause_if_others_are_connected) => return,
                    Err(error) => {
                        let waiting = std::mem::take(&mut lookups.queue().waiting);
                        lookups.reject(waiting, &error);
                    }
                }
            }
        }
        .boxed()
    }

    async fn serve(&self, connection: S::Connection) {
        let lookups = &self.lookups;
        let batch = lookups.close_batch();
        if !batch.is_empty() {
            self.at(Step::Query, lookups.answer(connection, batch)).await;
        }
    }

    /// Waits for `step`, and lets another worker come in when that takes long.
    async fn at<T>(&self, step: Step, work: impl Future<Output = T>) -> T {
        self.set(&mut self.lookups.queue(), Progress { step, is_late: false });
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(LATE, &mut work).await {
            return done;
        }
        self.lookups.with_queue(|queue| self.set(queue, Progress { step, is_late: true }));
        loop {
            // Nobody else may be free to tell those that wait for too long.
            let next = self.lookups.reject_overdue();
            if let Ok(done) = tokio::time::timeout_at(next, &mut work).await {
                return done;
            }
        }
    }

    fn set(&self, queue: &mut Queue<R::Call>, progress: Progress) {
        if let Some(place) = self.place {
            queue.workers[place] = Some(progress);
        }
    }

    /// Gives the place up in the same breath in which `is_over` finds that it may; tells whether.
    fn leaves_if(&mut self, is_over: impl FnOnce(&mut Queue<R::Call>) -> bool) -> bool {
        let mut queue = self.lookups.queue();
        let is_over = is_over(&mut queue);
        if let Some(place) = self.place.take_if(|_| is_over) {
            queue.workers[place] = None;
        }
        is_over
    }
}

fn pause_if_others_are_connected<Call>(queue: &mut Queue<Call>) -> bool {
    let are_others = queue.is_any_at(Step::Query);
    if are_others {
        queue.paused_until = Some(Instant::now() + PAUSE);
    }
    are_others
}

impl<S: RevocationSource + 'static, R: Replies> Drop for Worker<S, R> {
    /// For one that panicked.
    fn drop(&mut self) {
        self.leaves_if(|_| true);
    }
}
