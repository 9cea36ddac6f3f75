//! The pool of connections to one database, and how a query is run on one of them.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Object, Pool, PoolError, QueueMode};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::age::Fitness;
use super::connect::{Connection, Connector};
use super::fault::Fault;
use super::idle::IdleCloser;
use super::listener::Listener;
use super::password::PasswordSources;
use super::query::{
    CreateSession, DatabaseSession, DeleteEnded, FindEnd, FindSessions, Form, Found, ListSessions, Query, Revoke,
    SlideSessions, StatementWriter, note_slide,
};
use super::rest::{AFTER_REFUSAL, AFTER_TIMEOUT, Rest};
use super::url::Target;
use crate::config::warning::Warning;
use crate::config::{CacheLimits, Database, Environment, Limits};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::{Id, IdTypes};
use crate::store::{
    Deadline, Deleted, Deletion, ListedSession, NewSession, Owner, PoolStatus, Reason, Revocation, SessionCache,
    SessionEnd, SessionKey, Slide, Started, Wanted,
};

/// How long to wait for the server to cancel an abandoned query.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);
/// How often a write is tried that other transactions thwart.
const MAX_CONFLICTS: u32 = 10;
/// The part of the connections that writes may take, so that reads never wait for the locks of writes alone.
const WRITE_SHARE: usize = 2;
/// The part of the time limit of a query that a slide may take.
const SLIDE_SHARE: u32 = 4;

/// For how long a standby may not know what the primary has notified of.
const LAG: Duration = Duration::from_secs(1);

pub(super) struct Postgres {
    pub(super) pool: Pool<Connector>,
    /// `None` if idle connections stay open.
    idle_closer: Option<Arc<IdleCloser>>,
    statements: StatementWriter,
    pub(super) cache: Option<Arc<SessionCache>>,
    /// `None` if nobody listens, and once this is closed.
    listener: Mutex<Option<Arc<Listener>>>,
    query_timeout: Duration,
    slides: Rest,
    /// A permit for each write that may run.
    writes: Semaphore,
    pub(super) max_connections: usize,
    prepared_statements: bool,
    /// Hosts and ports, for messages.
    address: String,
    pub(super) warnings: Vec<Warning>,
}

redacted!(Postgres);

