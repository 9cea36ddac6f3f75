//! The cryptography of Auth.js's tokens: keys derived from secrets, and content encryption with them.
#![forbid(unsafe_code)]

pub mod cipher;
pub mod key;
