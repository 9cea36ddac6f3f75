//! The queries, one file each: SQL, parameters, and rows -> answer.
#![forbid(unsafe_code)]

mod access;
mod columns;
mod create;
mod delete;
mod end;
mod find;
mod fresh;
mod ids;
mod list;
mod live;
mod locate;
mod revoke;
mod slide;
mod times;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt;
use tokio::time::Instant;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

pub use self::access::Access;
use self::columns::KeyColumns;
pub(super) use self::create::CreateSession;
pub(super) use self::delete::DeleteEnded;
pub(super) use self::end::FindEnd;
pub(super) use self::find::{FindSessions, Found};
pub(super) use self::list::ListSessions;
pub use self::locate::Located;
pub(super) use self::locate::locate;
pub(super) use self::revoke::Revoke;
pub(super) use self::slide::{SlideSessions, note_slide};
use super::fault::{Fault, on_one_line};
use crate::error::Error;
use crate::schema::{IdTypes, Schema};

/// How long tables and columns are taken to be as they were found. A token whose ids no column can hold is refused without a
/// query, so no error would tell that the columns have changed, or that something else answered in the database's place.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Many more rows than a batch has keys. So tables in which a session has several rows are read to their end, and a
/// server that sends rows without end is not.
const MAX_ROWS: usize = 10_000;

/// A query with its parameters. It may be repeated on a new connection if the first one broke, also if it writes.
pub(super) trait Query: Sync {
    type Answer: Send;

    /// Whether it slides sessions, which a server may refuse that answers all else.
    const IS_SLIDE: bool = false;

    fn run(
        &self,
        session: &DatabaseSession,
        statements: &Statements,
    ) -> impl Future<Output = Result<Self::Answer, Fault>> + Send;
}

/// The statements of one store, written when the PostgreSQL schema of each table and the types of the columns are known.
pub(super) struct Statements {
    pub(super) find: find::Statements,
    slide: slide::Statements,
    end: Statement,
    /// For what is not asked for often, whose statements are written anew each time.
    located: Located,
    keys: KeyColumns,
    pub(super) id_types: IdTypes,
    written_at: Instant,
    is_outdated: AtomicBool,
}

/// How the statements of a store are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    /// Whether each is about one tenant, so that a distributed database queries one shard.
    pub(super) by_tenant: bool,
    /// Whether they tell when sessions end, since answers are kept.
    pub(super) tell_end: bool,
}

impl Statements {
    fn new(located: Located, form: Form) -> Result<Self, Fault> {
        let keys = KeyColumns::new(&located)?;
        Ok(Self {
            find: find::Statements::new(&located, &keys, form)?,
            slide: slide::Statements::new(&located, &keys, form.tell_end)?,
            end: end::statement(&located, &keys),
            id_types: keys.id_types(),
            located,
            keys,
            written_at: Instant::now(),
            is_outdated: AtomicBool::new(false),
        })
    }

    fn are_old(&self) -> bool {
        self.written_at.elapsed() >= MAX_AGE
    }

    /// The next query looks at tables and columns again.
    fn outdate(&self) {
        self.is_outdated.store(true, Ordering::Relaxed);
    }
}

/// Writes the statements of one store at the first query.
pub(super) struct StatementWriter {
    schema: Schema,
    form: Form,
    written: Mutex<Option<Arc<Statements>>>,
}

