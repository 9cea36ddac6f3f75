//! Plaintext of a token -> validated claims -> the documented session object.
#![forbid(unsafe_code)]

mod body;
mod form;
pub mod json_string;
mod read;
mod reissue;
mod rolling;
mod session;
mod shape;

pub use self::body::{Body, UNAUTHENTICATED_BODY};
pub use self::read::{CLOCK_TOLERANCE, ClaimsError};
pub use self::reissue::{ClaimChanges, PROTECTED_CLAIMS, Stamp, Times, claim_names, reissue};
pub use self::rolling::Rolling;
pub use self::session::{Session, SessionReader};
pub use self::shape::Field;
