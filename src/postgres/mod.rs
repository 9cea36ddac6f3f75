//! The session store that asks PostgreSQL. The only part that imports tokio-postgres and deadpool.
//!
//! [`url`] reads where and how to connect, [`tls`] what TLS is wanted, [`connect`] connects, [`pool`] keeps
//! connections and runs queries on them, [`query`] has the queries, [`cancel`] ends one that was given up,
//! [`fault`] knows what can go wrong. [`shared`] lets bridges of the same database share a pool. [`examine`]
//! asks what [`crate::doctor`] wants to know.
#![forbid(unsafe_code)]

mod cancel;
mod connect;
mod examine;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod pool;
mod query;
mod shared;
mod tls;
mod url;

pub use self::examine::{Agreement, Answer, ExaminedDatabase, Examiner, Parameter, TargetFacts, Unanswered};
pub use self::fault::POOLER_ADVICE;
pub use self::shared::SharedPostgres;
pub use self::tls::Verify;
