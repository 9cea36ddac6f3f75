//! What takes batches out of the queue, and when another one comes in.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Lookups, Queue, Replies, caught};
use crate::config::STEP_LIMIT;
use crate::error::Error;
use crate::revocation::RevocationSource;

/// What takes longer is not waited for any more: what gathers meanwhile gets a connection of its own.
/// docs/performance.md has the measurements.
pub(super) const LATE: Duration = Duration::from_millis(1);
/// How long no more connections are tried after one was refused, while there are others.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A task that takes batches until nothing waits. Counted in the queue from before its start until
/// it is dropped.
pub(super) struct Worker<S: RevocationSource + 'static, R: Replies> {
    lookups: Arc<Lookups<S, R>>,
    stage: Stage,
    is_connected: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prompt,
    SlowConnect,
    SlowQuery,
    /// Counted out.
    Done,
}

impl<S: RevocationSource + 'static, R: Replies> Worker<S, R> {
    /// For one that the queue has counted in.
    pub(super) fn new(lookups: Arc<Lookups<S, R>>) -> Self {
        Self { lookups, stage: Stage::Prompt, is_connected: false }
    }

    /// Boxed, since a worker can call in another.
    pub(super) fn work(mut self) -> BoxFuture<'static, ()> {
        async move {
            let lookups = Arc::clone(&self.lookups);
            while self.has_work() {
                let connection = self.in_time(Stage::SlowConnect, caught(lookups.source.connect())).await;
                match connection {
                    Ok(connection) => self.serve(connection).await,
                    Err(error) if self.leaves_it_to_others() => drop(error),
                    Err(error) => {
                        let waiting = std::mem::take(&mut lookups.queue().waiting);
                        lookups.reject(waiting, &error);
                    }
                }
            }
        }
        .boxed()
    }

    async fn serve(&mut self, connection: S::Connection) {
        let lookups = Arc::clone(&self.lookups);
        let (late, batch) = lookups.close_batch().into_iter().partition(|waiting| waiting.since.elapsed() > STEP_LIMIT);
        lookups.reject(late, &Error::Timeout { step: "waiting for a free database connection", limit: STEP_LIMIT });
        if batch.is_empty() {
            return;
        }
        self.set_connected(true);
        self.in_time(Stage::SlowQuery, lookups.answer(connection, batch)).await;
        self.set_connected(false);
    }

    /// Whether something waits; if not, the worker is counted out in the same breath.
    fn has_work(&mut self) -> bool {
        let lookups = Arc::clone(&self.lookups);
        let mut queue = lookups.queue();
        if self.stage != Stage::Done && queue.waiting.is_empty() {
            self.enter(Stage::Done, &mut queue);
        }
        self.stage != Stage::Done
    }

    /// After a connection was refused: whether others have one, and will take what waits.
    fn leaves_it_to_others(&mut self) -> bool {
        let lookups = Arc::clone(&self.lookups);
        let mut queue = lookups.queue();
        let are_there_others = queue.connected > 0;
        if are_there_others {
            queue.paused_until = Some(Instant::now() + PAUSE);
            self.enter(Stage::Done, &mut queue);
        }
        are_there_others
    }

    /// Waits for `step`, and lets another worker come in when that takes long.
    async fn in_time<T>(&mut self, slow: Stage, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        if let Ok(done) = tokio::time::timeout(LATE, &mut step).await {
            return done;
        }
        let lookups = Arc::clone(&self.lookups);
        lookups.with_queue(|queue| self.enter(slow, queue));
        let done = step.await;
        self.enter(Stage::Prompt, &mut lookups.queue());
        done
    }

    fn set_connected(&mut self, connected: bool) {
        let mut queue = self.lookups.queue();
        match connected {
            true => queue.connected += 1,
            false => queue.connected -= 1,
        }
        self.is_connected = connected;
    }

    fn enter(&mut self, stage: Stage, queue: &mut Queue<R::Call>) {
        let mut count = |stage, by: isize| {
            let counter = match stage {
                Stage::Prompt => &mut queue.prompt,
                Stage::SlowConnect => &mut queue.slow_connects,
                Stage::SlowQuery => return,
                Stage::Done => &mut queue.workers,
            };
            *counter = counter.saturating_add_signed(by);
        };
        count(self.stage, -1);
        // `workers` counts those that are not done.
        count(stage, if stage == Stage::Done { -1 } else { 1 });
        self.stage = stage;
    }
}

impl<S: RevocationSource + 'static, R: Replies> Drop for Worker<S, R> {
    /// Counts out a worker that panicked.
    fn drop(&mut self) {
        let lookups = Arc::clone(&self.lookups);
        let mut queue = lookups.queue();
        if self.is_connected {
            queue.connected -= 1;
        }
        if self.stage != Stage::Done {
            self.enter(Stage::Done, &mut queue);
        }
    }
}
