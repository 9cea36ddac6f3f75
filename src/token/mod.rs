//! Compact JWE <-> plaintext (RFC 7516 section 7.1). The only module that imports josekit.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "fuzzing"))]
pub mod forge;
mod open;
mod seal;
#[cfg(test)]
mod tests;

pub use self::open::{MAX_PROTECTED_HEADER_BYTES, Opened, TokenError, WATCHED_FIELDS, open};
pub use self::seal::seal;
