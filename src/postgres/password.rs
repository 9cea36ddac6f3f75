//! The functions of the app that give the password of each new connection.
#![forbid(unsafe_code)]

use std::ptr::addr_eq;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::config::PasswordSource;
use crate::error::Error;
use crate::sensitive::Sensitive;

/// One for each bridge that uses the pool, the newest last. Empty if the password is a text.
#[derive(Default)]
pub(super) struct PasswordSources(Mutex<Vec<Arc<dyn PasswordSource>>>);

impl PasswordSources {
    pub(super) fn add(&self, source: &Arc<dyn PasswordSource>) {
        self.sources().push(Arc::clone(source));
    }

    /// Called when a bridge is closed.
    pub(super) fn remove(&self, source: &Arc<dyn PasswordSource>) {
        let mut sources = self.sources();
        let place = sources.iter().rposition(|other| addr_eq(Arc::as_ptr(other), Arc::as_ptr(source)));
        place.map(|place| sources.remove(place));
    }

    /// The password that the newest source gives whose thread has not ended. `None` if there are no sources.
    pub(super) async fn password(&self, limit: Duration) -> Result<Option<Sensitive>, Error> {
        let sources = self.sources().clone();
        if sources.is_empty() {
            return Ok(None);
        }
        let newest = async {
            for source in sources.iter().rev() {
                if let Some(answer) = source.password().await {
                    return answer;
                }
            }
            Err(Error::Connect("the thread whose function gives the password has ended".to_owned()))
        };
        let answer = timeout(limit, newest).await;
        let password = answer.unwrap_or(Err(Error::Timeout { step: "the function of the option password", limit }))?;
        if password.is_empty() || password.contains('\0') {
            return Err(Error::config("password", "must not be empty or contain a NUL character"));
        }
        Ok(Some(password))
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Arc<dyn PasswordSource>>> {
        // A poisoned lock is harmless: a source is in the list or not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, pending, ready};

    use super::*;

    pub(in crate::postgres) enum Fake {
        Gives(&'static str),
        Fails,
        Hangs,
        HasEnded,
    }

    impl PasswordSource for Fake {
        fn password(&self) -> BoxFuture<'static, Option<Result<Sensitive, Error>>> {
            match self {
                Self::Gives(text) => ready(Some(Ok((*text).to_owned().into()))).boxed(),
                Self::Fails => ready(Some(Err(Error::Connect("it failed".to_owned())))).boxed(),
                Self::Hangs => pending().boxed(),
                Self::HasEnded => ready(None).boxed(),
            }
        }
    }

    async fn ask(sources: impl IntoIterator<Item = Fake>) -> Result<Option<Sensitive>, Error> {
        let all = PasswordSources::default();
        sources.into_iter().for_each(|source| {
            let source: Arc<dyn PasswordSource> = Arc::new(source);
            all.add(&source);
        });
        all.password(Duration::from_secs(1)).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_source_whose_thread_has_not_ended_is_asked() {
        use Fake::{Fails, Gives, Hangs, HasEnded};
        let given = |text: &str| Ok(Some(text.to_owned().into()));
        assert_eq!(ask([]).await, Ok(None));
        assert_eq!(ask([Gives("old"), Gives("new")]).await, given("new"));
        assert_eq!(ask([Gives("old"), HasEnded, HasEnded]).await, given("old"));
        assert_eq!(ask([Gives("old"), Fails]).await, Err(Error::Connect("it failed".to_owned())));
        let step = "the function of the option password";
        assert_eq!(ask([Gives("old"), Hangs]).await, Err(Error::Timeout { step, limit: Duration::from_secs(1) }));
        for (sources, code) in [
            (vec![HasEnded], "ERR_AUTH_BRIDGE_DATABASE"),
            (vec![Gives("")], "ERR_AUTH_BRIDGE_CONFIG"),
            (vec![Gives("a\0b")], "ERR_AUTH_BRIDGE_CONFIG"),
        ] {
            assert_eq!(ask(sources).await.expect_err("is refused").code(), code);
        }
    }

    #[tokio::test]
    async fn a_source_that_was_removed_is_not_asked() {
        let all = PasswordSources::default();
        let [old, new] = ["old", "new"].map(|text| -> Arc<dyn PasswordSource> { Arc::new(Fake::Gives(text)) });
        all.add(&old);
        all.add(&new);
        all.remove(&new);
        all.remove(&new);
        assert_eq!(all.password(Duration::from_secs(1)).await, Ok(Some("old".to_owned().into())));
    }
}
