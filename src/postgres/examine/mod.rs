//! Database access for [`crate::doctor`]: the target of the configuration, connections to it, and queries that run one after
//! the other. The doctor writes the queries and interprets their results.
#![forbid(unsafe_code)]

mod examiner;
mod handshake;
mod target;

use std::sync::Arc;

use tokio::time::timeout;

use self::examiner::QuerySettings;
pub use self::examiner::{Examiner, Parameter, StepError, StepResult};
pub use self::handshake::NegotiatedTls;
pub use self::target::TargetFacts;
use super::connect::Connector;
use super::listener::Listener;
use super::query::{Form, StatementWriter};
use super::url::Target;
use crate::config::{Database, Environment, Limits};
use crate::error::Error;

/// A database to examine. Each [`Examiner`] has a new connection to it.
pub struct ExaminedDatabase {
    connector: Connector,
    settings: QuerySettings,
    target: TargetFacts,
    /// `None` if nobody listens.
    listener: Option<Arc<Listener>>,
}

impl ExaminedDatabase {
    /// Doesn't connect yet.
    ///
    /// # Errors
    /// When the configuration is invalid.
    pub fn new(database: &Database, limits: &Limits, environment: &impl Environment) -> Result<Self, Error> {
        let target = Target::new(database, limits, environment)?;
        let prepared_statements = target.prepared_statements;
        Ok(Self {
            settings: QuerySettings {
                statements: StatementWriter::new(
                    target.schema.clone(),
                    Form { by_tenant: database.sharded, tell_end: false },
                ),
                limit: limits.query_timeout,
                prepared_statements,
            },
            target: TargetFacts::new(&target, &database.schema),
            connector: Connector::new(target),
            listener: database.listened().map(|listened| Listener::of(&listened, limits, environment)).transpose()?,
        })
    }

    pub fn target(&self) -> &TargetFacts {
        &self.target
    }

    pub async fn connect(&self) -> Result<Examiner<'_>, Error> {
        Ok(Examiner::new(self.connector.connect().await?, &self.settings))
    }

    /// Whether notifications come through; `None` if nobody listens.
    pub async fn try_notifications(&self) -> Option<Result<(), String>> {
        Some(self.listener.as_ref()?.try_out().await)
    }

    /// The TLS version and cipher that the server negotiates with the settings of `examiner`. `None` without TLS.
    pub async fn negotiate_tls(&self, examiner: &Examiner<'_>) -> Result<Option<NegotiatedTls>, String> {
        let target = self.connector.target();
        let limit = target.connect_timeout;
        match timeout(limit, handshake::negotiate(examiner.connection(), target)).await {
            Ok(negotiated) => negotiated.map_err(|cause| cause.to_string()),
            Err(_elapsed) => Err(format!("took longer than {} ms", limit.as_millis())),
        }
    }
}
