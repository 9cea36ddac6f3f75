//! What the integration with Auth.js asks for (`next-auth/index.js`): Auth.js itself seals the tokens, and gives their claims.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::Bridge;
use super::manage::{CreatedSession, revoke_part};
use super::read::{At, Reader, SealedCookie, check_size};
use crate::claims::{PROTECTED_CLAIMS, Session};
use crate::cookie::{Attributes, Change, SameSite};
use crate::crypto::Issuer;
use crate::error::Error;
use crate::lookups::{Lookups, Responder};
use crate::metrics::{Metrics, Roll};
use crate::redacted::redacted;
use crate::schema::{FreshClaim, Id};
use crate::store::{
    FreshValue, Identity, Liveness, ManagedStore, NewSession, Reason, Revocation, Scope, SessionStore, Slide, Verdict,
};

/// Why sessions end that Auth.js ends.
const AT_SIGN_IN: &str = "signed_in_again";
const AT_SIGN_OUT: &str = "signed_out";

/// What Auth.js must be configured with, so that it sets and reads the cookies that the bridge reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerOptions<'b> {
    /// Which Auth.js it is, as the option `cookieName` says it.
    issuer: &'static str,
    /// The one to seal with comes first.
    secrets: Vec<&'b str>,
    /// In seconds; `None` if Auth.js decides.
    max_age: Option<u32>,
    cookie: IssuerCookie<'b>,
    /// The claims that name whose session it is.
    owner_claims: Vec<&'static str>,
    protected_claims: [&'static str; PROTECTED_CLAIMS.len()],
}

/// `cookies.sessionToken`.
#[derive(Serialize)]
struct IssuerCookie<'b> {
    name: &'b str,
    options: IssuerAttributes<'b>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IssuerAttributes<'b> {
    http_only: bool,
    same_site: &'static str,
    path: &'b str,
    secure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitioned: Option<bool>,
}

