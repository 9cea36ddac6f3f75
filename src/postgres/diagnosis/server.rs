//! Who answers: the server, a pooler before it, and the server's clock.
#![forbid(unsafe_code)]

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio_postgres::{Client, Row};

use super::super::connect::Connection;
use super::super::fault::Fault;

type Answer<T> = Result<T, Fault>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    version: String,
    user: String,
    database: String,
    is_standby: bool,
    search_path: String,
}

impl Server {
    pub(super) async fn new(connection: &Connection) -> Answer<Self> {
        const QUESTION: &str = "\
SELECT pg_catalog.current_setting('server_version'),
       current_user::text,
       pg_catalog.current_database()::text,
       pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('search_path')";
        let row = one_row(&connection.client, QUESTION).await?;
        Ok(Self {
            version: row.try_get(0)?,
            user: row.try_get(1)?,
            database: row.try_get(2)?,
            is_standby: row.try_get(3)?,
            search_path: row.try_get(4)?,
        })
    }
}

/// What is between the client and the server.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pooler {
    None,
    /// A process of the server is one client's until that leaves.
    Session,
    /// It is one client's until its transaction ends.
    Transaction,
}

/// The process of the server that a client came to, and when. Times are in seconds since 1970, by
/// the server's clock.
#[derive(Clone, Copy)]
pub(super) struct Visit {
    process: i32,
    /// When the process began.
    began: f64,
    now: f64,
    /// When the server began: tells servers apart.
    server_began: f64,
}

impl Visit {
    /// An error where the server shows no activity.
    pub(super) async fn new(connection: &Connection) -> Answer<Self> {
        const QUESTION: &str = "\
SELECT pg_catalog.pg_backend_pid(),
       (SELECT extract(epoch FROM backend_start)::float8
        FROM pg_catalog.pg_stat_activity
        WHERE pid = pg_catalog.pg_backend_pid()),
       extract(epoch FROM pg_catalog.now())::float8,
       extract(epoch FROM pg_catalog.pg_postmaster_start_time())::float8";
        let row = one_row(&connection.client, QUESTION).await?;
        Ok(Self {
            process: row.try_get(0)?,
            began: row.try_get(1)?,
            now: row.try_get(2)?,
            server_began: row.try_get(3)?,
        })
    }

    /// Whether this client's process was there before the client, which came after `earlier`.
    pub(super) fn was_there_before(&self, earlier: &Self) -> bool {
        self.server_began == earlier.server_began && self.began < earlier.now
    }

    pub(super) fn is_process_of(&self, other: &Self) -> bool {
        (self.process, self.began) == (other.process, other.began)
    }
}

/// How far the server's clock is from this machine's.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clock {
    /// In seconds; negative where the server's is behind.
    ahead: f64,
    /// It may be more or less by so much.
    uncertainty: f64,
}

impl Clock {
    /// The closest of a few: what is quick to come tells the most.
    pub(super) async fn new(connection: &Connection) -> Answer<Self> {
        let mut clock = Self::ask(connection).await?;
        for _ in 0..3 {
            let other = Self::ask(connection).await?;
            if other.uncertainty < clock.uncertainty {
                clock = other;
            }
        }
        Ok(clock)
    }

    async fn ask(connection: &Connection) -> Answer<Self> {
        const QUESTION: &str = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8";
        let before = SystemTime::now();
        let row = one_row(&connection.client, QUESTION).await?;
        let after = SystemTime::now();
        Ok(Self::between(since_1970(before), row.try_get(0)?, since_1970(after)))
    }

    /// From what the server's clock showed between two moments of ours.
    fn between(before: f64, shown: f64, after: f64) -> Self {
        Self { ahead: shown - (before + after) / 2.0, uncertainty: (after - before) / 2.0 }
    }
}

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or_else(|early| -early.duration().as_secs_f64(), |time| time.as_secs_f64())
}

/// As an unnamed statement, which any pooler takes.
async fn one_row(client: &Client, question: &str) -> Answer<Row> {
    let rows = client.query_typed(question, &[]).await?;
    rows.into_iter().next().ok_or(Fault::MissingRow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_in_the_middle_of_the_round_trip() {
        assert_eq!(Clock::between(100.0, 101.0, 102.0), Clock { ahead: 0.0, uncertainty: 1.0 });
        assert_eq!(Clock::between(100.0, 111.0, 102.0), Clock { ahead: 10.0, uncertainty: 1.0 });
        assert_eq!(Clock::between(100.0, 81.0, 102.0), Clock { ahead: -20.0, uncertainty: 1.0 });
    }

    #[test]
    fn a_process_that_was_there_before_its_client() {
        let earlier = Visit { process: 1, began: 10.0, now: 11.0, server_began: 1.0 };
        for (case, visit, expected) in [
            ("the same process", Visit { now: 12.0, ..earlier }, true),
            ("another one of the pooler's", Visit { process: 2, began: 5.0, now: 12.0, ..earlier }, true),
            ("one of its own", Visit { process: 2, began: 11.5, now: 12.0, ..earlier }, false),
            ("of another server", Visit { process: 2, began: 5.0, now: 12.0, server_began: 2.0 }, false),
        ] {
            assert_eq!(visit.was_there_before(&earlier), expected, "{case}");
        }
    }
}
