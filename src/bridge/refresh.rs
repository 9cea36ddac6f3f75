//! The pipeline of `refreshSession` and `updateSession`: `Cookie` header -> session, and the cookies that the browser is to keep.
//!
//! [`Bridge::refresh`] does what needs no database, and says which sessions are to be slid. [`PendingRefresh::judge`] decides
//! from the verdict; [`Issue::with`] makes the next token.
#![forbid(unsafe_code)]

use std::sync::Arc;

use serde_json::json;

use super::read::{At, Opened, OpenedToken, Reader, SealedCookie, check_size};
use super::{Bridge, Unauthenticated};
use crate::claims::{ClaimChanges, ClaimsError, Session, Stamp, Times, UNAUTHENTICATED_BODY, reissue};
use crate::cookie::{Change, MAX_TOKEN_BYTES, NewToken};
use crate::error::Error;
use crate::lookups::Responder;
use crate::metrics::{Metrics, Roll};
use crate::redacted::redacted;
use crate::store::{Candidates, FreshValue, Identity, Lifetime, Liveness, SessionKey, SessionStore, Slide, Verdict};
use crate::token;

/// What is asked of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To live on, if it is due.
    Roll,
    /// To have other claims, due or not.
    Update,
}

pub enum Refresh {
    /// Needs no database.
    Known(Refreshed),
    /// Nothing is due, so this is a read, and costs no more than one. Only if no session is live, cookies may have to be deleted:
    /// then the call is repeated, as [`Attempt::Second`].
    Read(Candidates<Session>),
    Pending(Candidates<Identity>, Box<PendingRefresh>),
}

/// What happens where nothing is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The session is read.
    First,
    /// It was read, and there is none: cookies may have to be deleted.
    Second,
    /// Nothing is asked, since nobody looks at the session.
    OnlyIfDue,
}

/// What the app gets.
pub struct Refreshed {
    /// As JSON.
    pub session: String,
    pub set_cookie: Vec<String>,
    pub cookie_header: String,
    /// `None` unless an update was asked for.
    pub updated: Option<bool>,
}

redacted!(Refreshed);

impl Refreshed {
    /// For a request without a session cookie.
    pub fn anonymous(cookie_header: String, intent: Intent) -> Self {
        let updated = (intent == Intent::Update).then_some(false);
        Self { session: unauthenticated(), set_cookie: Vec::new(), cookie_header, updated }
    }

