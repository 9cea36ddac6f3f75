//! A connection that is asked one question after the other. Each has its time, and after one that ends the connection no
//! other is asked.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, SimpleQueryMessage};

use super::super::connect::Connection;
use super::super::fault::Fault;
use super::super::query::{DatabaseSession, FindSessions, Query, Statements, bounded};
use crate::error::Error;
use crate::store::{SessionKey, SessionRecord};

pub type Answer<T> = Result<T, Unanswered>;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The connection was lost before.
    Lost,
    Failed(Error),
}

/// A parameter of a query, with its type. So no pooler has to describe the statement first.
#[derive(Clone, Copy)]
pub enum Parameter<'a> {
    Text(Option<&'a str>),
    Texts(&'a [&'a str]),
    Oid(u32),
}

/// How all connections to one database are asked.
pub(super) struct Setup {
    pub(super) statements: Statements,
    /// For one question.
    pub(super) limit: Duration,
    pub(super) prepared_statements: bool,
}

pub struct Examiner<'s> {
    connection: Connection,
    setup: &'s Setup,
    is_lost: AtomicBool,
}

impl<'s> Examiner<'s> {
    pub(super) fn new(connection: Connection, setup: &'s Setup) -> Self {
        Self { connection, setup, is_lost: AtomicBool::new(false) }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The host and its port, for messages.
    pub fn address(&self) -> String {
        self.connection.endpoint.host.describe()
    }

    /// The rows of a query, each as `read` reads it. `step` says in messages what took too long.
    pub async fn rows<T>(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Answer<Vec<T>> {
        let typed: Vec<_> = parameters.iter().map(Parameter::typed).collect();
        self.step(step, async {
            // An unnamed statement, which any pooler takes.
            let rows = self.connection.client.query_typed(sql, &typed).await?;
            rows.iter().map(read).collect::<Result<_, tokio_postgres::Error>>()
        })
        .await
    }

    /// The row of a query that always has one.
    pub async fn row<T>(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Answer<T> {
        let typed: Vec<_> = parameters.iter().map(Parameter::typed).collect();
        self.step(step, async {
            let rows = self.connection.client.query_typed(sql, &typed).await?;
            Ok::<_, Fault>(read(rows.first().ok_or(Fault::MissingRow)?)?)
        })
        .await
    }

    /// The rows of a query as text, with a setting that is for it alone, also where a pooler shares the connection.
    pub async fn rows_with_setting(&self, step: &'static str, setting: &str, sql: &str) -> Answer<Vec<Vec<String>>> {
        self.step(step, async {
            let client = &self.connection.client;
            client.batch_execute(&format!("BEGIN READ ONLY; SET LOCAL {setting}")).await?;
            let answer = client.simple_query(sql).await;
            client.batch_execute("ROLLBACK").await?;
            Ok::<_, tokio_postgres::Error>(answer?.iter().filter_map(text_row).collect())
        })
        .await
    }

    /// What stands under this key, asked as for a request.
    pub async fn find_session(&self, key: SessionKey) -> Answer<Option<SessionRecord>> {
        let Setup { statements, prepared_statements, .. } = self.setup;
        let session = DatabaseSession { client: &self.connection.client, prepares: *prepared_statements };
        let query = FindSessions { statements: &statements.find, keys: &[key] };
        let found = self.step("the session query", query.run(&session)).await?;
        let records = found.into_iter().collect::<Result<Vec<_>, _>>().map_err(Unanswered::Failed)?;
        Ok(records.into_iter().next().flatten())
    }

    /// The SQL of that: `$1` is the tenant, `$2` the id of the session.
    pub fn session_query(&self) -> &str {
        &self.setup.statements.find.one.sql
    }

    async fn step<T, E: Into<Fault>>(
        &self,
        name: &'static str,
        asking: impl Future<Output = Result<T, E>>,
    ) -> Answer<T> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(Unanswered::Lost);
        }
        let limit = self.setup.limit;
        let fault = match timeout(limit, bounded(&self.connection.client, asking)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(fault)) => fault,
            Err(_elapsed) => Fault::Timeout,
        };
        if fault.ends_connection() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Err(Unanswered::Failed(match fault {
            Fault::Timeout => Error::Timeout { step: name, limit },
            fault => fault.into_error(&self.address(), limit, self.setup.prepared_statements),
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

/// `None` for a message that is no row.
fn text_row(message: &SimpleQueryMessage) -> Option<Vec<String>> {
    let SimpleQueryMessage::Row(row) = message else {
        return None;
    };
    let text = |index| row.try_get(index).ok().flatten().unwrap_or_default().to_owned();
    Some((0..row.len()).map(text).collect())
}
