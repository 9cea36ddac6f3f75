//! The session store on PostgreSQL. The only module that imports tokio-postgres and deadpool.
//!
//! [`url`] parses the connection parameters, [`tls`] those about TLS, [`authorities`] finds the certificates to trust.
//! [`connect`] opens connections, [`encryption`] makes their TLS handshakes, [`age`] says which are too old, [`idle`]
//! closes those that are not needed, [`pool`] keeps them and runs queries on them, [`query`] has the queries, [`cancel`]
//! cancels an abandoned one, and [`fault`] classifies errors. [`shared`] lets bridges with the same options share a pool,
//! [`password`] asks their functions for the password. [`caches`] has the caches of all of them, which [`listener`] makes forget what
//! others end: [`notification`] reads what it hears. [`examine`] runs the queries of [`crate::doctor`].
#![forbid(unsafe_code)]

mod age;
mod authorities;
mod caches;
mod cancel;
mod connect;
mod encryption;
mod examine;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod idle;
mod listener;
mod notification;
mod password;
mod pool;
mod query;
mod rest;
mod shared;
mod tls;
mod url;

pub use self::examine::{ExaminedDatabase, Examiner, NegotiatedTls, Parameter, StepError, StepResult, TargetFacts};
pub use self::fault::POOLER_ADVICE;
pub use self::query::{Access, Located};
pub use self::shared::SharedPostgres;
pub use self::tls::Verify;
