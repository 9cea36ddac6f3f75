//! The revocation source that asks PostgreSQL. The only part that imports tokio-postgres and
//! deadpool.
#![forbid(unsafe_code)]

mod fault;
mod target;
mod tls;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use self::fault::Fault;
use self::target::Target;
use crate::config::{Database, MAX_CONNECTIONS, STEP_LIMIT};
use crate::error::Error;
use crate::redacted::redacted;
use crate::revocation::{RevocationSource, SessionEnd, SessionKey, SessionRecord};

/// Facts only; [`crate::revocation::Liveness`] judges them. `now()` is the database's own clock.
/// The tenant leads each key and the join, so that a sharded database asks one shard.
const FIND_SESSION: &str = "\
SELECT s.user_id,
       s.revoked_at IS NOT NULL,
       coalesce(s.expires_at <= now(), false),
       u.user_type::text
FROM sessions s
LEFT JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id
WHERE s.tenant = $1 AND s.session_id = $2";

/// The same for many at once. `unnest` pairs the two lists and counts the pairs. The subselects hide
/// from the planner how long they are: else it would plan anew for each short list, which takes
/// longer than the query.
const FIND_SESSIONS: &str = "\
SELECT s.user_id,
       s.revoked_at IS NOT NULL,
       coalesce(s.expires_at <= now(), false),
       u.user_type::text,
       (k.place - 1)::int4
FROM unnest((SELECT $1), (SELECT $2)) WITH ORDINALITY AS k (tenant, session_id, place)
JOIN sessions s ON s.tenant = k.tenant AND s.session_id = k.session_id
LEFT JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id";

/// What the explanation of a session that ended needs beside that.
const FIND_END: &str = "\
SELECT extract(epoch FROM expires_at)::float8, extract(epoch FROM revoked_at)::float8, revoked_reason::text
FROM sessions
WHERE tenant = $1 AND session_id = $2";

pub struct Postgres {
    pool: Pool,
    tls: MakeTlsConnector,
    /// Host and port, for messages.
    address: String,
}

impl Postgres {
    /// Connects to nothing yet: the first lookup does.
    pub fn new(database: &Database) -> Result<Self, Error> {
        let target = Target::new(database)?;
        let address = target.address();
        let manager = Manager::from_config(
            target.config,
            target.tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(STEP_LIMIT))
            .create_timeout(Some(STEP_LIMIT))
            .recycle_timeout(Some(STEP_LIMIT))
            .build()
            .map_err(|cause| Error::Internal(format!("connection pool: {cause}")))?;
        Ok(Self { pool, tls: target.tls, address })
    }

    /// Asks on `connection`, and once again on another one where that was the trouble.
    async fn ask(&self, connection: Object, query: &Query<'_>) -> Result<Vec<Row>, Error> {
        let answered = match self.ask_once(connection, query).await {
            Err(fault) if fault.is_stale_connection() => {
                // Every idle connection may be as stale. The query only reads: once more is safe.
                self.pool.retain(|_, _| false);
                match self.pool.get().await {
                    Ok(connection) => self.ask_once(connection, query).await,
                    Err(cause) => Err(Fault::Pool(cause)),
                }
            }
            decided => decided,
        };
        answered.map_err(|fault| self.error(fault))
    }

    async fn ask_once(&self, connection: Object, query: &Query<'_>) -> Result<Vec<Row>, Fault> {
        match tokio::time::timeout(STEP_LIMIT, query.run(&connection)).await {
            Ok(rows) => rows.map_err(Fault::Query),
            Err(_elapsed) => {
                self.give_up(connection);
                Err(Fault::QueryTimeout)
            }
        }
    }

    fn error(&self, fault: Fault) -> Error {
        fault.into_error(&self.address, STEP_LIMIT)
    }

