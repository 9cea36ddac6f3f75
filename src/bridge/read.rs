//! `Cookie` header -> session: everything that needs no database.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use crate::claims::{Claims, ClaimsError, Session};
use crate::cookie::{CookieName, CookieValues, MAX_HEADER_BYTES, SizeError};
use crate::crypto::Keyring;
use crate::outcome::Outcome;
use crate::schema::Schema;
use crate::token::{self, TokenError};

/// Why a request has no session, before the database is queried.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unauthenticated {
    #[error("no session cookie")]
    NoCookie,
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// Opens session cookies.
#[derive(Debug)]
pub(super) struct Reader {
    /// In order of preference: the first name that the request has a cookie for is used.
    pub(super) cookies: Vec<(CookieName, Keyring)>,
    pub(super) schema: Schema,
}

/// The session cookie of a request, and the keys that may open it.
pub(super) struct MatchedCookie<'r, 'h> {
    pub(super) name: &'r CookieName,
    pub(super) keyring: &'r Keyring,
    pub(super) values: CookieValues<'h>,
}

impl Reader {
    /// `now` is in seconds since 1970.
    pub(super) fn read(&self, cookie_header: &str, now: u64) -> Result<Session, Unauthenticated> {
        let found = self.find(cookie_header)?.ok_or(Unauthenticated::NoCookie)?;
        self.open(&found, now)
    }

    /// The session cookie to read; `None` if the request has none.
    pub(super) fn find<'h>(&self, cookie_header: &'h str) -> Result<Option<MatchedCookie<'_, 'h>>, SizeError> {
        if cookie_header.len() > MAX_HEADER_BYTES {
            return Err(SizeError::HeaderTooLarge { bytes: cookie_header.len() });
        }
        Ok(self.cookies.iter().find_map(|(name, keyring)| {
            let values = name.find(cookie_header)?;
            Some(MatchedCookie { name, keyring, values })
        }))
    }

    pub(super) fn open(&self, found: &MatchedCookie, now: u64) -> Result<Session, Unauthenticated> {
        let mut refusal = Unauthenticated::NoCookie;
        for reading in found.values.readings() {
            match self.open_token(reading, found.keyring, now) {
                Ok(session) => return Ok(session),
                // Keeps the reason of the reading that passed the most checks.
                Err(reason) if reason.step() >= refusal.step() => refusal = reason,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn open_token(
        &self,
        reading: Result<Cow<str>, SizeError>,
        keyring: &Keyring,
        now: u64,
    ) -> Result<Session, Unauthenticated> {
        let plaintext = token::open(&reading?, keyring)?;
        let claims = Claims::parse(&plaintext, now)?;
        Ok(Session::from_claims(&claims, &self.schema)?)
    }
}

impl Unauthenticated {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoCookie => Outcome::NoCookie,
            Self::Size(SizeError::HeaderTooLarge { .. }) => Outcome::HeaderTooLarge,
            Self::Size(SizeError::Empty) => Outcome::EmptyCookie,
            Self::Size(SizeError::TooLarge { .. }) => Outcome::TokenTooLarge,
            Self::Token(TokenError::Malformed) => Outcome::MalformedToken,
            Self::Token(TokenError::UnsupportedHeader(_)) => Outcome::UnsupportedHeader,
            Self::Token(TokenError::NoMatchingSecret { .. }) => Outcome::NoMatchingSecret,
            Self::Token(TokenError::Undecryptable) => Outcome::Undecryptable,
            Self::Claims(ClaimsError::NotAnObject | ClaimsError::NotANumber(_)) => Outcome::MalformedClaims,
            Self::Claims(ClaimsError::Missing(_)) => Outcome::MissingClaims,
            Self::Claims(ClaimsError::Expired { .. }) => Outcome::TokenExpired,
            Self::Claims(ClaimsError::NotYetValid { .. }) => Outcome::TokenNotYetValid,
        }
    }

    /// How many steps of the pipeline the request passed.
    fn step(&self) -> u8 {
        match self {
            Self::NoCookie => 0,
            Self::Size(_) => 1,
            Self::Token(_) => 2,
            Self::Claims(_) => 3,
        }
    }
}
