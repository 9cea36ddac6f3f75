//! Looks into the database that sessions are asked for: facts for whoever has to mend something,
//! which `cli/` judges and puts into words. Nothing is written, and no row leaves the database.
//!
//! [`server`] asks who answers, [`handshake`] what TLS was agreed on, [`tables`] what stands in the
//! catalog, [`plan`] how the session query is carried out.
#![forbid(unsafe_code)]

mod columns;
mod handshake;
mod plan;
mod server;
mod tables;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::SslNegotiation;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use self::handshake::Agreement;
use self::plan::Scan;
use self::server::{Clock, Pooler, Server, Visit};
use self::tables::Tables;
use super::connect::{Connection, Connector};
use super::fault::Fault;
use super::query::{DatabaseSession, FindSessions, Query, Statements, bounded};
use super::tls::Verify;
use super::url::{Host, Target};
use crate::config::{Database, Limits, Location};
use crate::error::Error;
use crate::store::SessionKey;

const LOOKUPS: usize = 10;
/// For counting; a larger table is estimated.
const COUNT_LIMIT: Duration = Duration::from_secs(2);
/// A session that there is not, as `health` looks up.
const NOBODY: SessionKey = SessionKey { tenant: Uuid::nil(), session_id: Uuid::nil() };

#[derive(Serialize)]
pub struct Diagnosis {
    target: TargetFacts,
    /// What was seen once connected.
    connection: Result<Examination, Error>,
}

/// Where to, without the password.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetFacts {
    /// The variables that say so.
    variables: Vec<&'static str>,
    hosts: String,
    user: Option<String>,
    database: Option<String>,
    /// Whether all hosts are this machine.
    is_local: bool,
    verify: Verify,
    prepared_statements: bool,
    /// Of the tables, where it is named.
    schema: Option<String>,
}

/// A step is `None` where the connection was lost before.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Examination {
    address: String,
    /// What it took to connect.
    milliseconds: f64,
    tls: Result<Option<Agreement>, String>,
    server: Step<Server>,
    /// `None` also where the server doesn't tell.
    pooler: Option<Pooler>,
    clock: Step<Clock>,
    tables: Step<Tables>,
    lookups: Step<Latencies>,
    plan: Step<Vec<Scan>>,
    sessions: Step<Counts>,
}

type Step<T> = Option<Result<T, Error>>;

