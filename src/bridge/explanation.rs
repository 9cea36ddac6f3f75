//! What `explainSession` returns: why a request has a session or not. Holds ids and times, but no secret, token, e-mail
//! address or name.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::claims::ClaimsError;
use crate::cookie::near_miss::NearMiss;
use crate::cookie::{MAX_HEADER_BYTES, MAX_TOKEN_BYTES, SizeError};
use crate::crypto::{ContentEncryption, ShortKid};
use crate::error::Error;
use crate::outcome::{Outcome, Status};
use crate::redacted::redacted;
use crate::schema::{Id, Schema};
use crate::store::{FreshValue, Identity, Liveness, Lookup, SessionEnd, UserRow, UserType, Verdict};
use crate::token::TokenError;

/// A header has room for thousands.
const MAX_READINGS: usize = 50;

/// Serialises to the type of the same name in `index.d.ts`.
#[derive(Serialize)]
pub struct SessionExplanation {
    status: Status,
    #[serde(rename = "reason")]
    outcome: Outcome,
    #[serde(flatten)]
    reason: Reason,
    /// The cookie that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<FoundCookie>,
    /// The session that the token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<ClaimedSession>,
    /// The names of the app's claims in the session object; `None` unless it is configured to have some.
    #[serde(rename = "extraClaims", skip_serializing_if = "Option::is_none")]
    extra_claims: Option<Vec<String>>,
    /// The names of the claims that the database has a value for; `None` unless some are configured.
    #[serde(rename = "freshClaims", skip_serializing_if = "Option::is_none")]
    fresh_claims: Option<Vec<String>>,
    /// The possible tokens of the session cookies, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    readings: Vec<FoundReading>,
    /// What was kept of the database's last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<KeptAnswer>,
}

#[derive(Clone, Copy, Serialize)]
pub struct KeptAnswer {
    reason: Outcome,
    /// In ms.
    age: u64,
}

impl KeptAnswer {
    pub fn new(verdict: &Verdict, age: Duration) -> Self {
        Self { reason: verdict.liveness.outcome(), age: u64::try_from(age.as_millis()).unwrap_or(u64::MAX) }
    }
}

redacted!(SessionExplanation);

impl SessionExplanation {
    /// A single reading is not listed: it is what reason, cookie and session describe.
    pub fn new(
        reason: Reason,
        cookie: Option<FoundCookie>,
        session: Option<ClaimedSession>,
        readings: Vec<FoundReading>,
    ) -> Self {
        let outcome = reason.outcome();
        let mut readings = if readings.len() > 1 { readings } else { Vec::new() };
        readings.truncate(MAX_READINGS);
        let (extra_claims, fresh_claims, kept) = (None, None, None);
        Self { status: outcome.status(), outcome, reason, cookie, session, extra_claims, fresh_claims, readings, kept }
    }

    /// Adds what was kept before the database was asked.
    pub fn with_kept(self, kept: Option<KeptAnswer>) -> Self {
        Self { kept, ..self }
    }

    /// Adds the names of the claims in `body`, the session object.
    pub fn with_claims(self, body: &str, fresh: Option<&[Option<FreshValue>]>, schema: &Schema) -> Self {
        #[derive(Deserialize)]
        struct Body {
            user: HashMap<String, IgnoredAny>,
        }
        let user = serde_json::from_str(body).map_or_else(|_| HashMap::new(), |Body { user }| user);
        let extra = schema.extra_claims.iter().filter(|name| user.contains_key(*name)).cloned();
        let fresh = schema.fresh_claims.iter().zip(fresh.unwrap_or_default());
        let fresh = fresh.filter_map(|(claim, value)| value.as_ref().map(|_| claim.name.clone()));
        Self {
            extra_claims: (!schema.extra_claims.is_empty()).then(|| extra.collect()),
            fresh_claims: (!schema.fresh_claims.is_empty()).then(|| fresh.collect()),
            ..self
        }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("keys are strings, and no value fails")
    }
}

