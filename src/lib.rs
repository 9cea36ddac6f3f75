//! Reads Auth.js sessions: takes a `Cookie` header and returns the body of `GET /api/auth/session`.
//!
//! The request pipeline, in the order of the modules:
//!
//! 1. [`cookie`] finds the session cookie and joins its chunks.
//! 2. [`crypto`] derives the keys from the secrets and the cookie's name, and decrypts with them.
//! 3. [`token`] parses and opens the JWE.
//! 4. [`claims`] checks that the token is valid now and builds the documented session object.
//! 5. [`lookups`] batches the calls and counts them in [`metrics`]; [`postgres`] queries the tables of the [`schema`];
//!    [`store`] decides from the rows whether the session is live.
//!
//! [`bridge`] runs this pipeline, and [`binding`] exports it to JavaScript. [`config`] validates options and environment
//! variables. [`doctor`] checks configuration and database for the command line. [`outcome`] lists every way that a
//! call can end, and [`error`] the errors among them.

pub mod error;
mod iso8601;
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