/// In milliseconds.
#[derive(Debug, PartialEq, Serialize)]
struct Latencies {
    first: f64,
    median: f64,
    worst: f64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Counts {
    Exact { live: u64, expired: u64, revoked: u64 },
    TookTooLong { seconds: u64 },
}

/// # Errors
/// When the configuration is wrong; a database that can't be asked is what is looked for.
pub async fn diagnose(database: &Database, limits: &Limits) -> Result<Diagnosis, Error> {
    let target = Target::new(database, limits)?;
    let queries = Statements::new(&target.schema, database.sharded);
    let facts = TargetFacts::new(&target, database);
    let connector = Connector::new(target);
    let connection = examine(&connector, &queries, limits).await;
    Ok(Diagnosis { target: facts, connection })
}

async fn examine(connector: &Connector, queries: &Statements, limits: &Limits) -> Result<Examination, Error> {
    let target = connector.target();
    let start = Instant::now();
    let visitor = connector.connect().await?;
    let milliseconds = in_milliseconds(start.elapsed());
    // Leaves, so that a pooler can give its connection to the next.
    let visit = Examiner::new(visitor, limits, target).step("a query", Visit::new).await;
    let connection = connector.connect().await?;
    let tls = agreement(&connection, target).await;
    let examiner = Examiner::new(connection, limits, target);
    let pooler = match visit {
        Some(Ok(visit)) => pooler(connector, &examiner, limits, &visit).await,
        _ => None,
    };
    let server = examiner.step("a query", Server::new).await;
    let clock = examiner.step("asking for the time", Clock::new).await;
    // Before the catalog, which waits as well where somebody has locked a table.
    let lookups = latencies(&examiner, queries).await;
    let schema = target.schema.sessions.namespace.as_deref();
    let tables = examiner.step("reading the catalog", async |asked| Tables::new(asked, schema).await).await;
    let plan = examiner.step("planning the session query", async |asked| plan(asked, queries).await).await;
    let sessions = examiner.step("counting the sessions", async |asked| count(asked, &target.schema).await).await;
    Ok(Examination {
        address: examiner.address,
        milliseconds,
        tls,
        server,
        pooler,
        clock,
        tables,
        lookups,
        plan,
        sessions,
    })
}

async fn agreement(connection: &Connection, target: &Target) -> Result<Option<Agreement>, String> {
    let is_direct = target.config.get_ssl_negotiation() == SslNegotiation::Direct;
    let limit = target.connect_timeout;
    match timeout(limit, handshake::agree(&connection.endpoint, connection.mode, &target.tls, is_direct)).await {
        Ok(agreed) => agreed.map_err(|cause| cause.to_string()),
        Err(_elapsed) => Err(format!("took longer than {} ms", limit.as_millis())),
    }
}

/// Whether one of the server's processes serves several clients.
async fn pooler(connector: &Connector, examiner: &Examiner, limits: &Limits, visit: &Visit) -> Option<Pooler> {
    let second = examiner.step("a query", Visit::new).await?.ok()?;
    if !second.was_there_before(visit) {
        return Some(Pooler::None);
    }
    let other = Examiner::new(connector.connect().await.ok()?, limits, connector.target());
    // Both clients are still there: in session mode each has a process of its own.
    let third = other.step("a query", Visit::new).await?.ok()?;
    Some(if third.is_process_of(&second) { Pooler::Transaction } else { Pooler::Session })
}

async fn latencies(examiner: &Examiner, queries: &Statements) -> Step<Latencies> {
    let mut milliseconds = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let start = Instant::now();
        let found = examiner
            .step("the session query", async |asked| {
                let session = DatabaseSession { client: &asked.client, prepares: examiner.prepared_statements };
                FindSessions { statements: &queries.find, keys: &[NOBODY] }.run(&session).await
            })
            .await?;
        if let Err(error) = found.and_then(|found| found.into_iter().collect::<Result<Vec<_>, _>>()) {
            return Some(Err(error));
        }
        milliseconds.push(in_milliseconds(start.elapsed()));
    }
    Some(Ok(Latencies::of(milliseconds)))
}

impl Latencies {
    /// Of at least one.
    fn of(mut milliseconds: Vec<f64>) -> Self {
        let first = milliseconds[0];
        milliseconds.sort_by(f64::total_cmp);
        Self { first, median: milliseconds[milliseconds.len() / 2], worst: milliseconds[milliseconds.len() - 1] }
    }
}

async fn plan(connection: &Connection, queries: &Statements) -> Result<Vec<Scan>, tokio_postgres::Error> {
    let nobody = format!("'{}'::uuid", NOBODY.tenant);
    let query = queries.find.one.sql.replace("$1", &nobody).replace("$2", &nobody);
    // A table of a few rows is read as a whole, whatever index it has.
    let explain = format!("EXPLAIN (FORMAT JSON) {query}");
    let rows = in_transaction(connection, "SET LOCAL enable_seqscan = off", &explain).await?;
    Ok(plan::scans(rows.first().and_then(|row| row.first()).map_or("", String::as_str)))
}

fn count_sessions(schema: &crate::schema::Schema) -> String {
    format!(
        "SELECT count(*) FILTER (WHERE revoked_at IS NULL AND coalesce(expires_at > now(), true)), count(*) FILTER (WHERE revoked_at IS NULL AND expires_at <= now()), count(*) FILTER (WHERE revoked_at IS NOT NULL) FROM {}",
        schema.sessions
    )
}

async fn count(connection: &Connection, schema: &crate::schema::Schema) -> Result<Counts, tokio_postgres::Error> {
    let limit = format!("SET LOCAL statement_timeout = {}", COUNT_LIMIT.as_millis());
    match in_transaction(connection, &limit, &count_sessions(schema)).await {
        Ok(rows) => {
            let mut counts = rows.into_iter().flatten();
            let mut next = || counts.next().and_then(|count| count.parse().ok()).unwrap_or_default();
            Ok(Counts::Exact { live: next(), expired: next(), revoked: next() })
        }
        Err(cause) if cause.code() == Some(&SqlState::QUERY_CANCELED) => {
            Ok(Counts::TookTooLong { seconds: COUNT_LIMIT.as_secs() })
        }
        Err(cause) => Err(cause),
    }
}

