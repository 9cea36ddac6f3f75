//! `Cookie` header -> the values of a session cookie.
//!
//! [`header`] splits a header, [`CookieName`] is the name to look for, [`chunks`] joins cookies that are split into
//! `name.0`, `name.1`, ..., and [`find`] puts them together. [`near_miss`] finds cookies with a similar name.
#![forbid(unsafe_code)]

mod chunks;
mod find;
mod header;
mod name;
pub mod near_miss;

pub use self::chunks::chunk_index;
pub use self::find::{CookieValues, Reading, SizeError};
pub use self::header::pairs;
pub use self::name::{Class, CookieName};

/// The longest header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The longest token that is decoded, in bytes.
pub const MAX_TOKEN_BYTES: usize = 32 * 1024;