/// An [`Outcome`] with its details. docs/how-a-request-is-decided.md says what to do about each.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Reason {
    Live {},
    HeaderTooLarge { bytes: usize, limit: usize },
    NoCookie { expected: Vec<String>, near_misses: Vec<NearMiss> },
    EmptyCookie {},
    ChunkGap { missing: u16 },
    StaleChunks { stale: Vec<u16> },
    TokenTooLarge { bytes: usize, limit: usize },
    MalformedToken {},
    DatabaseToken {},
    SignedToken {},
    UnsupportedHeader { fields: Vec<&'static str> },
    NoMatchingSecret { kid: Option<ShortKid>, secrets: Vec<KnownSecret> },
    Undecryptable {},
    MalformedClaims { claim: Option<&'static str> },
    MissingClaims { claims: Vec<&'static str> },
    TokenExpired { expired_at: Timestamp, seconds_ago: f64 },
    TokenNotYetValid { valid_from: Timestamp, seconds_to_go: f64 },
    SessionUnknown {},
    SessionRevoked { revoked_at: Option<Timestamp>, revoked_reason: Option<String> },
    SessionExpired { expired_at: Option<Timestamp> },
    UserMismatch { session_user_id: Option<String> },
    SessionTooOld {},
    UserGone {},
    UserTypeChanged { from: Option<UserType>, to: String },
    DatabaseUnavailable { code: &'static str, message: String },
}

impl Reason {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Live {} => Outcome::Live,
            Self::HeaderTooLarge { .. } => Outcome::HeaderTooLarge,
            Self::NoCookie { .. } => Outcome::NoCookie,
            Self::EmptyCookie {} => Outcome::EmptyCookie,
            Self::ChunkGap { .. } => Outcome::ChunkGap,
            Self::StaleChunks { .. } => Outcome::StaleChunks,
            Self::TokenTooLarge { .. } => Outcome::TokenTooLarge,
            Self::MalformedToken {} => Outcome::MalformedToken,
            Self::DatabaseToken {} => Outcome::DatabaseToken,
            Self::SignedToken {} => Outcome::SignedToken,
            Self::UnsupportedHeader { .. } => Outcome::UnsupportedHeader,
            Self::NoMatchingSecret { .. } => Outcome::NoMatchingSecret,
            Self::Undecryptable {} => Outcome::Undecryptable,
            Self::MalformedClaims { .. } => Outcome::MalformedClaims,
            Self::MissingClaims { .. } => Outcome::MissingClaims,
            Self::TokenExpired { .. } => Outcome::TokenExpired,
            Self::TokenNotYetValid { .. } => Outcome::TokenNotYetValid,
            Self::SessionUnknown {} => Outcome::SessionUnknown,
            Self::SessionRevoked { .. } => Outcome::SessionRevoked,
            Self::SessionExpired { .. } => Outcome::SessionExpired,
            Self::UserMismatch { .. } => Outcome::UserMismatch,
            Self::SessionTooOld {} => Outcome::SessionTooOld,
            Self::UserGone {} => Outcome::UserGone,
            Self::UserTypeChanged { .. } => Outcome::UserTypeChanged,
            Self::DatabaseUnavailable { .. } => Outcome::DatabaseUnavailable,
        }
    }

    pub fn of_token(error: TokenError, secrets: impl FnOnce(ContentEncryption) -> Vec<KnownSecret>) -> Self {
        match error {
            TokenError::Malformed => Self::MalformedToken {},
            TokenError::UnsupportedHeader(fields) => Self::UnsupportedHeader { fields },
            TokenError::NoMatchingSecret { enc, kid } => Self::NoMatchingSecret { kid, secrets: secrets(enc) },
            TokenError::Undecryptable => Self::Undecryptable {},
        }
    }

    /// `end` is how the session ended, or whose it is, if that could be queried; `unfit` the claims whose ids the columns can't
    /// hold.
    pub fn of_verdict(
        verdict: Verdict,
        identity: &Identity,
        end: Option<SessionEnd>,
        unfit: Vec<&'static str>,
    ) -> Self {
        let Verdict { liveness, record, .. } = verdict;
        match liveness {
            Liveness::Live => Self::Live {},
            Liveness::UnfitId => Self::MissingClaims { claims: unfit },
            Liveness::Unknown => Self::SessionUnknown {},
            Liveness::Revoked => {
                let SessionEnd { revoked_at, revoked_reason, .. } = end.unwrap_or_default();
                Self::SessionRevoked { revoked_at: revoked_at.map(Timestamp), revoked_reason }
            }
            Liveness::Expired => Self::SessionExpired { expired_at: end.and_then(|end| end.expires_at).map(Timestamp) },
            Liveness::OtherUser => Self::UserMismatch { session_user_id: end.and_then(|end| end.user_id) },
            Liveness::TooOld => Self::SessionTooOld {},
            Liveness::UserGone => Self::UserGone {},
            Liveness::UserTypeChanged => {
                let to = match record.map(|record| record.user) {
                    Some(UserRow::OfType(name)) => name,
                    _ => String::new(),
                };
                Self::UserTypeChanged { from: identity.user_type, to }
            }
        }
    }

    pub fn of_outage(error: &Error) -> Self {
        Self::DatabaseUnavailable { code: error.code(), message: error.to_string() }
    }
}

impl From<SizeError> for Reason {
    fn from(error: SizeError) -> Self {
        match error {
            SizeError::HeaderTooLarge { bytes } => Self::HeaderTooLarge { bytes, limit: MAX_HEADER_BYTES },
            SizeError::Empty => Self::EmptyCookie {},
            SizeError::TooLarge { bytes } => Self::TokenTooLarge { bytes, limit: MAX_TOKEN_BYTES },
        }
    }
}

impl From<ClaimsError> for Reason {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::NotAnObject => Self::MalformedClaims { claim: None },
            ClaimsError::NotANumber(claim) => Self::MalformedClaims { claim: Some(claim) },
            ClaimsError::Missing(claims) => Self::MissingClaims { claims },
            ClaimsError::Expired { exp, now } => {
                Self::TokenExpired { expired_at: Timestamp(exp), seconds_ago: finite(now as f64 - exp) }
            }
            ClaimsError::NotYetValid { nbf, now } => {
                Self::TokenNotYetValid { valid_from: Timestamp(nbf), seconds_to_go: finite(nbf - now as f64) }
            }
        }
    }
}