/// The rows of a query with a setting that is for it alone, also where a pooler shares the connection.
async fn in_transaction(
    connection: &Connection,
    setting: &str,
    query: &str,
) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let client = &connection.client;
    client.batch_execute(&format!("BEGIN READ ONLY; {setting}")).await?;
    let answer = client.simple_query(query).await;
    client.batch_execute("ROLLBACK").await?;
    let rows = answer?.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|index| row.try_get(index).ok().flatten().unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

/// A connection that is asked one thing after the other, each in its time.
struct Examiner {
    connection: Connection,
    limit: Duration,
    address: String,
    prepared_statements: bool,
    is_lost: AtomicBool,
}

impl Examiner {
    fn new(connection: Connection, limits: &Limits, target: &Target) -> Self {
        let address = connection.endpoint.host.describe();
        let prepared_statements = target.prepared_statements;
        Self { connection, limit: limits.query_timeout, address, prepared_statements, is_lost: AtomicBool::new(false) }
    }

    /// `None` where nothing can be asked any more.
    async fn step<'a, T, E, F>(&'a self, name: &'static str, ask: impl FnOnce(&'a Connection) -> F) -> Step<T>
    where
        E: Into<Fault>,
        F: Future<Output = Result<T, E>> + 'a,
    {
        if self.is_lost.load(Ordering::Relaxed) {
            return None;
        }
        let fault = match timeout(self.limit, bounded(&self.connection.client, ask(&self.connection))).await {
            Ok(Ok(answer)) => return Some(Ok(answer)),
            Ok(Err(fault)) => fault,
            Err(_elapsed) => Fault::Timeout,
        };
        if fault.ends_connection() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Some(Err(match fault {
            Fault::Timeout => Error::Timeout { step: name, limit: self.limit },
            fault => fault.into_error(&self.address, self.limit, self.prepared_statements),
        }))
    }
}

impl TargetFacts {
    fn new(target: &Target, database: &Database) -> Self {
        Self {
            variables: match &database.location {
                Location::Url { from, .. } => vec![from],
                Location::Variables(variables) => variables.iter().map(|variable| variable.name).collect(),
            },
            hosts: target.address(),
            user: target.config.get_user().map(str::to_owned),
            database: target.config.get_dbname().map(str::to_owned),
            is_local: target.hosts.iter().all(is_local),
            verify: target.tls.verify,
            prepared_statements: target.prepared_statements,
            schema: target.schema.sessions.namespace.clone(),
        }
    }
}

/// Whether what is sent never leaves this machine.
fn is_local(host: &Host) -> bool {
    let address = host.address.or_else(|| host.name.parse::<IpAddr>().ok());
    host.is_socket() || address.map_or(host.name == "localhost", |address| address.is_loopback())
}

fn in_milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_lookups() {
        let latencies = Latencies::of(vec![9.0, 1.0, 3.0, 2.0]);
        assert_eq!(latencies, Latencies { first: 9.0, median: 3.0, worst: 9.0 });
        assert_eq!(Latencies::of(vec![1.0]), Latencies { first: 1.0, median: 1.0, worst: 1.0 });
    }

    #[test]
    fn hosts_of_this_machine() {
        for (name, address, expected) in [
            ("localhost", None, true),
            ("127.0.0.1", None, true),
            ("127.1.2.3", None, true),
            ("::1", None, true),
            ("/var/run/postgresql", None, true),
            ("database", Some("127.0.0.1"), true),
            ("localhost", Some("10.0.0.1"), false),
            ("localhost.example.com", None, false),
            ("10.0.0.1", None, false),
            ("database", None, false),
        ] {
            let address = address.map(|address| address.parse().expect("an address"));
            assert_eq!(is_local(&Host { name: name.to_owned(), address, port: 5432 }), expected, "{name} {address:?}");
        }
    }
}
