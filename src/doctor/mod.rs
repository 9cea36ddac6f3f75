//! `npx authjs-bridge doctor`: checks the configuration in the environment, and the database that it leads to. Writes nothing
//! to the database, and shows no secret, password or row.
//!
//! Each check has a file with its name. `query` collects the facts, `judge` makes the [`Check`] from them. [`catalog`] collects
//! what several checks need from the system catalog, [`samples`] tries the session query for sessions of the table. This file
//! decides the order of the checks, and which of them are skipped because another one failed.
#![forbid(unsafe_code)]

mod adapter;
mod catalog;
mod check;
mod conversion;
mod samples;

mod clock;
mod columns;
mod connection;
mod cookies;
mod database_url;
mod indexes;
mod lookups;
mod notifications;
mod pooler;
mod rights;
mod row_security;
mod secrets;
mod server;
mod sessions;
mod tables;
mod tls;
mod unique_keys;
mod writes;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::catalog::{Catalog, Entry, Finding, TableFacts};
pub use self::check::Check;
use self::check::{CONNECTION_LOST, Status};
use self::connection::Connected;
use crate::config::{self, Database, Environment, Limits, Options};
use crate::error::Error;
use crate::postgres::{ExaminedDatabase, Examiner, Located, StepResult, TargetFacts};
use crate::schema::Table;

/// Checks that need a connection.
const OF_CONNECTION: [&str; 5] = [tls::ID, server::ID, pooler::ID, clock::ID, tables::ID];
/// Checks that need the tables as well: of the system catalog, and with queries of the tables.
const OF_TABLES: [&str; 5] = [columns::ID, rights::ID, writes::ID, row_security::ID, unique_keys::ID];
const OF_QUERIES: [&str; 3] = [lookups::ID, indexes::ID, sessions::ID];

/// Runs all checks, from the configuration to the tables. `options` are those of the bridge of the module's own functions. Reads
/// the environment at once; the future connects to the database.
pub fn examine(options: &Options, environment: &impl Environment) -> BoxFuture<'static, Vec<Check>> {
    let mut checks = vec![secrets::check(options, environment), cookies::check(options, environment)];
    let is_production = config::is_production(environment);
    let database = examined_database(options, environment);
    async move {
        checks.push(database_url::judge(database.as_ref().map(ExaminedDatabase::target)));
        match database {
            Ok(database) => checks.extend(examine_database(&database, is_production).await),
            Err(_) => {
                let needs = |id| Check::skipped(id, "needs a valid database-url");
                checks.push(needs(connection::ID));
                checks.extend(after_connection().map(needs));
            }
        }
        checks
    }
    .boxed()
}

/// Where the database is, by the configuration alone.
pub fn target(options: &Options, environment: &impl Environment) -> Result<TargetFacts, Error> {
    examined_database(options, environment).map(|database| database.target().clone())
}

fn examined_database(options: &Options, environment: &impl Environment) -> Result<ExaminedDatabase, Error> {
    let database = Database::new(options, environment)?;
    ExaminedDatabase::new(&database, &Limits::new(options.limits)?, environment)
}

fn after_connection() -> impl Iterator<Item = &'static str> {
    OF_CONNECTION.into_iter().chain(OF_TABLES).chain(OF_QUERIES)
}

async fn examine_database(database: &ExaminedDatabase, is_production: bool) -> Vec<Check> {
    let target = database.target();
    match query(database).await {
        Ok(facts) => judge(&facts, target, is_production),
        Err(error) => {
            let connection = connection::judge(Err(&error), target);
            let skipped = after_connection().map(|id| Check::skipped(id, "needs a connection"));
            [connection].into_iter().chain(skipped).collect()
        }
    }
}

/// The facts that were collected from the database.
struct Facts {
    connected: Connected,
    tls: tls::Negotiated,
    server: StepResult<server::Server>,
    pooler: Option<pooler::Pooler>,
    clock: StepResult<clock::Clock>,
    located: StepResult<Located>,
    catalog: StepResult<Catalog>,
    writes: StepResult<Option<writes::WriteRights>>,
    lookups: StepResult<lookups::Latencies>,
    scans: StepResult<Vec<indexes::Scan>>,
    sessions: StepResult<sessions::Counts>,
    /// `None` if lookups fail.
    trial: Option<StepResult<samples::Trial>>,
    /// `None` if nobody listens.
    notifications: Option<notifications::Notifications>,
}

