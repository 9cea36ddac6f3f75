//! `Cookie` header -> the sessions that it may stand for: everything that needs no database.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use crate::claims::{ClaimsError, Session, SessionReader};
use crate::config::Sealing;
use crate::cookie::{Attributes, CookieName, CookieValues, MAX_HEADER_BYTES, Reading, SizeError};
use crate::crypto::{Issuer, Keyring};
use crate::outcome::Outcome;
use crate::schema::IdTypes;
use crate::store::{Candidates, Identity};
use crate::token::{self, TokenError};

/// Why a request has no session, as far as the cookie tells.
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

/// The most sessions that are asked for one request.
pub(super) const MAX_CANDIDATES: usize = 8;

/// Opens session cookies.
#[derive(Debug)]
pub(super) struct Reader {
    /// By class, the strongest first.
    pub(super) cookies: Vec<SealedCookie>,
    pub(super) sessions: SessionReader,
}

/// A cookie that can hold a session, and how its tokens are opened and sealed.
#[derive(Debug)]
pub(super) struct SealedCookie {
    pub(super) name: CookieName,
    pub(super) keyring: Keyring,
    pub(super) issuer: Issuer,
    pub(super) sealing: Sealing,
    pub(super) attributes: Attributes,
}

/// When a request is read, and what is known then.
#[derive(Clone, Copy)]
pub(super) struct At {
    /// In seconds since 1970.
    pub(super) now: u64,
    /// What the columns of ids can hold.
    pub(super) types: IdTypes,
}

/// A session cookie of a request.
pub(super) struct MatchedCookie<'r, 'h> {
    /// Its place among the configured ones.
    pub(super) place: usize,
    pub(super) name: &'r CookieName,
    pub(super) keyring: &'r Keyring,
    pub(super) values: CookieValues<'h>,
}

/// A token that is valid now.
pub(super) struct OpenedToken {
    pub(super) session: Session,
    pub(super) token: token::Opened,
}

impl Reader {
    /// The sessions that the request may stand for, newest first.
    pub(super) fn read(&self, cookie_header: &str, at: At) -> Result<Candidates<Session>, Unauthenticated> {
        check_size(cookie_header)?;
        let mut opened = Opened::default();
        for found in self.find(cookie_header) {
            for reading in found.values.readings() {
                opened.add(self.open(reading, found.keyring, at).map(|opened| opened.session));
            }
        }
        opened.candidates(|session| &session.identity)
    }

    /// The cookies of the strongest class that the request has: a weaker one could be set by somebody else.
    pub(super) fn find<'h>(&self, cookie_header: &'h str) -> impl Iterator<Item = MatchedCookie<'_, 'h>> {
        let mut strongest = None;
        self.cookies
            .iter()
            .enumerate()
            .map_while(move |(place, SealedCookie { name, keyring, .. })| {
                let class = name.class();
                if strongest.is_some_and(|strongest| strongest != class) {
                    return None;
                }
                let found = name.find(cookie_header).map(|values| MatchedCookie { place, name, keyring, values });
                if found.is_some() {
                    strongest = Some(class);
                }
                Some(found)
            })
            .flatten()
    }

    pub(super) fn open(&self, reading: Reading, keyring: &Keyring, at: At) -> Result<OpenedToken, Unauthenticated> {
        let token = token::open(&reading.token?, keyring)?;
        Ok(OpenedToken { session: self.sessions.read(&token.plaintext, at.now, &at.types)?, token })
    }
}

pub(super) fn check_size(cookie_header: &str) -> Result<(), SizeError> {
    match cookie_header.len() {
        bytes if bytes > MAX_HEADER_BYTES => Err(SizeError::HeaderTooLarge { bytes }),
        _ => Ok(()),
    }
}

/// What the readings of a request gave so far.
pub(super) struct Opened<T> {
    first: Option<T>,
    more: Vec<T>,
    refusal: Option<Unauthenticated>,
}

impl<T> Default for Opened<T> {
    fn default() -> Self {
        Self { first: None, more: Vec::new(), refusal: None }
    }
}

impl<T> Opened<T> {
    pub(super) fn add(&mut self, read: Result<T, Unauthenticated>) {
        match read {
            Ok(session) if self.first.is_none() => self.first = Some(session),
            Ok(session) => self.more.push(session),
            Err(reason) if self.refusal.as_ref().is_none_or(|known| reason.step() >= known.step()) => {
                self.refusal = Some(reason);
            }
            Err(_) => {}
        }
    }

    pub(super) fn candidates(self, identity: impl Fn(&T) -> &Identity) -> Result<Candidates<T>, Unauthenticated> {
        match self.first {
            None => Err(self.refusal.unwrap_or(Unauthenticated::NoCookie)),
            Some(first) if self.more.is_empty() => Ok(Candidates::one(first)),
            Some(first) => Ok(candidates(first, self.more, identity)),
        }
    }
}

/// Newest first, each session once, as its newest token has it. Of equally old ones the first in the header comes
/// first.
pub(super) fn candidates<T>(first: T, more: Vec<T>, identity: impl Fn(&T) -> &Identity) -> Candidates<T> {
    let mut all = vec![first];
    all.extend(more);
    // A stable sort.
    all.sort_by(|one, other| identity(other).issued_at.total_cmp(&identity(one).issued_at));
    let mut keys = HashSet::new();
    all.retain(|session| keys.insert(identity(session).lookup.key.clone()));
    all.truncate(MAX_CANDIDATES);
    let older = all.split_off(1);
    Candidates { newest: all.remove(0), older }
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

    /// How far the request came. Of several readings the reason of the one that came furthest is told; of equal
    /// ones that of the last.
    pub(super) fn step(&self) -> u8 {
        match self {
            Self::NoCookie => 0,
            Self::Size(_) => 1,
            Self::Token(_) => 2,
            Self::Claims(_) => 3,
        }
    }
}
