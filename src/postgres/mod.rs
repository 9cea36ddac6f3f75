//! The revocation source that asks PostgreSQL. The only part that imports tokio-postgres and
//! deadpool.
#![forbid(unsafe_code)]

mod fault;
mod target;
mod tls;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

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

    async fn find<T>(&self, query: &str, key: SessionKey, decode: Decode<T>) -> Result<Option<T>, Error> {
        let found = match self.find_once(query, key).await {
            Err(fault) if fault.is_stale_connection() => {
                // Every idle connection may be as stale. The query only reads: once more is safe.
                self.pool.retain(|_, _| false);
                self.find_once(query, key).await
            }
            decided => decided,
        };
        found
            .and_then(|row| row.map(|row| decode(&row)).transpose().map_err(Fault::Query))
            .map_err(|fault| fault.into_error(&self.address, STEP_LIMIT))
    }

    async fn find_once(&self, query: &str, key: SessionKey) -> Result<Option<Row>, Fault> {
        let connection = self.pool.get().await.map_err(Fault::Pool)?;
        match tokio::time::timeout(STEP_LIMIT, find_row(&connection, query, key)).await {
            Ok(found) => found.map_err(Fault::Query),
            Err(_elapsed) => {
                self.give_up(connection);
                Err(Fault::QueryTimeout)
            }
        }
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
    async fn find(&self, key: SessionKey) -> Result<Option<SessionRecord>, Error> {
        self.find(FIND_SESSION, key, session_record).await
    }

    async fn find_end(&self, key: SessionKey) -> Result<Option<SessionEnd>, Error> {
        self.find(FIND_END, key, session_end).await
    }

    fn close(&self) {
        self.pool.close();
    }
}

type Decode<T> = fn(&Row) -> Result<T, tokio_postgres::Error>;

async fn find_row(connection: &Object, query: &str, key: SessionKey) -> Result<Option<Row>, tokio_postgres::Error> {
    let statement = connection.prepare_typed_cached(query, &[Type::UUID, Type::UUID]).await?;
    connection.query_opt(&statement, &[&key.tenant, &key.session_id]).await
}

fn session_record(row: &Row) -> Result<SessionRecord, tokio_postgres::Error> {
    Ok(SessionRecord {
        user_id: row.try_get(0)?,
        revoked: row.try_get(1)?,
        expired: row.try_get(2)?,
        user_type: row.try_get(3)?,
    })
}

fn session_end(row: &Row) -> Result<SessionEnd, tokio_postgres::Error> {
    Ok(SessionEnd { expires_at: row.try_get(0)?, revoked_at: row.try_get(1)?, revoked_reason: row.try_get(2)? })
}
