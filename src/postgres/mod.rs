//! The revocation source that asks PostgreSQL. The only part that imports tokio-postgres and
//! deadpool.
#![forbid(unsafe_code)]

mod fault;
mod target;
mod tls;

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::types::Type;

use self::fault::Fault;
use self::target::Target;
use crate::config::Database;
use crate::error::Error;
use crate::revocation::{RevocationSource, SessionKey, SessionRecord};

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

const MAX_CONNECTIONS: usize = 10;
/// For each: waiting for a free connection, making a new one, and the query on it.
const STEP_LIMIT: Duration = Duration::from_secs(5);

pub struct Postgres {
    pool: Pool,
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
            target.tls.connector()?,
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
        Ok(Self { pool, address })
    }

    async fn find_once(&self, key: SessionKey) -> Result<Option<SessionRecord>, Fault> {
        let connection = self.pool.get().await.map_err(Fault::Pool)?;
        match tokio::time::timeout(STEP_LIMIT, find(&connection, key)).await {
            Ok(found) => found.map_err(Fault::Query),
            Err(_elapsed) => {
                // The query still runs there: nobody may get this connection.
                drop(Object::take(connection));
                Err(Fault::QueryTimeout)
            }
        }
    }
}

impl RevocationSource for Postgres {
    async fn find(&self, key: SessionKey) -> Result<Option<SessionRecord>, Error> {
        let found = match self.find_once(key).await {
            Err(fault) if fault.is_stale_connection() => {
                // Every idle connection may be as stale. The query only reads: once more is safe.
                self.pool.retain(|_, _| false);
                self.find_once(key).await
            }
            decided => decided,
        };
        found.map_err(|fault| fault.into_error(&self.address, STEP_LIMIT))
    }

    fn close(&self) {
        self.pool.close();
    }
}

async fn find(connection: &Object, key: SessionKey) -> Result<Option<SessionRecord>, tokio_postgres::Error> {
    let statement = connection.prepare_typed_cached(FIND_SESSION, &[Type::UUID, Type::UUID]).await?;
    let row = connection.query_opt(&statement, &[&key.tenant, &key.session_id]).await?;
    row.map(|row| {
        Ok(SessionRecord {
            user_id: row.try_get(0)?,
            revoked: row.try_get(1)?,
            expired: row.try_get(2)?,
            user_type: row.try_get(3)?,
        })
    })
    .transpose()
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postgres(..)")
    }
}