    /// `RefreshedSession` of `index.d.ts` as JSON. If no cookie changes, the session alone: `index.js` adds the rest, so that the
    /// header, which is long, need not be copied.
    pub fn into_json(self) -> String {
        let Self { session, set_cookie, cookie_header, updated } = self;
        if set_cookie.is_empty() && updated.is_none() {
            return session;
        }
        let updated = updated.map(|updated| format!(r#","updated":{updated}"#)).unwrap_or_default();
        let (set_cookie, cookie_header) = (json!(set_cookie), json!(cookie_header));
        format!(r#"{{"session":{session},"setCookie":{set_cookie},"cookieHeader":{cookie_header}{updated}}}"#)
    }
}

impl<S: SessionStore + 'static, R: Responder> Bridge<S, R> {
    /// `now` is in seconds since 1970. Counts the call if the answer is known.
    ///
    /// # Errors
    /// When the bridge is closed; never because of what the client sent.
    pub fn refresh(&self, cookie_header: String, now: u64, intent: Intent, attempt: Attempt) -> Result<Refresh, Error> {
        let metrics = self.lookups.metrics();
        if self.lookups.is_closed() {
            metrics.count(Error::Closed.outcome());
            return Err(Error::Closed);
        }
        let at = self.at(now);
        let (opened, fates) = self.reader.read_all(&cookie_header, at);
        let request = Request { reader: Arc::clone(&self.reader), header: cookie_header, fates, intent, at };
        let candidates = match opened {
            Ok(candidates) => candidates,
            Err(reason) => {
                metrics.count(reason.outcome());
                let ended = request.ended(|_| None);
                return Ok(Refresh::Known(request.unchanged(unauthenticated(), &ended)));
            }
        };
        if attempt != Attempt::Second {
            self.count_several_users(&candidates, Candidate::identity);
        }
        let candidates = candidates.map(|mut candidate| {
            let slide = self.slide(&candidate, intent, now);
            if slide.is_none() {
                // No token will be made of it.
                candidate.opened.token.plaintext = Vec::new();
            }
            candidate.identity_mut().slide = slide;
            candidate
        });
        let is_due = candidates.iter().any(|candidate| candidate.identity().slide.is_some());
        match attempt {
            Attempt::First if !is_due => {
                return Ok(Refresh::Read(candidates.map(|candidate| candidate.opened.session)));
            }
            Attempt::OnlyIfDue if !is_due => return Ok(Refresh::Known(request.unchanged(unauthenticated(), &[]))),
            Attempt::First | Attempt::Second | Attempt::OnlyIfDue => {}
        }
        let identities = candidates.as_ref().map(|candidate| candidate.identity().clone());
        let metrics = Arc::clone(metrics);
        let migrates = self.migrates_cookies;
        Ok(Refresh::Pending(identities, Box::new(PendingRefresh { request, candidates, migrates, metrics })))
    }

    fn slide(&self, candidate: &Candidate, intent: Intent, now: u64) -> Option<Lifetime> {
        let identity = candidate.identity();
        let moves = self.migrates_cookies && candidate.cookie > 0;
        let is_wanted = intent == Intent::Update || moves || self.rolling.is_due(identity, now);
        is_wanted.then(|| self.rolling.lifetime(identity, now))
    }
}

/// A session that the request may stand for.
pub(super) struct Candidate {
    /// The place of its cookie among the configured ones.
    cookie: usize,
    opened: OpenedToken,
}

impl Candidate {
    pub(super) fn identity(&self) -> &Identity {
        &self.opened.session.identity
    }

    fn identity_mut(&mut self) -> &mut Identity {
        &mut self.opened.session.identity
    }
}

/// What became of a reading of a cookie.
enum Fate {
    /// Its token is expired.
    Expired,
    /// It can't be opened, or not here.
    Unknown,
    Opened(SessionKey),
}

/// The cookie of a reading, and its fate.
type Fates = Vec<(usize, Fate)>;

impl Reader {
    fn read_all(&self, header: &str, at: At) -> (Result<Candidates<Candidate>, Unauthenticated>, Fates) {
        let mut fates = Vec::new();
        if let Err(error) = check_size(header) {
            return (Err(error.into()), fates);
        }
        let mut opened = Opened::default();
        for found in self.find(header) {
            let cookie = found.place;
            for reading in found.values.readings() {
                let read = self.open(reading, found.keyring, at).map(|opened| Candidate { cookie, opened });
                let fate = match &read {
                    Ok(candidate) => Fate::Opened(candidate.identity().lookup.key.clone()),
                    Err(Unauthenticated::Claims(ClaimsError::Expired { .. })) => Fate::Expired,
                    Err(_) => Fate::Unknown,
                };
                fates.push((cookie, fate));
                opened.add(read);
            }
        }
        (opened.candidates(Candidate::identity), fates)
    }
}

/// The request, and what its cookies turned out to be.
struct Request {
    reader: Arc<Reader>,
    header: String,
    fates: Fates,
    intent: Intent,
    at: At,
}

impl Request {
    /// The cookies of which every reading has surely ended: an instance that doesn't know the newest secret yet, or a replica that
    /// lags behind, signs nobody out.
    fn ended(&self, liveness: impl Fn(&SessionKey) -> Option<Liveness>) -> Vec<usize> {
        let has_ended = |fate: &Fate| match fate {
            Fate::Expired => true,
            Fate::Unknown => false,
            Fate::Opened(key) => liveness(key).is_some_and(Liveness::is_end),
        };
        let mut cookies: Vec<_> = self.fates.iter().map(|(cookie, _)| *cookie).collect();
        cookies.dedup();
        let of = |cookie| self.fates.iter().filter(move |(of, _)| *of == cookie);
        cookies.retain(|cookie| of(*cookie).all(|(_, fate)| has_ended(fate)));
        cookies
    }

    /// The answer without a new token.
    fn unchanged(self, session: String, ended: &[usize]) -> Refreshed {
        self.refreshed(session, ended, None, false)
    }

    /// `issued` is the cookie that gets a new token.
    fn refreshed(
        self,
        session: String,
        ended: &[usize],
        issued: Option<(usize, NewToken)>,
        updated: bool,
    ) -> Refreshed {
        let mut changes: Vec<_> = issued.into_iter().map(|(cookie, token)| (cookie, Some(token))).collect();
        let deleted = ended.iter().filter(|cookie| issued.is_none_or(|(issued, _)| issued != **cookie));
        changes.extend(deleted.map(|cookie| (*cookie, None)));
        let (mut set_cookie, mut cookie_header) = (Vec::new(), self.header);
        for (cookie, token) in changes {
            let SealedCookie { name, attributes, .. } = &self.reader.cookies[cookie];
            let change = Change { name, attributes, token };
            set_cookie.extend(change.lines(&cookie_header));
            cookie_header = change.apply(&cookie_header);
        }
        let updated = (self.intent == Intent::Update).then_some(updated);
        Refreshed { session, set_cookie, cookie_header, updated }
    }
}

/// A call that waits for the verdict.
pub struct PendingRefresh {
    request: Request,
    candidates: Candidates<Candidate>,
    migrates: bool,
    metrics: Arc<Metrics>,
}

/// What the verdict means for a call.
pub enum Judged {
    Done(Refreshed),
    /// A new token is to be issued.
    Issue(Box<Issue>),
}

redacted!(PendingRefresh, Issue);

impl PendingRefresh {
    /// Why the database doesn't slide the row, if the verdict says so.
    pub fn refusal(verdict: &Verdict) -> Option<&str> {
        match verdict.record.as_ref().map(|record| &record.slide) {
            Some(Slide::Refused(why)) => Some(why),
            _ => None,
        }
    }

    pub fn judge(self, verdict: Verdict) -> Judged {
        let Self { request, candidates, migrates, metrics } = self;
        let place = |key: &SessionKey| candidates.iter().position(|known| known.identity().lookup.key == *key);
        let ended = request.ended(|key| verdict.liveness_of(place(key)?));
        let is_live = verdict.is_live();
        let (Some(candidate), Some(record), true) = (candidates.take(verdict.place), verdict.record, is_live) else {
            return Judged::Done(request.unchanged(unauthenticated(), &ended));
        };
        let fresh = record.fresh;
        let lifetime = match (candidate.identity().slide, record.slide) {
            (None, _) => return Judged::Done(request.unchanged(rendered(candidate, fresh.as_deref()), &ended)),
            // Another call of the same batch may have wanted a longer life.
            (Some(wanted), Slide::Done(seconds)) => Some(seconds.min(f64::from(wanted.seconds)).max(0.0) as u64),
            (Some(_), Slide::Held | Slide::NotAsked) => {
                metrics.count_roll(Roll::Held);
                None
            }
            (Some(_), Slide::Refused(_)) => {
                metrics.count_roll(Roll::Refused);
                None
            }
        };
        if lifetime.is_none() && request.intent == Intent::Roll {
            return Judged::Done(request.unchanged(rendered(candidate, fresh.as_deref()), &ended));
        }
        Judged::Issue(Box::new(Issue { request, candidate, ended, lifetime, migrates, fresh, metrics }))
    }
}

/// A token that is to be issued anew.
pub struct Issue {
    request: Request,
    candidate: Candidate,
    ended: Vec<usize>,
    /// In seconds; `None` if the row was not slid.
    lifetime: Option<u64>,
    migrates: bool,
    fresh: Option<Arc<[Option<FreshValue>]>>,
    metrics: Arc<Metrics>,
}

impl Issue {
    /// The session as it is now, as JSON.
    pub fn session(&self) -> Result<String, Error> {
        self.read(&self.candidate.opened.token.plaintext)
    }

    /// Issues the token with changed claims. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// `Error::Argument` if an update makes the token too large.
    pub fn with(mut self, changes: ClaimChanges, now: u64) -> Result<Refreshed, Error> {
        let reader = Arc::clone(&self.request.reader);
        let Candidate { cookie: old, opened } = &self.candidate;
        let (old, migrates) = (*old, self.migrates && *old > 0);
        let claims = ClaimChanges::of_fresh(&reader.sessions.schema().fresh_claims, self.fresh.as_deref()).and(changes);
        let jti = new_jti();
        let times = self.lifetime.map(|lifetime| Times { now, expires_at: now.saturating_add(lifetime) });
        let plaintext = reissue(&opened.token.plaintext, claims, Stamp { jti: &jti, times }).ok_or_else(unreadable)?;
        let new = if migrates { 0 } else { old };
        let SealedCookie { keyring, issuer, sealing, .. } = &reader.cookies[new];
        let secret = if migrates { sealing.anew } else { sealing.again(opened.token.secret) };
        let token = token::seal(plaintext.as_bytes(), keyring, secret)?;
        if token.len() > MAX_TOKEN_BYTES {
            return self.too_large();
        }
        let session = self.read(plaintext.as_bytes())?;
        let expires_at =
            times.map_or(opened.session.identity.token_expires_at.max(0.0) as u64, |times| times.expires_at);
        let token = NewToken { token: &token, expires_at, max_value: issuer.max_cookie_value() };
        if migrates && !self.ended.contains(&old) {
            self.ended.push(old);
        }
        self.metrics.count_roll(Roll::Issued);
        Ok(self.request.refreshed(session, &self.ended, Some((new, token)), true))
    }

    fn too_large(self) -> Result<Refreshed, Error> {
        if self.request.intent == Intent::Update {
            let problem = format!("would make the token longer than {MAX_TOKEN_BYTES} bytes, which is the limit");
            return Err(Error::argument("claims", problem));
        }
        self.metrics.count_roll(Roll::TooLarge);
        let session = self.session()?;
        Ok(self.request.unchanged(session, &self.ended))
    }

    fn read(&self, plaintext: &[u8]) -> Result<String, Error> {
        let At { now, types } = self.request.at;
        let read = self.request.reader.sessions.read(plaintext, now, &types).map_err(|_| unreadable())?;
        Ok(read.body.render(self.fresh.as_deref()))
    }
}

pub(super) fn new_jti() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

fn rendered(candidate: Candidate, fresh: Option<&[Option<FreshValue>]>) -> String {
    candidate.opened.session.body.render(fresh)
}

fn unauthenticated() -> String {
    UNAUTHENTICATED_BODY.to_owned()
}

/// Never, since they were read before.
fn unreadable() -> Error {
    Error::Internal("the claims of a token that was read can't be read".to_owned())
}