async fn query(database: &ExaminedDatabase) -> Result<Facts, Error> {
    let (earlier, milliseconds) = connection::query(database).await?;
    let earlier_backend = pooler::backend(&earlier).await;
    // Disconnects, so that a pooler can give the backend to the next client.
    drop(earlier);
    let examiner = database.connect().await?;
    let connected = Connected { address: examiner.address(), milliseconds };
    let tls = database.negotiate_tls(&examiner).await;
    let pooler = pooler::query(database, &examiner, earlier_backend).await;
    let server = server::query(&examiner).await;
    let clock = clock::query(&examiner).await;
    // Before the catalog: if a table is locked, its queries wait as well, and the lookups show the lock first.
    let lookups = lookups::query(&examiner).await;
    let located = examiner.locate().await;
    let catalog = match &located {
        Ok(located) => query_catalog(&examiner, located).await,
        Err(error) => Err(error.clone()),
    };
    let writes = match &located {
        Ok(Located { schema, .. }) => writes::query(&examiner, &schema.sessions).await,
        Err(error) => Err(error.clone()),
    };
    let (samples, sessions) = match &located {
        Ok(Located { schema, .. }) => {
            (samples::query(&examiner, schema).await, sessions::query(&examiner, schema).await)
        }
        Err(error) => (Err(error.clone()), Err(error.clone())),
    };
    let scans = indexes::query(&examiner, samples.as_deref().unwrap_or_default()).await;
    let trial = match (&lookups, samples) {
        (Ok(_), Ok(samples)) => Some(samples::try_all(&examiner, &samples).await),
        _ => None,
    };
    let notifications = notifications::query(database, &examiner).await;
    Ok(Facts {
        connected,
        tls,
        server,
        pooler,
        clock,
        located,
        catalog,
        writes,
        lookups,
        scans,
        sessions,
        trial,
        notifications,
    })
}

async fn query_catalog(examiner: &Examiner<'_>, located: &Located) -> StepResult<Catalog> {
    let schema = &located.schema;
    Ok(Catalog {
        sessions: query_table(examiner, located, &schema.sessions).await?,
        users: match schema.reads_users() {
            true => query_table(examiner, located, &schema.users).await?,
            false => Entry { table: schema.users.clone(), finding: Finding::NotRead },
        },
        of_adapter: adapter::query(examiner).await?,
    })
}

async fn query_table(examiner: &Examiner<'_>, located: &Located, table: &Table) -> StepResult<Entry> {
    let finding = match tables::query(examiner, table).await? {
        None => Finding::Missing { elsewhere: tables::find_elsewhere(examiner, table).await? },
        Some(tables::FoundTable { oid, schema, kind }) => Finding::Found(TableFacts {
            schema,
            kind,
            behind: tables::behind(examiner, oid).await?,
            columns: columns::query(examiner, located, table, oid).await?,
            rights: rights::query(examiner, oid).await?,
            unique_key: unique_keys::query(examiner, table, oid, kind).await?,
            indexes: indexes::of_table(examiner, table, oid).await?,
            visibility: row_security::query(examiner, oid).await?,
            estimated_rows: sessions::estimate_rows(examiner, oid).await?,
        }),
    };
    Ok(Entry { table: table.clone(), finding })
}

fn judge(facts: &Facts, target: &TargetFacts, is_production: bool) -> Vec<Check> {
    let Facts { connected, located, catalog, sessions, trial, .. } = facts;
    let tables = tables::judge(catalog, target, located);
    let user = server::user(&facts.server);
    let needs_tables = |id| Check::skipped(id, "needs the tables");
    let of_tables = match (catalog, tables.status) {
        (Ok(catalog), _) if catalog.is_complete() => {
            let rights = rights::judge(catalog, user);
            let writes = writes::judge(&facts.writes, located, catalog, user, &rights);
            let row_security = row_security::judge(catalog, target, user, sessions, trial);
            [columns::judge(catalog, target), rights, writes, row_security, unique_keys::judge(catalog)]
        }
        (_, Status::Skipped) => OF_TABLES.map(|id| Check::skipped(id, CONNECTION_LOST)),
        _ => OF_TABLES.map(needs_tables),
    };
    let of_queries = if catalog.as_ref().is_ok_and(|catalog| !catalog.is_complete()) {
        OF_QUERIES.map(needs_tables)
    } else {
        let failed = [&tables].into_iter().chain(&of_tables).find(|check| check.status == Status::Failed);
        [
            lookups::judge(&facts.lookups, failed.map(|check| check.id)),
            indexes::judge(&facts.scans, catalog),
            sessions::judge(sessions, trial, catalog, &target.configured, user),
        ]
    };
    let of_connection = [
        connection::judge(Ok(connected), target),
        tls::judge(&facts.tls, &connected.address, target, is_production),
        server::judge(&facts.server, target),
        pooler::judge(facts.pooler, target),
        clock::judge(&facts.clock),
        tables,
    ];
    let of_listener = facts.notifications.as_ref().map(|notifications| match catalog {
        Ok(catalog) if catalog.is_complete() => notifications::judge(notifications, catalog, target),
        _ => needs_tables(notifications::ID),
    });
    of_connection.into_iter().chain(of_tables).chain(of_queries).chain(of_listener).collect()
}

#[cfg(test)]
mod tests;
