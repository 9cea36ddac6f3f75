//! Where sessions can't be slid, they are only read for a while.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a connection is not asked to slide again after its server has refused it: a standby, or a user without the right.
pub(super) const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// How long no connection is asked to slide after one had no answer in time: the table is locked, or the server is overloaded.
pub(super) const AFTER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<Option<(Instant, Arc<str>)>>);

impl Rest {
    pub(super) fn start(&self, duration: Duration, why: Arc<str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now() + duration, why));
    }

    /// Why there is no sliding now.
    pub(super) fn reason(&self) -> Option<Arc<str>> {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rest.as_ref().filter(|(end, _)| Instant::now() < *end).map(|(_, why)| Arc::clone(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends() {
        let rest = Rest::default();
        assert_eq!(rest.reason(), None);
        rest.start(AFTER_REFUSAL, "read-only".into());
        tokio::time::advance(AFTER_REFUSAL - Duration::from_millis(1)).await;
        assert_eq!(rest.reason().as_deref(), Some("read-only"));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(rest.reason(), None);
    }
}
