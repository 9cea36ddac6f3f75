//! The pipeline of `getSession`, with the reason instead of the body.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::explanation::{
    ClaimedSession, FoundCookie, FoundReading, Ignored, KeptAnswer, KnownSecret, Reason, SessionExplanation,
};
use super::read::{At, MatchedCookie, Reader, candidates, check_size};
use super::{Bridge, Unauthenticated};
use crate::claims::Session;
use crate::cookie::near_miss::{MIN_PORT, near_misses};
use crate::cookie::{CookieName, CookieValues, MAX_TOKEN_BYTES, SizeError};
use crate::crypto::{ContentEncryption, Key, Keyring, ShortKid};
use crate::error::Error;
use crate::lookups::{Answer, Lookups, Responder, first_live};
use crate::outcome::Outcome;
use crate::schema::Schema;
use crate::store::{Candidates, Identity, Liveness, Moment, SessionStore, Verdict};
use crate::token::{self, TokenError};

/// More chunks than any token has that Auth.js cuts; bounds the search for stale ones.
const MAX_CHUNKS_TRIED: usize = 16;

impl<S: SessionStore + 'static, R: Responder> Bridge<S, R> {
    /// Why the request has or has no session. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the bridge is closed or has a bug; a database that can't answer is an explanation.
    pub fn explain(
        &self,
        cookie_header: &str,
        now: u64,
    ) -> Result<impl Future<Output = Result<SessionExplanation, Error>> + Send + use<S, R>, Error> {
        if self.lookups.is_closed() {
            return Err(Error::Closed);
        }
        let read = self.reader.explain(cookie_header, self.at(now));
        let schema = self.reader.sessions.schema().clone();
        let lookups = Arc::clone(&self.lookups);
        Ok(async move {
            Ok(match read {
                Read::Refused { reason, cookie, readings } => SessionExplanation::new(reason, cookie, None, readings),
                Read::Open { candidates, readings } => judge(&lookups, &schema, candidates, readings).await?,
            })
        })
    }
}

/// The session cookies of a request.
enum Read {
    /// At least one opens.
    Open {
        candidates: Candidates<Identity>,
        readings: Vec<(FoundReading, Option<Session>)>,
    },
    Refused {
        reason: Reason,
        cookie: Option<FoundCookie>,
        readings: Vec<FoundReading>,
    },
}

impl Reader {
    /// Who the cookies say it is, or why they say nothing.
    fn explain(&self, header: &str, at: At) -> Read {
        if let Err(error) = check_size(header) {
            return Read::Refused { reason: error.into(), cookie: None, readings: Vec::new() };
        }
        let mut readings = Vec::new();
        let mut refusal: Option<(Unauthenticated, MatchedCookie)> = None;
        for found in self.find(header) {
            let cookie = describe(found.name, &found.values);
            let mut furthest: Option<Unauthenticated> = None;
            for reading in found.values.readings() {
                let is_whole = reading.is_whole;
                let opened = self.open(reading, found.keyring, at).map(|opened| opened.session);
                let outcome = opened.as_ref().err().map(Unauthenticated::outcome);
                let (session, refusal) =
                    opened.map_or_else(|refusal| (None, Some(refusal)), |session| (Some(session), None));
                readings.push((FoundReading::new(cookie.clone(), is_whole, outcome), session));
                furthest = further(furthest, refusal);
            }
            if let Some(reason) = furthest
                && refusal.as_ref().is_none_or(|(known, _)| reason.step() >= known.step())
            {
                refusal = Some((reason, found));
            }
        }
        readings.extend(self.weaker(header).map(|reading| (reading, None)));
        let mut identities = readings.iter().filter_map(|(_, session)| Some(session.as_ref()?.identity.clone()));
        if let Some(first) = identities.next() {
            let candidates = candidates(first, identities.collect(), |identity| identity);
            return Read::Open { candidates, readings };
        }
        let Some((reason, found)) = refusal else {
            let (reason, cookie) = self.explain_absence(header);
            return Read::Refused { reason, cookie, readings: Vec::new() };
        };
        let readings = readings.into_iter().map(|(reading, _)| reading).collect();
        let cookie = Some(describe(found.name, &found.values));
        Read::Refused { reason: explain_refusal(reason, &found), cookie, readings }
    }

