//! Reads Auth.js sessions: a `Cookie` header comes in, the body of `GET /api/auth/session` goes
//! out.
//!
//! The way of a request, which is also the order of the modules:
//!
//! 1. [`cookie`] finds the session cookie and joins its chunks.
//! 2. [`key`] holds the keys that the secrets give for that cookie's name.
//! 3. [`token`] opens the JWE with the [`cipher`] of one of them.
//! 4. [`claims`] checks that the token counts now.
//! 5. [`session`] makes the documented object of the claims.
//! 6. [`revocation`] says whether the session lives, from what [`postgres`] finds; [`lookups`] asks it,
//!    for many calls at once, and
//!    counts them in [`metrics`].
//!
//! [`bridge`] is that way as one function, with an [`explanation`] for whoever wonders at the answer;
//! [`binding`] gives both to JavaScript. [`config`] makes options and environment into what a bridge
//! needs, and finds what deserves a [`warning`]; [`diagnosis`] looks into both configuration and
//! database for the command line; [`versions`] says what this is built of; [`error`] is all that is not
//! the client's doing.

pub mod error;
pub mod panics;
mod redacted;
pub mod sensitive;

pub mod config;
pub mod warning;

pub mod cookie;
pub mod near_miss;

pub mod cipher;
pub mod key;
pub mod token;

pub mod claims;
pub mod json_string;
pub mod session;

pub mod lookups;
pub mod metrics;
pub mod postgres;
pub mod revocation;
mod runtime;

pub mod bridge;
pub mod diagnosis;
pub mod explanation;
pub mod versions;

#[cfg(not(test))]
mod binding;
