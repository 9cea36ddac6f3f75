//! Plaintext of a token -> validated claims -> the documented session object.
#![forbid(unsafe_code)]

mod fields;
pub mod json_string;
mod read;

pub use self::fields::{Session, UNAUTHENTICATED_BODY};
pub use self::read::{CLOCK_TOLERANCE, Claim, Claims, ClaimsError};
