//! Closes connections that are not needed any more.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{Pool, WeakPool};

use super::age::{Fitness, Moment};
use super::connect::Connector;

/// Closes connections that were idle for `timeout`, until one is left.
pub(super) struct IdleCloser {
    timeout: Duration,
    is_running: AtomicBool,
}

impl IdleCloser {
    pub(super) fn new(timeout: Duration) -> Arc<Self> {
        Arc::new(Self { timeout, is_running: AtomicBool::new(false) })
    }

    /// Called when there is a new connection. Starts a task if there are several, which ends with the last but one of
    /// them, or with the pool.
    pub(super) fn start(self: &Arc<Self>, pool: &Pool<Connector>) {
        if pool.status().size > 1 && !self.is_running.swap(true, Ordering::Relaxed) {
            tokio::spawn(Arc::clone(self).run(pool.weak()));
        }
    }

    async fn run(self: Arc<Self>, pool: WeakPool<Connector>) {
        let mut next = self.timeout;
        loop {
            tokio::time::sleep(next).await;
            let Some(pool) = pool.upgrade() else { return };
            next = self.close_idle(&pool);
            // There is one runtime thread, so nothing happens between these two.
            if pool.status().size <= 1 {
                self.is_running.store(false, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Returns when the next connection will have been idle for too long, at the earliest. The pool passes those first
    /// that are idle for longest.
    fn close_idle(&self, pool: &Pool<Connector>) -> Duration {
        let now = Moment::now();
        let mut left = pool.status().size;
        let mut next = self.timeout;
        pool.retain(|connection, _| {
            let idle = connection.age.idle(now);
            let is_kept = pool.manager().fitness(connection) != Fitness::Unusable && (idle < self.timeout || left == 1);
            if !is_kept {
                left -= 1;
            } else if idle < self.timeout {
                next = next.min(self.timeout - idle);
            }
            is_kept
        });
        next
    }
}
