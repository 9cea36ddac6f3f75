//! What [`crate::doctor`] needs of PostgreSQL: where the database is, connections to it, and answers to questions that are
//! asked one after the other. The questions and what their answers mean are the doctor's.
#![forbid(unsafe_code)]

mod examiner;
mod handshake;
mod target;

use tokio::time::timeout;

use self::examiner::Setup;
pub use self::examiner::{Answer, Examiner, Parameter, Unanswered};
pub use self::handshake::Agreement;
pub use self::target::TargetFacts;
use super::connect::Connector;
use super::query::Queries;
use super::url::Target;
use crate::config::{Database, Limits};
use crate::error::Error;
use crate::schema::Schema;

/// A database that is examined, with a new connection for each examiner.
pub struct ExaminedDatabase {
    connector: Connector,
    setup: Setup,
    target: TargetFacts,
    schema: Schema,
}

impl ExaminedDatabase {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn new(database: &Database, limits: &Limits) -> Result<Self, Error> {
        let target = Target::new(database, limits)?;
        let prepared_statements = target.prepared_statements;
        let queries = Queries::new(target.schema.as_deref(), prepared_statements, database.sharded);
        Ok(Self {
            setup: Setup { queries, limit: limits.query_timeout, prepared_statements },
            target: TargetFacts::new(&target, &database.location),
            schema: Schema::new(target.schema.clone()),
            connector: Connector::new(target),
        })
    }

    pub fn target(&self) -> &TargetFacts {
        &self.target
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub async fn connect(&self) -> Result<Examiner<'_>, Error> {
        Ok(Examiner::new(self.connector.connect().await?, &self.setup))
    }

    /// The TLS that the server agrees on with a client such as this one. `None` without TLS.
    pub async fn agree_on_tls(&self, examiner: &Examiner<'_>) -> Result<Option<Agreement>, String> {
        let target = self.connector.target();
        let limit = target.connect_timeout;
        match timeout(limit, handshake::agree(examiner.connection(), target)).await {
            Ok(agreed) => agreed.map_err(|cause| cause.to_string()),
            Err(_elapsed) => Err(format!("took longer than {} ms", limit.as_millis())),
        }
    }
}
