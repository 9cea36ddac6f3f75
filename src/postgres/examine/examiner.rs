//! A connection that runs the doctor's queries one after the other. Each is a step with a time limit. After a step that
//! ends the connection, all further steps are skipped.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, SimpleQueryMessage};

use super::super::connect::Connection;
use super::super::fault::Fault;
use super::super::query::{
    DatabaseSession, FindSessions, Located, Query, StatementWriter, Statements, bounded, locate,
};
use crate::error::Error;
use crate::schema::IdTypes;
use crate::store::{Lookup, SessionRecord, Wanted};

pub type StepResult<T> = Result<T, StepError>;

/// Why a step has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// Skipped, since the connection was lost in an earlier step.
    ConnectionLost,
    Failed(Error),
}

/// A parameter of a query. Its type is known, so the statement needs no describe step.
#[derive(Clone, Copy)]
pub enum Parameter<'a> {
    Text(Option<&'a str>),
    Texts(&'a [&'a str]),
    Oid(u32),
}

/// How queries run on all connections to one database.
pub(super) struct QuerySettings {
    pub(super) statements: StatementWriter,
    /// For one step.
    pub(super) limit: Duration,
    pub(super) prepared_statements: bool,
}

pub struct Examiner<'s> {
    connection: Connection,
    settings: &'s QuerySettings,
    is_lost: AtomicBool,
}

impl<'s> Examiner<'s> {
    pub(super) fn new(connection: Connection, settings: &'s QuerySettings) -> Self {
        Self { connection, settings, is_lost: AtomicBool::new(false) }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The host and its port, for messages.
    pub fn address(&self) -> String {
        self.connection.endpoint.host.describe()
    }

    /// Runs a query and maps its rows with `read`. `step` is the name of the step in timeout errors.
    pub async fn rows<T>(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> StepResult<Vec<T>> {
        let typed: Vec<_> = parameters.iter().map(Parameter::typed).collect();
        self.step(step, async {
            // An unnamed statement works with any pooler.
            let rows = self.connection.client.query_typed(sql, &typed).await?;
            rows.iter().map(read).collect::<Result<_, tokio_postgres::Error>>()
        })
        .await
    }

    /// The same for a query that always returns one row.
    pub async fn row<T>(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> StepResult<T> {
        let typed: Vec<_> = parameters.iter().map(Parameter::typed).collect();
        self.step(step, async {
            let rows = self.connection.client.query_typed(sql, &typed).await?;
            Ok::<_, Fault>(read(rows.first().ok_or(Fault::MissingRow)?)?)
        })
        .await
    }

    /// Runs a query with `settings`, which are in effect for this query only, even behind a pooler. Values are text.
    pub async fn rows_with_settings(
        &self,
        step: &'static str,
        settings: &[&str],
        sql: &str,
    ) -> StepResult<Vec<Vec<String>>> {
        self.step(step, async {
            let client = &self.connection.client;
            client.batch_execute(&format!("BEGIN READ ONLY; SET LOCAL {}", settings.join("; SET LOCAL "))).await?;
            let answer = client.simple_query(sql).await;
            client.batch_execute("ROLLBACK").await?;
            Ok::<_, tokio_postgres::Error>(answer?.iter().filter_map(text_row).collect())
        })
        .await
    }

    /// Where the tables are.
    pub async fn locate(&self) -> StepResult<Located> {
        self.step("finding the tables", locate(&self.session(), self.settings.statements.schema())).await
    }

    /// Runs the session query for some sessions, as for as many requests.
    pub async fn find_sessions(&self, lookups: &[Lookup]) -> StepResult<Vec<Result<Option<SessionRecord>, Error>>> {
        let session = self.session();
        let wanted: Vec<_> = lookups.iter().map(|lookup| Wanted { lookup: lookup.clone(), slide: None }).collect();
        let work = async {
            let statements = self.settings.statements.statements(&session).await?;
            FindSessions { wanted: &wanted }.run(&session, &statements).await
        };
        self.step("the session query", work).await
    }

    /// Runs the session query for a session that doesn't exist.
    pub async fn find_nobody(&self) -> StepResult<Result<Option<SessionRecord>, Error>> {
        let nobody = Lookup::of_nobody(&self.id_types().await?);
        Ok(self.find_sessions(&[nobody]).await?.pop().unwrap_or(Ok(None)))
    }

    /// What the columns of ids can hold.
    pub async fn id_types(&self) -> StepResult<IdTypes> {
        Ok(self.statements().await?.id_types)
    }

    /// The SQL of [`Self::find_sessions`] for one session, or for one that doesn't exist, without parameters.
    pub async fn session_query(&self, lookup: Option<&Lookup>) -> StepResult<String> {
        let statements = self.statements().await?;
        let lookup = lookup.cloned().unwrap_or_else(|| Lookup::of_nobody(&statements.id_types));
        Ok(statements.find.with_literals(&lookup))
    }

    /// The join of the user `u` of a session `s`, as in the session query; empty if users are not read.
    pub async fn users_join(&self) -> StepResult<String> {
        Ok(self.statements().await?.find.users.clone())
    }

    async fn statements(&self) -> StepResult<Arc<Statements>> {
        let session = self.session();
        self.step("finding the tables", self.settings.statements.statements(&session)).await
    }

    fn session(&self) -> DatabaseSession<'_> {
        DatabaseSession { client: &self.connection.client, prepares: self.settings.prepared_statements }
    }

    async fn step<T, E: Into<Fault>>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> StepResult<T> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(StepError::ConnectionLost);
        }
        let limit = self.settings.limit;
        let fault = match timeout(limit, bounded(&self.connection.client, work)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(fault)) => fault,
            Err(_elapsed) => Fault::Timeout,
        };
        if fault.ends_connection() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Err(StepError::Failed(match fault {
            Fault::Timeout => Error::Timeout { step: name, limit },
            fault => fault.into_error(&self.address(), limit, self.settings.prepared_statements),
        }))
    }
}

impl Parameter<'_> {
    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Text(text) => (text, Type::TEXT),
            Self::Texts(texts) => (texts, Type::TEXT_ARRAY),
            Self::Oid(oid) => (oid, Type::OID),
        }
    }
}

/// `None` if the message is not a row.
fn text_row(message: &SimpleQueryMessage) -> Option<Vec<String>> {
    let SimpleQueryMessage::Row(row) = message else {
        return None;
    };
    let text = |index| row.try_get(index).ok().flatten().unwrap_or_default().to_owned();
    Some((0..row.len()).map(text).collect())
}