/// JSON has no infinity.
fn finite(seconds: f64) -> f64 {
    seconds.clamp(f64::MIN, f64::MAX)
}

#[derive(Clone, Serialize)]
pub struct FoundCookie {
    pub name: String,
    /// Whether there is a cookie of this name that is not split into chunks.
    pub whole: bool,
    /// The indices of its chunks.
    pub chunks: Vec<u16>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedSession {
    session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_type: Option<UserType>,
    token_expires_at: Timestamp,
}

impl From<&Identity> for ClaimedSession {
    fn from(Identity { lookup: Lookup { key, user_id }, user_type, token_expires_at, .. }: &Identity) -> Self {
        let text = |id: &Id| id.text().into_owned();
        Self {
            session_id: text(&key.session_id),
            tenant: key.tenant.as_ref().map(text),
            user_id: text(user_id),
            user_type: *user_type,
            token_expires_at: Timestamp(*token_expires_at),
        }
    }
}

/// A possible token of a session cookie, and its result.
#[derive(Serialize)]
pub struct FoundReading {
    #[serde(skip)]
    cookie: FoundCookie,
    name: String,
    whole: bool,
    #[serde(rename = "reason")]
    end: ReadingEnd,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<ClaimedSession>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ReadingEnd {
    Outcome(Outcome),
    Ignored(Ignored),
}

/// Why a token that opens was not queried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ignored {
    /// There is a newer token of the same session.
    OlderToken,
    /// The request has a cookie with a stronger prefix.
    WeakerPrefix,
    /// The request has too many sessions.
    NotAsked,
}

impl FoundReading {
    /// `refusal` is why it doesn't open; `None` if it does.
    pub fn new(cookie: FoundCookie, is_whole: bool, refusal: Option<Outcome>) -> Self {
        let end = ReadingEnd::Outcome(refusal.unwrap_or(Outcome::Live));
        Self { name: cookie.name.clone(), cookie, whole: is_whole, end, session: None }
    }