    /// The query still runs on this connection: the server is told to end it, and nobody gets the
    /// connection again. Nor the idle ones, since the network may have swallowed them all.
    fn give_up(&self, connection: Object) {
        self.pool.retain(|_, _| false);
        let cancel_token = connection.cancel_token();
        let tls = self.tls.clone();
        let connection = Object::take(connection);
        tokio::spawn(async move {
            // Whether it worked or not: the connection is closed next.
            let _ = tokio::time::timeout(STEP_LIMIT, cancel_token.cancel_query(tls)).await;
            drop(connection);
        });
    }
}

redacted!(Postgres);

impl RevocationSource for Postgres {
    type Connection = Object;

    async fn connect(&self) -> Result<Object, Error> {
        self.pool.get().await.map_err(|cause| self.error(Fault::Pool(cause)))
    }

    fn has_idle(&self) -> bool {
        self.pool.status().available > 0
    }

    async fn find(&self, connection: Object, keys: &[SessionKey]) -> Result<Vec<Option<SessionRecord>>, Error> {
        if let [key] = keys {
            let rows = self.ask(connection, &Query::one(FIND_SESSION, key)).await?;
            let record = rows.first().map(session_record).transpose();
            return Ok(vec![record.map_err(|cause| self.error(Fault::Query(cause)))?]);
        }
        let tenants: Vec<_> = keys.iter().map(|key| key.tenant).collect();
        let session_ids: Vec<_> = keys.iter().map(|key| key.session_id).collect();
        let rows = self.ask(connection, &Query::many(FIND_SESSIONS, &tenants, &session_ids)).await?;
        let mut records = vec![None; keys.len()];
        for row in &rows {
            let (place, record) = placed_record(row).map_err(|cause| self.error(Fault::Query(cause)))?;
            if let Some(found) = records.get_mut(place) {
                *found = Some(record);
            }
        }
        Ok(records)
    }

    async fn find_end(&self, key: SessionKey) -> Result<Option<SessionEnd>, Error> {
        let rows = self.ask(self.connect().await?, &Query::one(FIND_END, &key)).await?;
        rows.first().map(session_end).transpose().map_err(|cause| self.error(Fault::Query(cause)))
    }

    fn close(&self) {
        self.pool.close();
    }
}

/// A statement that is prepared once on each connection, and what it asks for: a tenant and a
/// session, or lists of them.
struct Query<'k> {
    sql: &'static str,
    types: [Type; 2],
    parameters: [&'k (dyn ToSql + Sync); 2],
}

impl<'k> Query<'k> {
    fn one(sql: &'static str, key: &'k SessionKey) -> Self {
        Self { sql, types: [Type::UUID, Type::UUID], parameters: [&key.tenant, &key.session_id] }
    }

    fn many(sql: &'static str, tenants: &'k Vec<Uuid>, session_ids: &'k Vec<Uuid>) -> Self {
        Self { sql, types: [Type::UUID_ARRAY, Type::UUID_ARRAY], parameters: [tenants, session_ids] }
    }

    async fn run(&self, connection: &Object) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = connection.prepare_typed_cached(self.sql, &self.types).await?;
        connection.query(&statement, &self.parameters).await
    }
}

fn session_record(row: &Row) -> Result<SessionRecord, tokio_postgres::Error> {
    Ok(SessionRecord {
        user_id: row.try_get(0)?,
        revoked: row.try_get(1)?,
        expired: row.try_get(2)?,
        user_type: row.try_get(3)?,
    })
}

/// With the place of its key in the lists, from 0.
fn placed_record(row: &Row) -> Result<(usize, SessionRecord), tokio_postgres::Error> {
    let place: i32 = row.try_get(4)?;
    Ok((usize::try_from(place).unwrap_or(usize::MAX), session_record(row)?))
}

fn session_end(row: &Row) -> Result<SessionEnd, tokio_postgres::Error> {
    Ok(SessionEnd { expires_at: row.try_get(0)?, revoked_at: row.try_get(1)?, revoked_reason: row.try_get(2)? })
}
