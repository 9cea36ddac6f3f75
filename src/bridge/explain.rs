//! The pipeline of `getSession`, which returns the reason instead of the body.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::explanation::{ClaimedSession, FoundCookie, KnownSecret, Reason, SessionExplanation};
use super::read::{MatchedCookie, Reader};
use super::{Bridge, Unauthenticated};
use crate::cookie::near_miss::{MIN_PORT, near_misses};
use crate::cookie::{CookieName, CookieValues, MAX_TOKEN_BYTES, SizeError};
use crate::crypto::{ContentEncryption, Key, Keyring, ShortKid};
use crate::error::Error;
use crate::lookups::{Lookups, Responder};
use crate::store::{Identity, Liveness, SessionStore};
use crate::token::{self, TokenError};

/// Bounds the search for stale chunks. Auth.js splits no token into more.
const MAX_CHUNKS_TRIED: usize = 16;

impl<S: SessionStore + 'static, R: Responder> Bridge<S, R> {
    /// Why the request has a session or not. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the bridge is closed or has a bug. That the database can't answer is an explanation, not an error.
    pub fn explain(
        &self,
        cookie_header: &str,
        now: u64,
    ) -> Result<impl Future<Output = Result<SessionExplanation, Error>> + Send + use<S, R>, Error> {
        if self.lookups.is_closed() {
            return Err(Error::Closed);
        }
        let read = self.reader.explain(cookie_header, now);
        let lookups = Arc::clone(&self.lookups);
        Ok(async move {
            Ok(match read {
                Err((reason, cookie)) => SessionExplanation::new(reason, cookie, None),
                Ok((identity, cookie)) => {
                    let reason = judge(&lookups, &identity).await?;
                    SessionExplanation::new(reason, Some(cookie), Some(ClaimedSession::from(&identity)))
                }
            })
        })
    }
}

impl Reader {
    /// The identity in the cookie, or the reason why there is none; and the cookie, if there is one.
    fn explain(&self, header: &str, now: u64) -> Result<(Identity, FoundCookie), (Reason, Option<FoundCookie>)> {
        let found = match self.find(header) {
            Err(error) => return Err((error.into(), None)),
            Ok(None) => return Err(self.explain_absence(header)),
            Ok(Some(found)) => found,
        };
        let cookie = describe(found.name, &found.values);
        match self.open(&found, now) {
            Ok(session) => Ok((session.identity, cookie)),
            Err(refusal) => Err((explain_refusal(refusal, &found), Some(cookie))),
        }
    }

    /// For a request with neither a whole cookie nor a first chunk. There may be later chunks.
    fn explain_absence(&self, header: &str) -> (Reason, Option<FoundCookie>) {
        let described = self.cookies.iter().map(|(name, _)| describe(name, &name.values(header)));
        if let Some(partial) = described.into_iter().find(|cookie| !cookie.chunks.is_empty()) {
            return (Reason::ChunkGap { missing: 0 }, Some(partial));
        }
        let names: Vec<_> = self.cookies.iter().map(|(name, _)| name).collect();
        let near_misses = near_misses(header, &names);
        let expected = names.into_iter().map(|name| name.as_str().to_owned()).collect();
        (Reason::NoCookie { expected, near_misses }, None)
    }
}

/// The reason that the database gives for a session whose token is valid.
async fn judge<S, R>(lookups: &Arc<Lookups<S, R>>, identity: &Identity) -> Result<Reason, Error>
where
    S: SessionStore + 'static,
    R: Responder,
{
    let since = Instant::now();
    let verdict = match lookups.verdict(*identity).await {
        Ok(verdict) => verdict,
        Err(outage) if outage.is_outage() => return Ok(Reason::of_outage(&outage)),
        Err(error) => return Err(error),
    };
    let end = match verdict.liveness {
        // The verdict holds even if its details can't be queried.
        Liveness::Revoked | Liveness::Expired => lookups.find_end(identity.key, since).await.ok().flatten(),
        _ => None,
    };
    Ok(Reason::of_verdict(verdict, identity, end))
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
        Unauthenticated::Token(error) => Reason::of_token(error, |enc| known_secrets(keyring, enc)),
        Unauthenticated::Claims(error) => error.into(),
    }
}

/// The first chunk that is missing although a later one is there.
fn gap(values: &CookieValues) -> Option<u16> {
    (0..).zip(chunks(values)).find_map(|(index, chunk)| (index != chunk).then_some(index))
}

/// The last chunks, if the token opens without them: they were left by a longer token.
fn stale_chunks(keyring: &Keyring, values: &CookieValues) -> Option<Vec<u16>> {
    let chunks: Vec<_> = chunks(values).take(MAX_CHUNKS_TRIED).collect();
    let is_whole_token = |count: &usize| {
        let token = values.join_chunks(*count);
        token.len() <= MAX_TOKEN_BYTES && token::open(&token, keyring).is_ok()
    };
    let fresh = (1..chunks.len()).find(is_whole_token)?;
    Some(chunks[fresh..].to_vec())
}

fn describe(name: &CookieName, values: &CookieValues) -> FoundCookie {
    FoundCookie { name: name.as_str().to_owned(), whole: values.is_whole(), chunks: chunks(values).collect() }
}

/// Without numbers that are ports rather than chunks.
fn chunks(values: &CookieValues) -> impl Iterator<Item = u16> {
    values.chunks().filter(|chunk| *chunk < MIN_PORT)
}

fn known_secrets(keyring: &Keyring, enc: ContentEncryption) -> Vec<KnownSecret> {
    let kids = keyring.candidates(enc, None).map(Key::kid).enumerate();
    kids.map(|(index, kid)| KnownSecret { index, kid: ShortKid::of(kid) }).collect()
}
