//! Claims of the app -> the cookies of a new session.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::Bridge;
use super::read::{At, SealedCookie};
use super::refresh::new_jti;
use crate::claims::{ClaimChanges, ClaimsError, Stamp, Times, claim_names, reissue};
use crate::cookie::{Change, MAX_TOKEN_BYTES, NewToken};
use crate::error::Error;
use crate::lookups::Responder;
use crate::redacted::redacted;
use crate::store::SessionStore;
use crate::token;

/// Claims that the token gets anew.
const STAMPED_CLAIMS: [&str; 5] = ["exp", "iat", "nbf", "jti", "rolled_at"];

/// What JavaScript gets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSession {
    set_cookie: Vec<String>,
    cookie_header: String,
}

redacted!(SealedSession);

impl<S: SessionStore + 'static, R: Responder> Bridge<S, R> {
    /// Seals a token with these claims, an object as JSON, into the first of the configured cookies. All others that the request
    /// has are deleted. `now` is in seconds since 1970, `max_age` in seconds.
    ///
    /// # Errors
    /// `Error::Argument` for claims that no session can have.
    pub fn seal(&self, claims: &str, max_age: u32, cookie_header: &str, now: u64) -> Result<SealedSession, Error> {
        if self.lookups.is_closed() {
            return Err(Error::Closed);
        }
        let own = |name: &String| STAMPED_CLAIMS.contains(&name.as_str());
        if let Some(name) = claim_names(claims)?.into_iter().find(own) {
            return Err(Error::argument(format!("claims.{name}"), "can't be set: each token gets its own"));
        }
        let expires_at = now.saturating_add(u64::from(max_age));
        let stamp = Stamp { jti: &new_jti(), times: Some(Times { now, expires_at }) };
        let unreadable = || Error::argument("claims", "must be an object of claims");
        let plaintext = reissue(claims.as_bytes(), ClaimChanges::default(), stamp).ok_or_else(unreadable)?;
        let At { types, .. } = self.at(now);
        self.reader.sessions.read(plaintext.as_bytes(), now, &types).map_err(|error| match error {
            ClaimsError::Missing(names) => Error::argument(
                format!("claims.{}", names.join(", claims.")),
                "is missing, or not what a session needs",
            ),
            _ => unreadable(),
        })?;
        let [SealedCookie { name, keyring, issuer, sealing, attributes }, others @ ..] = &self.reader.cookies[..]
        else {
            return Err(Error::Internal("there is no cookie".to_owned()));
        };
        let token = token::seal(plaintext.as_bytes(), keyring, sealing.anew)?;
        if token.len() > MAX_TOKEN_BYTES {
            let problem = format!("make the token longer than {MAX_TOKEN_BYTES} bytes, which is the limit");
            return Err(Error::argument("claims", problem));
        }
        let token = NewToken { token: &token, expires_at, max_value: issuer.max_cookie_value() };
        let deleted = others.iter().map(|SealedCookie { name, attributes, .. }| (name, attributes, None));
        let (mut set_cookie, mut cookie_header) = (Vec::new(), cookie_header.to_owned());
        for (name, attributes, token) in [(name, attributes, Some(token))].into_iter().chain(deleted) {
            let change = Change { name, attributes, token };
            set_cookie.extend(change.lines(&cookie_header));
            cookie_header = change.apply(&cookie_header);
        }
        Ok(SealedSession { set_cookie, cookie_header })
    }
}