impl StatementWriter {
    pub(super) fn new(schema: Schema, form: Form) -> Self {
        Self { schema, form, written: Mutex::new(None) }
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What the columns of ids can hold, as far as it is known. Those of outdated statements count until there are others.
    pub(super) fn id_types(&self) -> IdTypes {
        let written = self.written();
        let written = written.as_ref().filter(|statements| !statements.are_old());
        written.map_or_else(|| IdTypes::unknown(self.schema.is_multi_tenant), |written| written.id_types)
    }

    /// If a table is not found, the next call looks again.
    pub(super) async fn statements(&self, session: &DatabaseSession<'_>) -> Result<Arc<Statements>, Fault> {
        if let Some(statements) = self.current() {
            return Ok(statements);
        }
        let located = locate(session, &self.schema).await?;
        located.check_found()?;
        let statements = Arc::new(Statements::new(located, self.form)?);
        *self.written() = Some(Arc::clone(&statements));
        Ok(statements)
    }

    /// Statements that may be used.
    pub(super) fn current(&self) -> Option<Arc<Statements>> {
        let is_current =
            |statements: &Arc<Statements>| !statements.is_outdated.load(Ordering::Relaxed) && !statements.are_old();
        self.written().clone().filter(is_current)
    }

    /// For tables that are no longer where they were, or have other columns.
    pub(super) fn outdate(&self) {
        if let Some(statements) = &*self.written() {
            statements.outdate();
        }
    }

    fn written(&self) -> MutexGuard<'_, Option<Arc<Statements>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQL and the types of its parameters.
pub(super) struct Statement {
    pub(super) sql: String,
    types: Vec<Type>,
}

/// A parameter of a statement.
type Parameter<'p> = &'p (dyn ToSql + Sync);

/// One connection, and how statements are sent on it.
pub(super) struct DatabaseSession<'c> {
    pub(super) client: &'c ClientWrapper,
    /// Whether a statement is prepared once and named; else each goes with its query, in one round trip.
    pub(super) prepares: bool,
}

impl DatabaseSession<'_> {
    /// Passes each row to `read`. What it returns an error for, and a row after [`MAX_ROWS`], is a fault: the rest is
    /// not read. Returns how many rows the statement returned or changed.
    async fn for_each_row(
        &self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
        mut read: impl FnMut(&Row) -> Result<(), Fault> + Send,
    ) -> Result<u64, Fault> {
        let Statement { sql, types } = statement;
        let parameters = parameters.iter().copied();
        let rows = if self.prepares {
            let prepared = bounded(self.client, self.client.prepare_typed_cached(sql, types)).await?;
            self.client.query_raw(&prepared, parameters).await?
        } else {
            bounded(self.client, self.client.query_typed_raw(sql, parameters.zip(types.iter().cloned()))).await?
        };
        let mut rows = pin!(rows);
        for _ in 0..MAX_ROWS {
            match rows.try_next().await? {
                Some(row) => read(&row)?,
                None => return Ok(rows.rows_affected().unwrap_or(0)),
            }
        }
        Err(Fault::TooManyRows)
    }

    /// Runs a statement that returns no rows: how many it changed.
    async fn execute(&self, statement: &Statement, parameters: &[Parameter<'_>]) -> Result<u64, Fault> {
        self.for_each_row(statement, parameters, |_| Err(Fault::UnexpectedRow)).await
    }
}

/// Bounds how deep a server can make the stack grow. tokio-postgres asks the server about a type that it doesn't
/// know, then about the type that this one is based on, and so on, each from within the last. Each level takes a
/// poll; an honest server takes about ten, or a hundred where as many queries run together. The type cache is
/// cleared each time, or the next type could be based on a cached one.
pub(super) async fn bounded<T, E: Into<Fault>>(
    client: &Client,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    const MAX_POLLS: usize = 500;
    let mut work = pin!(work);
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        if polls > MAX_POLLS {
            return Poll::Ready(Err(Fault::TypeTooDeep));
        }
        client.clear_type_cache();
        work.as_mut().poll(context).map_err(Into::into)
    })
    .await
}

/// Reads a column of a row. `name` is for the message.
fn column<'r, T: FromSql<'r>>(row: &'r Row, index: usize, name: &str) -> Result<T, Error> {
    row.try_get(index).map_err(|_| {
        let actual = row.columns().get(index).map_or("unknown", |column| column.type_().name());
        let actual = on_one_line(actual);
        Error::Query(format!("{name} is not of the type that schema.sql gives it, but {actual}, or can't be read"))
    })
}

#[cfg(test)]
mod tests {
    use super::locate::ColumnType;
    use super::*;
    use crate::schema::IdType;

    #[tokio::test(start_paused = true)]
    async fn tables_and_columns_are_looked_at_again_after_a_minute() {
        let schema = Schema::new(None);
        let writer = StatementWriter::new(schema.clone(), Form::default());
        assert_eq!(writer.id_types(), IdTypes::unknown(true));
        let located = Located::of_types(&schema, |_| Some(ColumnType::built_in("int8")));
        let written = Statements::new(located, Form::default()).expect("suitable columns");
        *writer.written() = Some(Arc::new(written));
        assert_eq!(writer.id_types().session_id, IdType::Integer);
        tokio::time::advance(MAX_AGE - Duration::from_millis(1)).await;
        assert_eq!(writer.id_types().session_id, IdType::Integer);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(writer.current().is_none());
        assert_eq!(writer.id_types(), IdTypes::unknown(true));
    }
}