impl Postgres {
    /// Doesn't connect yet: the first lookup does.
    pub(super) fn new(database: &Database, limits: &Limits, environment: &impl Environment) -> Result<Self, Error> {
        let target = Target::new(database, limits, environment)?;
        let hears_more = database.listens_elsewhere() || target.hosts.len() > 1;
        let lag = if hears_more && !target.session_attrs.are_of_primary() { LAG } else { Duration::ZERO };
        let cache = limits.cache.map(|CacheLimits { max_staleness, max_cached }| {
            Arc::new(SessionCache::new(max_staleness, max_cached, lag))
        });
        let form = Form { by_tenant: database.sharded, tell_end: cache.is_some() };
        let statements = StatementWriter::new(target.schema.clone(), form);
        let listener = database.listened().map(|listened| Listener::of(&listened, limits, environment)).transpose()?;
        let warnings = target.warnings().into_iter().chain(listener.iter().flat_map(|listener| listener.warnings()));
        let (address, warnings) = (target.address(), warnings.collect());
        let (max_connections, prepared_statements) = (target.max_connections, target.prepared_statements);
        let idle_closer = target.idle_timeout.map(IdleCloser::new);
        // The connection that was used last is used first, so that those that are not needed grow old.
        let pool = Pool::builder(Connector::new(target))
            .max_size(max_connections)
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|cause| Error::Internal(format!("connection pool: {cause}")))?;
        let query_timeout = limits.query_timeout;
        Ok(Self {
            pool,
            idle_closer,
            statements,
            cache,
            listener: Mutex::new(listener),
            query_timeout,
            slides: Rest::default(),
            writes: Semaphore::new((max_connections / WRITE_SHARE).max(1)),
            max_connections,
            prepared_statements,
            address,
            warnings,
        })
    }

    pub(super) async fn connection(&self) -> Result<Object<Connector>, Error> {
        let connection = self.pool.get().await.map_err(|cause| match cause {
            PoolError::Backend(error) => error,
            PoolError::Closed => Error::Closed,
            cause @ (PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Error::Internal(format!("connection pool: {cause}"))
            }
        })?;
        let is_new = Object::metrics(&connection).recycle_count == 0;
        if let Some(closer) = self.idle_closer.as_ref().filter(|_| is_new) {
            closer.start(&self.pool);
        }
        Ok(connection)
    }

    /// The listener, unless nobody listens.
    pub(super) fn listener(&self) -> Option<Arc<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes all connections.
    pub(super) fn close(&self) {
        self.pool.close();
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn password_sources(&self) -> &PasswordSources {
        &self.pool.manager().target().passwords
    }

    pub(super) fn has_idle(&self) -> bool {
        self.idle() > 0
    }

    /// Closes idle connections that can't be used any more, and counts the others. The pool's own status counts a
    /// connection that is being opened as in use.
    fn idle(&self) -> usize {
        self.pool.retain(|connection, _| self.pool.manager().fitness(connection) != Fitness::Unusable).retained
    }

    pub(super) fn status(&self) -> PoolStatus {
        let idle = self.idle();
        let status = self.pool.status();
        let (connects, connect_failures) = self.pool.manager().counts();
        PoolStatus {
            max: self.max_connections,
            size: status.size,
            in_use: status.size.saturating_sub(idle),
            waiting: status.waiting,
            connects,
            connect_failures,
        }
    }

    pub(super) async fn find_end(&self, key: &SessionKey) -> Result<Option<SessionEnd>, Error> {
        let connection = self.connection().await?;
        self.run(connection, &FindEnd { key }).await.map_err(|refusal| self.refused(refusal))?
    }

    pub(super) async fn create(&self, new: &NewSession, end: &Deadline) -> Result<Started, Error> {
        let right = if new.limit.is_some() { "INSERT, SELECT and UPDATE" } else { "INSERT" };
        let created = self.write(&CreateSession { new }, end).await;
        created.map_err(|refusal| self.write_error(refusal, Fault::of_values, right))
    }

    pub(super) async fn list(
        &self,
        owner: &Owner,
        current: Option<&Id>,
        end: &Deadline,
    ) -> Result<Vec<ListedSession>, Error> {
        let listed = async {
            let connection = self.connection().await?;
            self.run(connection, &ListSessions { owner, current }).await.map_err(|refusal| self.refused(refusal))?
        };
        timeout_at(end.at, listed).await.unwrap_or_else(|_elapsed| Err(end.error.clone()))
    }

    pub(super) async fn revoke(&self, revocation: &Revocation, end: &Deadline) -> Result<u64, Error> {
        let of_reason =
            |fault: &Fault| fault.of_reason().filter(|_| matches!(revocation.reason, Some(Reason::OfApp(_))));
        let revoked = self.write(&Revoke { revocation }, end).await;
        revoked.map_err(|refusal| self.write_error(refusal, of_reason, "SELECT and UPDATE"))
    }

    pub(super) async fn delete_ended(&self, deletion: &Deletion, end: &Deadline) -> Result<Deleted, Error> {
        let deleted = self.write(&DeleteEnded { deletion }, end).await;
        deleted.map_err(|refusal| self.write_error(refusal, |_| None, "SELECT and DELETE"))
    }

    /// Runs a write: again where other transactions thwart it, and once if the connection or the statements were at fault.
    async fn write<Q: Query>(&self, query: &Q, end: &Deadline) -> Result<Q::Answer, Refusal> {
        let permit = timeout_at(end.at, self.writes.acquire()).await;
        let _permit = permit.map_err(|_elapsed| Refusal::Error(end.error.clone()))?;
        // Once an answer is lost, it is not known what that attempt did, whatever the next one says.
        let mut lost = None;
        let (mut conflicts, mut is_repeated) = (0, false);
        loop {
            let fault = match self.write_once(query, end).await {
                Ok(answer) => return Ok(answer),
                Err(Refusal::Fault(fault)) => fault,
                Err(refusal) => return Err(lost.map_or(refusal, Refusal::Error)),
            };
            let may_repeat = if fault.is_conflict() {
                conflicts += 1;
                conflicts < MAX_CONFLICTS
            } else {
                let may_help = fault.is_stale_connection() || fault.is_changed_table();
                may_help && !std::mem::replace(&mut is_repeated, true)
            };
            if fault.is_lost_answer() {
                lost = Some(fault.of_lost_answer());
            }
            if !may_repeat {
                return Err(lost.map_or(Refusal::Fault(fault), Refusal::Error));
            }
        }
    }

    async fn write_once<Q: Query>(&self, query: &Q, end: &Deadline) -> Result<Q::Answer, Refusal> {
        let connection = timeout_at(end.at, self.connection()).await;
        let connection = connection.unwrap_or_else(|_elapsed| Err(end.error.clone())).map_err(Refusal::Error)?;
        let left = end.at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Nothing was sent, so what became of it is known.
            return Err(Refusal::Error(end.error.clone()));
        }
        let limit = self.query_timeout.min(left);
        let answer = self.run_once(connection, query, limit).await;
        if answer.as_ref().is_err_and(Fault::is_of_connections) {
            self.pool.manager().trust.replace_all();
        }
        answer.map_err(Refusal::Fault)
    }

    fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Error(error) => error,
            Refusal::Fault(fault) => self.error(fault),
        }
    }

    /// The error of a write. `of_argument` is that of an argument which the table refuses, `right` what the role needs.
    fn write_error(&self, refusal: Refusal, of_argument: impl FnOnce(&Fault) -> Option<Error>, right: &str) -> Error {
        let fault = match refusal {
            Refusal::Error(error) => return error,
            Refusal::Fault(fault) => fault,
        };
        if let Some(error) = of_argument(&fault) {
            return error;
        }
        let is_denied = fault.is_denied();
        match self.error(fault) {
            Error::Query(problem) if is_denied => Error::Query(format!(
                "{problem}; the role needs the right to {right}, and with row-level security policies that allow it"
            )),
            error => error,
        }
    }

    /// When a write whose answer was lost is done, or never will be: the server gives a statement a second more than this client, and
    /// the network takes its time.
    pub(super) fn end_of_doubt(&self) -> std::time::Instant {
        const MARGIN: Duration = Duration::from_secs(3);
        std::time::Instant::now() + self.query_timeout + MARGIN
    }

    pub(super) fn id_types(&self) -> IdTypes {
        self.statements.id_types()
    }

    /// The record of each session. Slides those that are due, if the server lets it; else they are only read.
    pub(super) async fn find(&self, connection: Object<Connector>, wanted: &[Wanted]) -> Vec<Found> {
        if wanted.iter().all(|wanted| wanted.slide.is_none()) {
            return self.read(connection, wanted).await;
        }
        if let Some(why) = self.slides.reason().or_else(|| connection.slides.reason()) {
            return told(self.read(connection, wanted).await, wanted, &Slide::Refused(why));
        }
        let fault = match self.run(connection, &SlideSessions { wanted }).await {
            Ok(found) => return found,
            Err(Refusal::Error(error)) => return vec![Err(error); wanted.len()],
            Err(Refusal::Fault(fault)) => fault,
        };
        let slide = self.slide_refused(&fault);
        match self.connection().await {
            Ok(connection) => told(self.read(connection, wanted).await, wanted, &slide),
            Err(error) => vec![Err(error); wanted.len()],
        }
    }

    /// What a slide is that ended in this fault. The read that follows finds whether the database can be asked at all.
    fn slide_refused(&self, fault: &Fault) -> Slide {
        if matches!(fault, Fault::Timeout) {
            let why: Arc<str> = format!("no answer within {} ms", self.slide_timeout().as_millis()).into();
            self.slides.start(AFTER_TIMEOUT, Arc::clone(&why));
            return Slide::Refused(why);
        }
        fault.refusal().map_or(Slide::Held, |why| Slide::Refused(why.into()))
    }

    /// So that there is time left to read instead.
    fn slide_timeout(&self) -> Duration {
        self.query_timeout / SLIDE_SHARE
    }

    async fn read(&self, connection: Object<Connector>, wanted: &[Wanted]) -> Vec<Found> {
        // Enough to find a few rows that make the whole query fail, and a bound where every row does.
        let splits_left = AtomicUsize::new(2 * wanted.len().max(1).ilog2() as usize);
        self.find_in_halves(connection, wanted, &splits_left).await
    }

    /// Queries all sessions. If one row may have failed the query, retries each half, at most `splits_left` times.
    fn find_in_halves<'a>(
        &'a self,
        connection: Object<Connector>,
        wanted: &'a [Wanted],
        splits_left: &'a AtomicUsize,
    ) -> BoxFuture<'a, Vec<Found>> {
        async move {
            let fault = match self.run(connection, &FindSessions { wanted }).await {
                Ok(found) => return found,
                Err(Refusal::Error(error)) => return vec![Err(error); wanted.len()],
                Err(Refusal::Fault(fault)) => fault,
            };
            let may_split =
                || splits_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
            if wanted.len() == 1 || !fault.may_be_caused_by_one_row() || !may_split() {
                return vec![Err(self.find_error(fault)); wanted.len()];
            }
            let (left, right) = wanted.split_at(wanted.len() / 2);
            let mut found = self.find_again(left, splits_left).await;
            found.extend(self.find_again(right, splits_left).await);
            found
        }
        .boxed()
    }

    async fn find_again(&self, wanted: &[Wanted], splits_left: &AtomicUsize) -> Vec<Found> {
        match self.connection().await {
            Ok(connection) => self.find_in_halves(connection, wanted, splits_left).await,
            Err(error) => vec![Err(error); wanted.len()],
        }
    }

    /// Runs `query` on `connection`. If the connection was at fault, runs it again on a new connection; and so if the tables have
    /// changed since the statements were written.
    async fn run<Q: Query>(&self, connection: Object<Connector>, query: &Q) -> Result<Q::Answer, Refusal> {
        let is_written = self.statements.current().is_some();
        let limit = if Q::IS_SLIDE { self.slide_timeout() } else { self.query_timeout };
        let fault = match self.run_once(connection, query, limit).await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let is_stale = fault.is_stale_connection();
        let may_help = is_stale || (is_written && fault.is_changed_table());
        if !may_help {
            return Err(Refusal::Fault(fault));
        }
        // After a slide, the read that follows finds out.
        if is_stale && !Q::IS_SLIDE && !fault.is_recovery_conflict() {
            // The other connections are likely to be stale as well.
            self.pool.manager().trust.replace_all();
        }
        let connection = self.connection().await.map_err(Refusal::Error)?;
        self.run_once(connection, query, limit).await.map_err(Refusal::Fault)
    }

    async fn run_once<Q: Query>(
        &self,
        connection: Object<Connector>,
        query: &Q,
        limit: Duration,
    ) -> Result<Q::Answer, Fault> {
        let in_flight = InFlight::new(connection);
        let session = DatabaseSession { client: &in_flight.connection().client, prepares: self.prepared_statements };
        let work = async { query.run(&session, &*self.statements.statements(&session).await?).await };
        let answer = match tokio::time::timeout(limit, work).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Fault::Timeout),
        };
        if answer.as_ref().is_err_and(Fault::is_changed_table) {
            self.statements.outdate();
        }
        if let Err(fault) = &answer
            && Q::IS_SLIDE
            && let Some(why) = fault.refusal()
        {
            in_flight.connection().slides.start(AFTER_REFUSAL, why.into());
        }
        match &answer {
            Err(Fault::Timeout) => drop(in_flight),
            Err(fault) if fault.ends_connection() => drop(Object::take(in_flight.release())),
            _ => drop(in_flight.release()),
        }
        answer
    }

    /// The server doesn't say which column of a row it could not compute.
    fn find_error(&self, fault: Fault) -> Error {
        let schema = self.statements.schema();
        let is_of_row = fault.may_be_caused_by_one_row() && !schema.fresh_claims.is_empty();
        match self.error(fault) {
            Error::Query(problem) if is_of_row => {
                let claims: Vec<_> = schema.fresh_claims.iter().map(|claim| claim.name.as_str()).collect();
                Error::Query(format!(
                    "{problem}; of {} it reads the fresh claims {}",
                    schema.users.name,
                    claims.join(", ")
                ))
            }
            error => error,
        }
    }

    fn error(&self, fault: Fault) -> Error {
        fault.into_error(&self.address, self.query_timeout, self.prepared_statements)
    }
}

