//! `npx authjs-bridge doctor`: examines the configuration of the environment, and the database that it leads to. Nothing is
//! written, and no secret, password or row is shown.
//!
//! Each check has a file with its name: what it asks, what it judges and what it advises. [`catalog`] brings together what
//! several of them ask of the server's catalog. Here is the checklist: which check comes when, and which is skipped because
//! of another.
#![forbid(unsafe_code)]

mod catalog;
mod check;

mod clock;
mod columns;
mod connection;
mod cookies;
mod database_url;
mod indexes;
mod lookups;
mod pooler;
mod rights;
mod row_security;
mod secrets;
mod server;
mod sessions;
mod tables;
mod tls;
mod unique_keys;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::catalog::Catalog;
pub use self::check::Check;
use self::check::{LOST, Status};
use self::connection::Connected;
use crate::config::{self, Database, Environment, Limits, Options};
use crate::error::Error;
use crate::postgres::{Answer, ExaminedDatabase, TargetFacts};
use crate::schema::Schema;

/// The checks that need a connection.
const OF_CONNECTION: [&str; 5] = [tls::ID, server::ID, pooler::ID, clock::ID, tables::ID];
/// Those that need the tables as well: what the catalog says of them, and what queries find.
const OF_TABLES: [&str; 4] = [columns::ID, rights::ID, row_security::ID, unique_keys::ID];
const OF_QUERIES: [&str; 3] = [lookups::ID, indexes::ID, sessions::ID];

/// The checks in the order in which one would look. Reads the environment at once, and connects later.
pub fn examine(environment: &impl Environment) -> BoxFuture<'static, Vec<Check>> {
    let mut checks = vec![secrets::check(environment), cookies::check(environment)];
    let is_production = config::is_production(environment);
    let database = Database::new(&mut Options::default(), environment)
        .and_then(|database| ExaminedDatabase::new(&database, &Limits::default()));
    async move {
        checks.push(database_url::judge(database.as_ref().map(ExaminedDatabase::target)));
        match database {
            Ok(database) => checks.extend(examine_database(&database, is_production).await),
            Err(_) => {
                let needs = |id| Check::skipped(id, "needs a database-url that is right");
                checks.push(needs(connection::ID));
                checks.extend(after_connection().map(needs));
            }
        }
        checks
    }
    .boxed()
}

fn after_connection() -> impl Iterator<Item = &'static str> {
    OF_CONNECTION.into_iter().chain(OF_TABLES).chain(OF_QUERIES)
}

async fn examine_database(database: &ExaminedDatabase, is_production: bool) -> Vec<Check> {
    let target = database.target();
    match ask(database).await {
        Ok(answers) => judge(&answers, target, database.schema(), is_production),
        Err(error) => {
            let connection = connection::judge(Err(&error), target);
            let skipped = after_connection().map(|id| Check::skipped(id, "needs a connection"));
            [connection].into_iter().chain(skipped).collect()
        }
    }
}

/// What the database answers.
struct Answers {
    connected: Connected,
    tls: tls::Agreed,
    server: Answer<server::Server>,
    pooler: Option<pooler::Pooler>,
    clock: Answer<clock::Clock>,
    catalog: Answer<Catalog>,
    lookups: Answer<lookups::Latencies>,
    scans: Answer<Vec<indexes::Scan>>,
    sessions: Answer<sessions::Counts>,
}

async fn ask(database: &ExaminedDatabase) -> Result<Answers, Error> {
    let schema = database.schema();
    let (visitor, milliseconds) = connection::ask(database).await?;
    let visit = pooler::visit(&visitor).await;
    // Leaves, so that a pooler can give its connection to the next.
    drop(visitor);
    let examiner = database.connect().await?;
    let connected = Connected { address: examiner.address(), milliseconds };
    let tls = database.agree_on_tls(&examiner).await;
    let pooler = pooler::ask(database, &examiner, visit).await;
    let server = server::ask(&examiner).await;
    let clock = clock::ask(&examiner).await;
    // Before the catalog, which waits as well where somebody has locked a table.
    let lookups = lookups::ask(&examiner).await;
    let catalog = catalog::ask(&examiner, schema).await;
    let scans = indexes::ask(&examiner).await;
    let sessions = sessions::ask(&examiner, schema).await;
    Ok(Answers { connected, tls, server, pooler, clock, catalog, lookups, scans, sessions })
}

fn judge(answers: &Answers, target: &TargetFacts, schema: &Schema, is_production: bool) -> Vec<Check> {
    let Answers { connected, tls, server, pooler, clock, catalog, lookups, scans, sessions } = answers;
    let tables = tables::judge(catalog, target, server);
    let user = server::user(server);
    let needs_tables = |id| Check::skipped(id, "needs the tables");
    let of_tables = match (catalog, tables.status) {
        (Ok(catalog), Status::Ok) => [
            columns::judge(catalog),
            rights::judge(catalog, user),
            row_security::judge(catalog, user, sessions),
            unique_keys::judge(catalog),
        ],
        (_, Status::Skipped) => OF_TABLES.map(|id| Check::skipped(id, LOST)),
        _ => OF_TABLES.map(needs_tables),
    };
    let of_queries = if catalog.is_ok() && tables.status == Status::Failed {
        OF_QUERIES.map(needs_tables)
    } else {
        let broken = [&tables].into_iter().chain(&of_tables).find(|check| check.status == Status::Failed);
        [
            lookups::judge(lookups, broken.map(|check| check.id)),
            indexes::judge(scans, schema),
            sessions::judge(sessions, catalog),
        ]
    };
    let of_connection = [
        connection::judge(Ok(connected), target),
        tls::judge(tls, &connected.address, target, is_production),
        server::judge(server),
        pooler::judge(*pooler, target),
        clock::judge(clock),
        tables,
    ];
    of_connection.into_iter().chain(of_tables).chain(of_queries).collect()
}

#[cfg(test)]
mod tests;
