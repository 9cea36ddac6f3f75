//! Code that the fuzz targets share.
//!
//! - Structured input: [`setup`], [`tokens`], [`token_cases`], [`requests`] and [`urls`].
//! - Oracles, which say what the result must be: [`cookies`], [`claims`] and [`body`]. They are written
//!   from the README, not from the code. [`allocations`] limits memory.
//! - [`headers`], [`set_cookies`] and [`next_claims`] compare the package with oracles of their own; [`json`] parses JSON;
//!   [`database`] is a fake database.

pub mod allocations;
pub mod body;
pub mod claims;
pub mod cookies;
pub mod database;
pub mod headers;
mod json;
pub mod next_claims;
pub mod requests;
pub mod set_cookies;
pub mod setup;
pub mod token_cases;
pub mod tokens;
pub mod urls;
