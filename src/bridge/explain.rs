//! The same way as `getSession`, with the reason instead of the body.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Bridge, Unauthenticated};
use crate::bridge::explanation::{ClaimedSession, FoundCookie, KnownSecret, Reason, SessionExplanation, Status};
use crate::claims::Session;
use crate::cookie::near_miss::{LEAST_PORT, near_misses};
use crate::cookie::{CookieName, CookieValues, MAX_TOKEN_BYTES, SizeError};
use crate::crypto::{ContentEncryption, Key, Keyring, ShortKid};
use crate::error::Error;
use crate::lookups::{Lookups, Replies};
use crate::store::{Liveness, RevocationSource};
use crate::token::{self, TokenError};

/// More chunks than any token has that Auth.js cuts; bounds the search for stale ones.
const MAX_CHUNKS_TRIED: usize = 16;

impl<S: RevocationSource + 'static, R: Replies> Bridge<S, R> {
    /// Why the request has or has no session. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the bridge is closed or something is wrong in this package; a database that can't be
    /// asked is an explanation.
    pub fn explain(
        &self,
        cookie_header: &str,
        now: u64,
    ) -> Result<impl Future<Output = Result<SessionExplanation, Error>> + Send + use<S, R>, Error> {
        let read = self.read(cookie_header, now)?;
        let found = self.cookies.iter().find_map(|(name, keyring)| Some((name, keyring, name.find(cookie_header)?)));
        let cookie = found.as_ref().map(|(name, _, values)| describe(name, values));
        let read = read.map_err(|refusal| match &found {
            None => self.explain_absence(cookie_header, refusal),
            Some((_, keyring, values)) => (explain_refusal(refusal, keyring, values), None),
        });
        let lookups = Arc::clone(&self.lookups);
        Ok(async move {
            let ((status, reason), cookie, session) = match read {
                Err((reason, partial)) => ((Status::Unauthenticated, reason), cookie.or(partial), None),
                Ok(session) => (judge(&lookups, &session).await?, cookie, Some(ClaimedSession::from(&session))),
            };
            Ok(SessionExplanation { status, reason, cookie, session })
        })
    }

    /// Without a whole cookie or a first chunk; with the chunks that are there all the same.
    fn explain_absence(&self, header: &str, refusal: Unauthenticated) -> (Reason, Option<FoundCookie>) {
        if let Unauthenticated::Size(error) = refusal {
            return (error.into(), None);
        }
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

/// What the database makes of a session that was read.
async fn judge<S, R>(lookups: &Lookups<S, R>, session: &Session) -> Result<(Status, Reason), Error>
where
    S: RevocationSource + 'static,
    R: Replies,
{
    let since = Instant::now();
    let (liveness, record) = match lookups.look_up(session, since).await {
        Ok(found) => found,
        Err(
            outage @ (Error::Connect(_)
            | Error::Query(_)
            | Error::Timeout { .. }
            | Error::Overload { .. }
            | Error::Cancelled(_)),
        ) => {
            return Ok((Status::Unavailable, Reason::of_outage(&outage)));
        }
        Err(error) => return Err(error),
    };
    let status = match liveness {
        Liveness::Live => Status::Authenticated,
        _ => Status::Unauthenticated,
    };
    let end = match liveness {
        // The verdict stands, whether its circumstances can be had or not.
        Liveness::Revoked | Liveness::Expired => lookups.look_up_end(session.key, since).await.ok().flatten(),
        _ => None,
    };
    Ok((status, Reason::of_liveness(liveness, session, record, end)))
}

fn explain_refusal(refusal: Unauthenticated, keyring: &Keyring, values: &CookieValues) -> Reason {
    use TokenError::{Malformed, Undecryptable};
    // What a token that is not whole, or that has something behind it, looks like.
    if matches!(refusal, Unauthenticated::Token(Malformed | Undecryptable) | Unauthenticated::Size(SizeError::Empty)) {
        if let Some(stale) = stale_chunks(keyring, values) {
            return Reason::StaleChunks { stale };
        }
        if let Some(missing) = gap(values) {
            return Reason::ChunkGap { missing };
        }
    }
    match refusal {
        // Never `NoCookie`, since one was found: it joins the case that is next to it.
        Unauthenticated::NoCookie | Unauthenticated::Size(SizeError::Empty) => SizeError::Empty.into(),
        Unauthenticated::Size(error) => error.into(),
        Unauthenticated::Token(error) => Reason::of_token(error, |enc| known_secrets(keyring, enc)),
        Unauthenticated::Claims(error) => error.into(),
    }
}

/// The first chunk that is missing before one that is there.
fn gap(values: &CookieValues) -> Option<u16> {
    (0..).zip(chunks(values)).find_map(|(index, chunk)| (index != chunk).then_some(index))
}

/// The last chunks, if the token opens without them: those of a longer token before it.
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

/// Without those whose number is rather a port.
fn chunks(values: &CookieValues) -> impl Iterator<Item = u16> {
    values.chunks().filter(|chunk| *chunk < LEAST_PORT)
}

fn known_secrets(keyring: &Keyring, enc: ContentEncryption) -> Vec<KnownSecret> {
    let kids = keyring.candidates(enc, None).map(Key::kid).enumerate();
    kids.map(|(index, kid)| KnownSecret { index, kid: ShortKid::of(kid) }).collect()
}
