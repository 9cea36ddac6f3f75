//! Reads Auth.js sessions: a `Cookie` header comes in, the body of `GET /api/auth/session` goes
//! out.
//!
//! The way of a request, which is also the order of the modules:
//!
//! 1. [`cookie`] finds the session cookie and joins its chunks.
//! 2. [`crypto`] holds the keys that the secrets give for that cookie's name, and opens with them.
//! 3. [`token`] opens the JWE.
//! 4. [`claims`] checks that the token is valid now and makes the documented session object.
//! 5. [`store`] says whether the session is live, from what [`postgres`] finds in the tables of the
//!    [`schema`]; [`lookups`] queries it for many calls at once and counts them in [`metrics`].
//!
//! [`bridge`] is this pipeline as one function; [`binding`] gives it to JavaScript. [`config`] turns
//! options and environment into what a bridge needs; [`doctor`] examines configuration and database
//! for the command line; [`error`] is everything that is not the client's doing.

pub mod error;
pub mod outcome;
pub mod panics;
mod redacted;
mod runtime;
pub mod sensitive;
pub mod versions;

pub mod config;
pub mod schema;

pub mod cookie;
pub mod crypto;
pub mod token;

pub mod claims;

pub mod lookups;
pub mod metrics;
pub mod postgres;
pub mod store;

pub mod bridge;
pub mod doctor;

#[cfg(not(test))]
mod binding;
