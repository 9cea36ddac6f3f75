//! The request pipeline: `Cookie` header -> session, or the reason why there is none.
//!
//! [`read`] does everything that needs no database, [`Lookups`] queries whether the session is live;
//! [`explain`] runs both and keeps the reason.
#![forbid(unsafe_code)]

mod authjs;
mod explain;
pub mod explanation;
mod manage;
mod read;
mod refresh;
mod seal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::runtime::Handle;

pub use self::authjs::Rolled;
pub use self::manage::{CreatedSession, new_session_id};
pub use self::read::Unauthenticated;
use self::read::{At, Reader, SealedCookie};
pub use self::refresh::{Attempt, Intent, Issue, Judged, PendingRefresh, Refresh, Refreshed};
pub use self::seal::SealedSession;
use crate::claims::{Rolling, Session, SessionReader};
use crate::config::{Config, Secrets, SessionCookie};
use crate::cookie::CookieName;
use crate::crypto::Keyring;
use crate::error::Error;
use crate::lookups::{Lookups, Responder};
use crate::store::{Candidates, Identity, Moment, SessionStore, Verdict};

/// Reads sessions with the configuration of one app. Queries the store `S` and answers through the responder `R`.
#[derive(Debug)]
pub struct Bridge<S: SessionStore, R: Responder> {
    reader: Arc<Reader>,
    secrets: Secrets,
    rolling: Rolling,
    migrates_cookies: bool,
    lookups: Arc<Lookups<S, R>>,
    /// See [`Config`].
    ignored_cookie: Option<CookieName>,
}

impl<S: SessionStore + 'static, R: Responder> Bridge<S, R> {
    pub fn new(config: Config, store: S, responder: R, runtime: Handle) -> Result<Self, Error> {
        let with_keys = |(SessionCookie { name, issuer }, attributes)| {
            let keyring = Keyring::new(&config.secrets.list, &name, issuer)?;
            Ok(SealedCookie { keyring, issuer, sealing: config.secrets.sealing(issuer), attributes, name })
        };
        let cookies = config.cookies.into_iter().map(with_keys).collect::<Result<_, Error>>()?;
        Ok(Self {
            ignored_cookie: config.ignored_cookie,
            reader: Arc::new(Reader { cookies, sessions: SessionReader::new(config.database.schema) }),
            secrets: config.secrets,
            rolling: config.rolling,
            migrates_cookies: config.migrates_cookies,
            lookups: Arc::new(Lookups::new(store, config.limits, responder, runtime)),
        })
    }

    /// Everything that needs no database: cookie, token, claims. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the bridge is closed; never because of what the client sent.
    pub fn read(&self, cookie_header: &str, now: u64) -> Result<Result<Candidates<Session>, Unauthenticated>, Error> {
        if self.lookups.is_closed() {
            return Err(Error::Closed);
        }
        Ok(self.reader.read(cookie_header, self.at(now)))
    }

    fn at(&self, now: u64) -> At {
        At { now, types: self.lookups.id_types() }
    }

    /// The same for a call of `getSession`, which is counted: `None` if the answer is known to be `{}`.
    pub fn read_and_count(&self, cookie_header: &str, now: u64) -> Result<Option<Candidates<Session>>, Error> {
        let metrics = self.lookups.metrics();
        let read = self.read(cookie_header, now).inspect_err(|error| metrics.count(error.outcome()))?;
        if let Ok(candidates) = &read {
            self.count_several_users(candidates, |session| &session.identity);
        }
        Ok(read.inspect_err(|reason| metrics.count(reason.outcome())).ok())
    }

    fn count_several_users<T>(&self, candidates: &Candidates<T>, identity: impl Fn(&T) -> &Identity) {
        let newest = identity(&candidates.newest);
        if candidates.older.iter().any(|other| !identity(other).is_of_user_of(newest)) {
            self.lookups.metrics().count_several_users();
        }
    }

    /// Whether the request has no session cookie but one that doesn't count. The developer is to be told of it.
    pub fn ignores_cookie_of(&self, cookie_header: &str) -> bool {
        let has = |name: &CookieName| name.find(cookie_header).is_some();
        self.ignored_cookie.as_ref().is_some_and(has) && !self.reader.cookies.iter().any(|cookie| has(&cookie.name))
    }

    /// The verdict by what the database said before, if that still counts and is enough for the caller.
    pub fn known(
        &self,
        sessions: &Candidates<Session>,
        now: impl FnOnce() -> Moment,
        is_enough: impl FnOnce(&Verdict) -> bool,
    ) -> Option<Verdict> {
        self.lookups.known(sessions.as_ref().map(|session| &session.identity), now, is_enough)
    }

    /// Looks up which of the sessions is live, and answers `call`.
    pub fn confirm(&self, candidates: Candidates<Identity>, call: R::Call) {
        self.lookups.ask(candidates, call);
    }

    pub fn lookups(&self) -> &Arc<Lookups<S, R>> {
        &self.lookups
    }
}
