//! The revocation source that asks PostgreSQL. The only part that imports tokio-postgres and
//! deadpool.
//!
//! [`url`] reads what the developer wrote as [`parameter`]s, [`target`] and [`tls`] make out what it means,
//! [`connect`] connects, [`query`] asks, [`cancel`] takes it back, [`fault`] knows what can go wrong; [`shared`]
//! lets bridges of the same database use the same connections. [`examine`] asks what [`crate::doctor`] wants to know.
#![forbid(unsafe_code)]

mod cancel;
mod connect;
mod examine;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod query;
mod shared;
mod tls;
mod url;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{Object, Pool, PoolError};
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::connect::Connector;
pub use self::examine::{Agreement, Answer, ExaminedDatabase, Examiner, Parameter, TargetFacts, Unanswered};
use self::fault::Fault;
pub use self::fault::POOLER_ADVICE;
use self::query::{End, Found, Queries, Question, Sessions};
pub use self::shared::SharedPostgres;
pub use self::tls::Verify;
use self::url::Target;
use crate::config::{Database, Limits};
use crate::error::Error;
use crate::redacted::redacted;
use crate::store::{PoolStatus, SessionEnd, SessionKey};

/// The server is told to end a query that was given up; longer is not waited for that.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);

struct Postgres {
    pool: Pool<Connector>,
    queries: Queries,
    query_timeout: Duration,
    max_connections: usize,
    prepared_statements: bool,
    /// Hosts and ports, for messages.
    address: String,
}

redacted!(Postgres);

impl Postgres {
    /// Connects to nothing yet: the first lookup does.
    fn new(database: &Database, limits: &Limits) -> Result<Self, Error> {
        let target = Target::new(database, limits)?;
        let queries = Queries::new(target.schema.as_deref(), target.prepared_statements, database.sharded);
        let address = target.address();
        let (max_connections, prepared_statements) = (target.max_connections, target.prepared_statements);
        let pool = Pool::builder(Connector::new(target))
            .max_size(max_connections)
            .build()
            .map_err(|cause| Error::Internal(format!("connection pool: {cause}")))?;
        let query_timeout = limits.query_timeout;
        Ok(Self { pool, queries, query_timeout, max_connections, prepared_statements, address })
    }

    async fn connection(&self) -> Result<Object<Connector>, Error> {
        self.pool.get().await.map_err(|cause| match cause {
            PoolError::Backend(error) => error,
            PoolError::Closed => Error::Closed,
            cause @ (PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Error::Internal(format!("connection pool: {cause}"))
            }
        })
    }

    fn has_idle(&self) -> bool {
        self.idle() > 0
    }

    /// The pool's own status takes one that is being made for one that is in use.
    fn idle(&self) -> usize {
        self.pool.retain(|_, _| true).retained
    }

    fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        let (connects, connect_failures) = self.pool.manager().counts();
        PoolStatus {
            max: self.max_connections,
            size: status.size,
            in_use: status.size.saturating_sub(self.idle()),
            waiting: status.waiting,
            connects,
            connect_failures,
        }
    }

    async fn find_end(&self, key: SessionKey) -> Result<Option<SessionEnd>, Error> {
        let connection = self.connection().await?;
        match self.ask(connection, &End(key)).await {
            Ok(found) => found,
            Err(Refusal::NoConnection(error)) => Err(error),
            Err(Refusal::Fault(fault)) => Err(self.error(fault)),
        }
    }

    /// What is there under each key.
    async fn find(&self, connection: Object<Connector>, keys: &[SessionKey]) -> Vec<Found> {
        // Enough to find a few rows that spoil it for all, and a bound where every row does.
        let spared = AtomicUsize::new(2 * keys.len().max(1).ilog2() as usize);
        self.find_in_halves(connection, keys, &spared).await
    }

    /// Asks for all keys; for the halves where one row may have spoilt it for all, so often as is `spared`.
    fn find_in_halves<'a>(
        &'a self,
        connection: Object<Connector>,
        keys: &'a [SessionKey],
        spared: &'a AtomicUsize,
    ) -> BoxFuture<'a, Vec<Found>> {
        async move {
            let fault = match self.ask(connection, &Sessions(keys)).await {
                Ok(found) => return found,
                Err(Refusal::NoConnection(error)) => return vec![Err(error); keys.len()],
                Err(Refusal::Fault(fault)) => fault,
            };
            let may_halve =
                || spared.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
            if keys.len() == 1 || !fault.may_be_of_one_row() || !may_halve() {
                return vec![Err(self.error(fault)); keys.len()];
            }
            let (left, right) = keys.split_at(keys.len() / 2);
            let mut found = self.find_anew(left, spared).await;
            found.extend(self.find_anew(right, spared).await);
            found
        }
        .boxed()
    }

    async fn find_anew(&self, keys: &[SessionKey], spared: &AtomicUsize) -> Vec<Found> {
        match self.connection().await {
            Ok(connection) => self.find_in_halves(connection, keys, spared).await,
            Err(error) => vec![Err(error); keys.len()],
        }
    }

    /// Asks on `connection`, and once again on a new one where that was the trouble: all queries only
    /// read, so once more is safe.
    async fn ask<Q: Question>(&self, connection: Object<Connector>, question: &Q) -> Result<Q::Answer, Refusal> {
        match self.ask_once(connection, question).await {
            Err(fault) if fault.is_stale_connection() => {
                if !fault.is_conflict() {
                    // All may be as stale as this one.
                    distrust_all(&self.pool);
                }
                let connection = self.connection().await.map_err(Refusal::NoConnection)?;
                self.ask_once(connection, question).await.map_err(Refusal::Fault)
            }
            decided => decided.map_err(Refusal::Fault),
        }
    }

    async fn ask_once<Q: Question>(&self, connection: Object<Connector>, question: &Q) -> Result<Q::Answer, Fault> {
        let asked = Asked::new(connection);
        let answer = match tokio::time::timeout(self.query_timeout, question.ask(&self.queries, asked.client())).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Fault::Timeout),
        };
        match &answer {
            Err(Fault::Timeout) => drop(asked),
            Err(fault) if fault.ends_connection() => drop(Object::take(asked.release())),
            _ => drop(asked.release()),
        }
        answer
    }

    fn error(&self, fault: Fault) -> Error {
        fault.into_error(&self.address, self.query_timeout, self.prepared_statements)
    }
}

/// Ends the connections that are idle; the others when they come back.
fn distrust_all(pool: &Pool<Connector>) {
    pool.manager().distrust_all();
    pool.retain(|_, _| false);
}

/// Why there is no answer.
enum Refusal {
    NoConnection(Error),
    Fault(Fault),
}

/// A connection on which a query is on its way. Whoever does not wait for the answer throws the
/// connection away.
struct Asked(Option<Object<Connector>>);

impl Asked {
    fn new(connection: Object<Connector>) -> Self {
        Self(Some(connection))
    }

    fn client(&self) -> &ClientWrapper {
        &self.0.as_ref().expect("is there until it is released").client
    }

    /// The answer is there: somebody else may ask.
    fn release(mut self) -> Object<Connector> {
        self.0.take().expect("is released once")
    }
}

impl Drop for Asked {
    /// The query still runs: the server is told to end it. Until then the connection keeps its place
    /// in the pool, so that the server never sees more connections than that has places.
    fn drop(&mut self) {
        let Some(connection) = self.0.take() else {
            return;
        };
        if let Some(pool) = Object::pool(&connection) {
            // The network may have swallowed all of them.
            distrust_all(&pool);
        }
        tokio::spawn(async move {
            if let Some(pool) = Object::pool(&connection) {
                let _ = tokio::time::timeout(CANCEL_LIMIT, pool.manager().cancel(&connection)).await;
            }
            drop(Object::take(connection));
        });
    }
}
