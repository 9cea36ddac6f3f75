//! What the fuzz targets share.
//!
//! Input that means something: [`tokens`], [`requests`] and [`urls`]. Judges of what comes out, written
//! from what the README promises, and not from the code that keeps it: [`cookies`], [`claims`], [`body`],
//! and [`allocations`]. [`json`] is what they read JSON with, [`database`] stands for PostgreSQL.

pub mod allocations;
pub mod body;
pub mod claims;
pub mod cookies;
pub mod database;
pub mod headers;
mod json;
pub mod openings;
pub mod requests;
pub mod tokens;
pub mod urls;