fn told(mut found: Vec<Found>, wanted: &[Wanted], slide: &Slide) -> Vec<Found> {
    for (found, wanted) in found.iter_mut().zip(wanted) {
        note_slide(found, wanted, slide.clone());
    }
    found
}

/// Why there is no answer.
enum Refusal {
    Error(Error),
    Fault(Fault),
}

/// A connection with a query in flight. If it is dropped before the answer is there, the connection is closed.
struct InFlight(Option<Object<Connector>>);

impl InFlight {
    fn new(connection: Object<Connector>) -> Self {
        Self(Some(connection))
    }

    fn connection(&self) -> &Connection {
        self.0.as_ref().expect("is there until it is released")
    }

    /// The answer is there, so the connection may be used again.
    fn release(mut self) -> Object<Connector> {
        let mut connection = self.0.take().expect("is released once");
        connection.age.answered();
        connection
    }
}

impl Drop for InFlight {
    /// The query is still running, so the server is asked to cancel it. Until then the connection keeps its place in
    /// the pool, so that there are never more connections than the pool may have.
    fn drop(&mut self) {
        let Some(connection) = self.0.take() else {
            return;
        };
        if let Some(pool) = Object::pool(&connection) {
            // If the network is at fault, all connections may be dead. If the server has too much to do, they are not.
            pool.manager().trust.doubt_all();
        }
        tokio::spawn(async move {
            if let Some(pool) = Object::pool(&connection) {
                let _ = tokio::time::timeout(CANCEL_LIMIT, pool.manager().cancel(&connection)).await;
            }
            drop(Object::take(connection));
        });
    }
}