    pub fn ignored(cookie: FoundCookie, is_whole: bool, ignored: Ignored) -> Self {
        Self { end: ReadingEnd::Ignored(ignored), ..Self::new(cookie, is_whole, None) }
    }

    pub fn with_outcome(self, outcome: Outcome, identity: &Identity) -> Self {
        Self { end: ReadingEnd::Outcome(outcome), session: Some(identity.into()), ..self }
    }

    pub fn with_ignored(self, ignored: Ignored, identity: &Identity) -> Self {
        Self { end: ReadingEnd::Ignored(ignored), session: Some(identity.into()), ..self }
    }

    /// The cookie that it is a reading of.
    pub fn cookie(&self) -> &FoundCookie {
        &self.cookie
    }
}

/// A secret: its index in the list, newest first, and the `kid` of its key.
#[derive(Serialize)]
pub struct KnownSecret {
    pub index: usize,
    pub kid: Option<ShortKid>,
}

/// Seconds since 1970. Serialises as `Date.toJSON` does, or as null if the year is out of the range of RFC 3339.
#[derive(Clone, Copy)]
pub struct Timestamp(pub f64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let milliseconds = (self.0 * 1000.0).round() as i128;
        let time = OffsetDateTime::from_unix_timestamp_nanos(milliseconds.saturating_mul(1_000_000));
        time.ok().and_then(|time| time.format(&Rfc3339).ok()).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn timestamps_are_rfc_3339_or_null() {
        for (seconds, expected) in [
            (0.0, json!("1970-01-01T00:00:00Z")),
            (1_700_000_000.5, json!("2023-11-14T22:13:20.5Z")),
            (-1.0, json!("1969-12-31T23:59:59Z")),
            (1e300, Value::Null),
            (f64::INFINITY, Value::Null),
            (f64::NEG_INFINITY, Value::Null),
        ] {
            assert_eq!(json!(Timestamp(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn infinite_seconds_are_finite_in_json() {
        let expired = Reason::from(ClaimsError::Expired { exp: f64::NEG_INFINITY, now: 1 });
        assert_eq!(json!(expired), json!({"expiredAt": null, "secondsAgo": f64::MAX}));
        let early = Reason::from(ClaimsError::NotYetValid { nbf: 100.0, now: 1 });
        assert_eq!(json!(early), json!({"validFrom": "1970-01-01T00:01:40Z", "secondsToGo": 99.0}));
    }

    #[test]
    fn status_and_reason_precede_the_details() {
        for (reason, expected) in [
            (Reason::Live {}, r#"{"status":"authenticated","reason":"live"}"#),
            (Reason::ChunkGap { missing: 1 }, r#"{"status":"unauthenticated","reason":"chunk-gap","missing":1}"#),
            (
                Reason::of_outage(&Error::Closed),
                r#"{"status":"unavailable","reason":"database-unavailable","code":"ERR_AUTH_BRIDGE_CLOSED","message":"this AuthBridge is closed"}"#,
            ),
        ] {
            assert_eq!(SessionExplanation::new(reason, None, None, Vec::new()).to_json(), expected);
        }
    }
}