redacted!(IssuerOptions<'b>, Rolled);

/// What became of a session whose token Auth.js issues anew.
pub enum Rolled {
    /// It has ended for good.
    Ended,
    /// It is not live, as far as is known here.
    NotLive,
    Live {
        /// As JSON.
        session: String,
        /// The claims that the token gets, as JSON: null removes a claim.
        claims: String,
        /// Why the database doesn't slide the row, if it doesn't.
        refused: Option<String>,
    },
}

impl Rolled {
    /// Why the database doesn't slide the row, if it doesn't.
    pub fn refused(&self) -> Option<&str> {
        match self {
            Self::Live { refused, .. } => refused.as_deref(),
            Self::Ended | Self::NotLive => None,
        }
    }

    pub fn to_json(&self) -> String {
        match self {
            Self::Ended => r#"{"state":"ended"}"#.to_owned(),
            Self::NotLive => r#"{"state":"not-live"}"#.to_owned(),
            Self::Live { session, claims, .. } => {
                format!(r#"{{"state":"live","session":{session},"claims":{claims}}}"#)
            }
        }
    }
}

impl<S: SessionStore + 'static, R: Responder> Bridge<S, R> {
    /// # Errors
    /// Never, since there is a cookie.
    pub fn issuer_options(&self) -> Result<IssuerOptions<'_>, Error> {
        let SealedCookie { name, issuer, sealing, attributes, .. } = self.issuer_cookie()?;
        let list = &self.secrets.list;
        let others = list.iter().enumerate().filter(|(place, _)| *place != sealing.anew).map(|(_, secret)| secret);
        let Attributes { domain, path, same_site, secure, partitioned } = attributes;
        Ok(IssuerOptions {
            issuer: match issuer {
                Issuer::AuthJs => "authjs",
                Issuer::NextAuth4 => "next-auth-v4",
            },
            secrets: list.get(sealing.anew).into_iter().chain(others).map(|secret| secret.reveal()).collect(),
            max_age: self.rolling.max_age,
            cookie: IssuerCookie {
                name: name.as_str(),
                options: IssuerAttributes {
                    http_only: true,
                    same_site: match same_site {
                        SameSite::Lax => "lax",
                        SameSite::Strict => "strict",
                        SameSite::None => "none",
                    },
                    path,
                    secure: *secure,
                    domain: domain.as_deref(),
                    partitioned: partitioned.then_some(true),
                },
            },
            owner_claims: self.reader.sessions.schema().missing(|claim| claim == "session_id"),
            protected_claims: PROTECTED_CLAIMS,
        })
    }

    /// The cookie that Auth.js sets: the first that a browser takes over http, if the app is served so, or else the first.
    fn issuer_cookie(&self) -> Result<&SealedCookie, Error> {
        let cookies = &self.reader.cookies;
        let over_http = cookies.iter().find(|cookie| !cookie.attributes.secure);
        over_http.or(cookies.first()).ok_or_else(|| Error::Internal("there is no cookie".to_owned()))
    }

    /// The session that these claims of a token describe, as JSON, without asking the database; `None` if they describe none.
    pub fn described(&self, claims: &str, now: u64) -> Option<String> {
        Some(self.session_of(claims, now)?.body.render(None))
    }

    fn session_of(&self, claims: &str, now: u64) -> Option<Session> {
        let At { types, .. } = self.at(now);
        self.reader.sessions.read(claims.as_bytes(), now, &types).ok()
    }

    /// Checks the session of these claims, an object as JSON, and slides its row if it is due. `now` is in seconds since 1970.
    pub fn roll(&self, claims: &str, now: u64) -> impl Future<Output = Result<Rolled, Error>> + Send + use<S, R> {
        let lookups = Arc::clone(&self.lookups);
        let fresh_claims = self.reader.sessions.schema().fresh_claims.clone();
        let session = self.session_of(claims, now).map(|Session { mut identity, body }| {
            identity.slide = self.rolling.is_due(&identity, now).then(|| self.rolling.lifetime(&identity, now));
            (identity, body)
        });
        async move {
            if lookups.is_closed() {
                return Err(Error::Closed);
            }
            let Some((identity, body)) = session else {
                return Ok(Rolled::NotLive);
            };
            let is_due = identity.slide.is_some();
            let verdict = lookups.verdict(identity).await;
            let metrics = lookups.metrics();
            let verdict = verdict.inspect_err(|error| metrics.count(error.outcome()))?;
            let Verdict { liveness, record: Some(record), .. } = verdict else {
                return Ok(Rolled::NotLive);
            };
            if liveness != Liveness::Live {
                return Ok(if liveness.is_end() { Rolled::Ended } else { Rolled::NotLive });
            }
            let (rolled_at, refused) = slid(record.slide, is_due, now, metrics);
            let fresh = record.fresh;
            let claims = next_claims(&fresh_claims, fresh.as_deref(), rolled_at);
            Ok(Rolled::Live { session: body.render(fresh.as_deref()), claims, refused })
        }
    }

    /// The `Set-Cookie` lines that delete all session cookies of a request but that of Auth.js itself.
    ///
    /// # Errors
    /// Never, since there is a cookie.
    pub fn deleted_cookies(&self, cookie_header: &str) -> Result<Vec<String>, Error> {
        if check_size(cookie_header).is_err() {
            return Ok(Vec::new());
        }
        let own = self.issuer_cookie()?.name.as_str();
        let others = self.reader.cookies.iter().filter(|cookie| cookie.name.as_str() != own);
        let lines = others.flat_map(|SealedCookie { name, attributes, .. }| {
            Change { name, attributes, token: None }.lines(cookie_header)
        });
        Ok(lines.collect())
    }
}

