//! `Cookie` header -> the values of a session cookie; and a new value -> `Set-Cookie` lines.
//!
//! [`header`] splits a header, [`CookieName`] is the name to look for, [`chunks`] joins cookies that are split into
//! `name.0`, `name.1`, ..., and [`find`] puts them together. [`near_miss`] finds cookies with a similar name.
//! [`Change`] writes the lines of a response.
#![forbid(unsafe_code)]

mod chunks;
mod find;
mod header;
mod name;
pub mod near_miss;
mod set_cookie;

pub use self::chunks::chunk_index;
pub use self::find::{CookieValues, Reading, SizeError};
pub use self::header::pairs;
pub use self::name::{Class, CookieName};
pub use self::set_cookie::{Attributes, Change, NewToken, SameSite};

/// The longest header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The longest token that is decoded, in bytes.
pub const MAX_TOKEN_BYTES: usize = 32 * 1024;