    /// Cookies that don't count, since the request has one of a stronger class.
    fn weaker<'h>(&self, header: &'h str) -> impl Iterator<Item = FoundReading> + use<'_, 'h> {
        let strongest = self.find(header).next().map(|found| found.name.class());
        let weaker = self.cookies.iter().map(|cookie| &cookie.name);
        let weaker = weaker.filter(move |name| strongest.is_some_and(|class| name.class() > class));
        weaker.filter_map(|name| {
            let cookie = describe(name, &name.find(header)?);
            let is_whole = cookie.whole;
            Some(FoundReading::ignored(cookie, is_whole, Ignored::WeakerPrefix))
        })
    }

    /// Without a whole cookie or a first chunk. Later chunks may be there all the same.
    fn explain_absence(&self, header: &str) -> (Reason, Option<FoundCookie>) {
        let described = self.cookies.iter().map(|cookie| describe(&cookie.name, &cookie.name.values(header)));
        if let Some(partial) = described.into_iter().find(|cookie| !cookie.chunks.is_empty()) {
            return (Reason::ChunkGap { missing: 0 }, Some(partial));
        }
        let names: Vec<_> = self.cookies.iter().map(|cookie| &cookie.name).collect();
        let near_misses = near_misses(header, &names);
        let expected = names.into_iter().map(|name| name.as_str().to_owned()).collect();
        (Reason::NoCookie { expected, near_misses }, None)
    }
}

fn further(known: Option<Unauthenticated>, new: Option<Unauthenticated>) -> Option<Unauthenticated> {
    match (known, new) {
        (Some(known), Some(new)) if new.step() < known.step() => Some(known),
        (known, new) => new.or(known),
    }
}

/// What the database says of the sessions that were read.
async fn judge<S, R>(
    lookups: &Arc<Lookups<S, R>>,
    schema: &Schema,
    candidates: Candidates<Identity>,
    readings: Vec<(FoundReading, Option<Session>)>,
) -> Result<SessionExplanation, Error>
where
    S: SessionStore + 'static,
    R: Responder,
{
    let since = Instant::now();
    let identities: Vec<_> = candidates.iter().cloned().collect();
    let kept = kept(lookups, &identities);
    let answers = join_all(identities.iter().map(|identity| lookups.verdict(identity.clone()))).await;
    let outcomes: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map_or(Outcome::DatabaseUnavailable, |verdict| verdict.liveness.outcome()))
        .collect();
    let decided = decide(answers);
    let place = decided.as_ref().map_or(0, |verdict| verdict.place);
    let identity = identities[place].clone();
    let mut fresh = None;
    let reason = match decided {
        Ok(verdict) => {
            let end = match verdict.liveness {
                // The verdict stands, whether its details can be queried or not.
                Liveness::Revoked | Liveness::Expired | Liveness::OtherUser => {
                    lookups.find_end(&identity.lookup.key, since).await.ok().flatten()
                }
                _ => None,
            };
            fresh = verdict.record.as_ref().and_then(|record| record.fresh.clone());
            Reason::of_verdict(verdict, &identity, end, identity.unfit(schema, &lookups.id_types()))
        }
        Err(outage) if outage.is_outage() => Reason::of_outage(&outage),
        Err(error) => return Err(error),
    };
    let (mut cookie, mut body) = (None, None);
    let readings = readings.into_iter().map(|(reading, session)| {
        let Some(Session { identity: own, body: own_body }) = session else {
            return reading;
        };
        if own == identity && cookie.is_none() {
            (cookie, body) = (Some(reading.cookie().clone()), Some(own_body));
        }
        match identities.iter().position(|identity| *identity == own) {
            Some(place) => reading.with_outcome(outcomes[place], &own),
            None if identities.iter().any(|identity| identity.lookup.key == own.lookup.key) => {
                reading.with_ignored(Ignored::OlderToken, &own)
            }
            None => reading.with_ignored(Ignored::NotAsked, &own),
        }
    });
    let readings = readings.collect();
    let (is_live, is_unfit) = (reason.outcome() == Outcome::Live, reason.outcome() == Outcome::MissingClaims);
    let claimed = (!is_unfit).then(|| ClaimedSession::from(&identity));
    let explanation = SessionExplanation::new(reason, cookie, claimed, readings).with_kept(kept);
    Ok(match body.filter(|_| is_live) {
        Some(body) => explanation.with_claims(&body.render(fresh.as_deref()), fresh.as_deref(), schema),
        None => explanation,
    })
}

/// What `getSession` would say of the sessions without asking: see [`Lookups::known`].
fn kept<S, R>(lookups: &Lookups<S, R>, identities: &[Identity]) -> Option<KeptAnswer>
where
    S: SessionStore + 'static,
    R: Responder,
{
    let (verdict, age) = lookups.store().cache()?.peek(identities.first()?, Moment::now())?;
    (verdict.is_live() || identities.len() == 1).then(|| KeptAnswer::new(&verdict, age))
}