impl<S: ManagedStore + 'static, R: Responder> Bridge<S, R> {
    /// Starts a session in place of those that the cookies of the request name, whatever their class. They end afterwards, so that a
    /// sign-in which fails ends nothing.
    pub fn start(
        &self,
        new: NewSession,
        cookie_header: &str,
        now: u64,
    ) -> impl Future<Output = Result<CreatedSession, Error>> + Send + use<S, R> {
        let named = self.reader.named(cookie_header, self.at(now));
        let replaced = named.iter().map(|identity| identity.lookup.key.session_id.clone()).collect();
        let created = self.create_session(NewSession { replaced, ..new });
        let lookups = Arc::clone(&self.lookups);
        async move {
            let created = created.await?;
            end_all(&lookups, &named, AT_SIGN_IN).await?;
            Ok(created)
        }
    }

    /// Ends the sessions that the cookies of a request name, whatever their class, but the one that is kept: how many.
    pub fn end_named(
        &self,
        cookie_header: &str,
        kept: &Id,
        now: u64,
    ) -> impl Future<Output = Result<u64, Error>> + Send + use<S, R> {
        let types = self.at(now).types;
        let mut named = self.reader.named(cookie_header, self.at(now));
        let kept = types.session_id.fit(kept);
        named.retain(|identity| kept.is_none() || types.session_id.fit(&identity.lookup.key.session_id) != kept);
        let lookups = Arc::clone(&self.lookups);
        async move { end_all(&lookups, &named, AT_SIGN_IN).await }
    }

    /// Ends the same sessions, and that of the claims of a token, an object as JSON. Tries once more if it fails.
    pub fn sign_out(
        &self,
        cookie_header: &str,
        claims: &str,
        now: u64,
    ) -> impl Future<Output = Result<u64, Error>> + Send + use<S, R> {
        let mut named = self.reader.named(cookie_header, self.at(now));
        named.extend(self.session_of(claims, now).map(|session| session.identity));
        let lookups = Arc::clone(&self.lookups);
        async move {
            let ended = match end_all(&lookups, &named, AT_SIGN_OUT).await {
                Err(Error::Closed) => Err(Error::Closed),
                Err(_) => end_all(&lookups, &named, AT_SIGN_OUT).await,
                ended => ended,
            };
            ended.inspect_err(|_| lookups.metrics().count_failed_sign_out())
        }
    }
}

impl Reader {
    /// The sessions that all cookies of a request name, each once.
    pub(super) fn named(&self, cookie_header: &str, at: At) -> Vec<Identity> {
        if check_size(cookie_header).is_err() {
            return Vec::new();
        }
        let values = self.cookies.iter().filter_map(|cookie| Some((cookie, cookie.name.find(cookie_header)?)));
        let mut named = Vec::new();
        for (cookie, values) in values {
            for reading in values.readings() {
                named.extend(self.open(reading, &cookie.keyring, at).ok().map(|opened| opened.session.identity));
            }
        }
        let mut keys = HashSet::new();
        named.retain(|identity| keys.insert(identity.lookup.clone()));
        named
    }
}

async fn end_all<S: ManagedStore + 'static, R: Responder>(
    lookups: &Arc<Lookups<S, R>>,
    named: &[Identity],
    reason: &'static str,
) -> Result<u64, Error> {
    let mut ended = 0;
    for Identity { lookup, .. } in named {
        let scope = Scope::One { key: lookup.key.clone(), user_id: Some(lookup.user_id.clone()) };
        ended += revoke_part(lookups, &Revocation { scope, reason: Some(Reason::Own(reason)) }).await?;
    }
    Ok(ended)
}

/// When the row was slid, for the claim `rolled_at`, and why the database refuses to.
fn slid(slide: Slide, is_due: bool, now: u64, metrics: &Metrics) -> (Option<u64>, Option<String>) {
    match slide {
        // Another call of the same batch may have wanted it.
        _ if !is_due => (None, None),
        Slide::Done(_) => {
            metrics.count_roll(Roll::Issued);
            (Some(now), None)
        }
        Slide::Held | Slide::NotAsked => {
            metrics.count_roll(Roll::Held);
            (None, None)
        }
        Slide::Refused(why) => {
            metrics.count_roll(Roll::Refused);
            (None, Some(why.to_string()))
        }
    }
}

/// An object as JSON.
fn next_claims(claims: &[FreshClaim], values: Option<&[Option<FreshValue>]>, rolled_at: Option<u64>) -> String {
    let fresh = claims.iter().zip(values.unwrap_or_default()).map(|(claim, value)| {
        let json = value.as_ref().map_or("null", |FreshValue(json)| json.get());
        format!("{}:{json}", Value::from(claim.name.as_str()))
    });
    let members: Vec<_> = fresh.chain(rolled_at.map(|time| format!(r#""rolled_at":{time}"#))).collect();
    format!("{{{}}}", members.join(","))
}