/// As [`Lookups::ask`] decides.
fn decide(answers: Vec<Answer>) -> Answer {
    let mut placed =
        answers.into_iter().zip(0..).map(|(answer, place)| answer.map(|verdict| Verdict { place, ..verdict }));
    let newest = placed.next().unwrap_or_else(|| Err(Error::Internal("no candidate".to_owned())))?;
    if newest.is_live() { Ok(newest) } else { first_live(placed).unwrap_or(Ok(newest)) }
}

fn explain_refusal(refusal: Unauthenticated, found: &MatchedCookie) -> Reason {
    use TokenError::{Malformed, Undecryptable};
    let MatchedCookie { keyring, values, .. } = found;
    // These are also the errors of a token whose chunks are incomplete, or followed by chunks of another token.
    if matches!(refusal, Unauthenticated::Token(Malformed | Undecryptable) | Unauthenticated::Size(SizeError::Empty)) {
        if let Some(stale) = stale_chunks(keyring, values) {
            return Reason::StaleChunks { stale };
        }
        if let Some(missing) = gap(values) {
            return Reason::ChunkGap { missing };
        }
    }
    match refusal {
        // Never `NoCookie`, since one was found.
        Unauthenticated::NoCookie | Unauthenticated::Size(SizeError::Empty) => SizeError::Empty.into(),
        Unauthenticated::Size(error) => error.into(),
        Unauthenticated::Token(Malformed) => explain_malformed(values),
        Unauthenticated::Token(error) => Reason::of_token(error, |enc| known_secrets(keyring, enc)),
        Unauthenticated::Claims(error) => error.into(),
    }
}

/// Recognizes the other kinds of session tokens that Auth.js can be configured to write.
fn explain_malformed(values: &CookieValues) -> Reason {
    for token in values.readings().filter_map(|reading| reading.token.ok()) {
        if is_database_token(&token) {
            return Reason::DatabaseToken {};
        }
        if is_signed_jwt(&token) {
            return Reason::SignedToken {};
        }
    }
    Reason::MalformedToken {}
}

/// With `session: { strategy: 'database' }` the token is a UUID, or in NextAuth v4 on an old Node.js 32 bytes as hex
/// (`generateSessionToken` in @auth/core's lib/init.ts and next-auth 4's core/init.ts).
fn is_database_token(token: &str) -> bool {
    let is_hex = || token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    (token.len() == Hyphenated::LENGTH && Uuid::try_parse(token).is_ok()) || is_hex()
}

/// Header, claims and signature (RFC 7515, section 3.1); the header is a JSON object in base64url.
fn is_signed_jwt(token: &str) -> bool {
    let parts: Vec<_> = token.split('.').collect();
    token.starts_with("eyJ") && parts.len() == 3 && !parts.contains(&"")
}

/// The first chunk that is missing although a later one is there.
fn gap(values: &CookieValues) -> Option<u16> {
    (0..).zip(chunks(values)).find_map(|(index, chunk)| (index != chunk).then_some(index))
}

/// The last chunks, if the token opens without them: they were left by a longer token.
fn stale_chunks(keyring: &Keyring, values: &CookieValues) -> Option<Vec<u16>> {
    let mut chunks = chunks(values);
    chunks.truncate(MAX_CHUNKS_TRIED);
    let is_whole_token = |count: &usize| {
        let token = values.join_chunks(*count);
        token.len() <= MAX_TOKEN_BYTES && token::open(&token, keyring).is_ok()
    };
    let fresh = (1..chunks.len()).find(is_whole_token)?;
    Some(chunks[fresh..].to_vec())
}

fn describe(name: &CookieName, values: &CookieValues) -> FoundCookie {
    FoundCookie { name: name.as_str().to_owned(), whole: values.is_whole(), chunks: chunks(values) }
}

/// Without numbers that are ports rather than chunks.
fn chunks(values: &CookieValues) -> Vec<u16> {
    values.chunks().into_iter().filter(|chunk| *chunk < MIN_PORT).collect()
}

fn known_secrets(keyring: &Keyring, enc: ContentEncryption) -> Vec<KnownSecret> {
    let known = |(index, key): (usize, &Key)| KnownSecret { index, kid: ShortKid::of(key.kid()) };
    keyring.candidates(enc, None).map(known).collect()
}
