//! The query of how a session ended, for `explainSession`.
#![forbid(unsafe_code)]

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{DatabaseSession, EQUALS, Parameter, Query, Statement, Statements, column};
use crate::error::Error;
use crate::postgres::fault::Fault;
use crate::schema::Schema;
use crate::store::{SessionEnd, SessionKey};

/// Queries how one session ended.
pub(in crate::postgres) struct FindEnd {
    pub(in crate::postgres) key: SessionKey,
}

pub(super) fn statement(schema: &Schema) -> Statement {
    let sql = format!(
        "SELECT extract(epoch FROM expires_at)::pg_catalog.float8,\n       \
         extract(epoch FROM revoked_at)::pg_catalog.float8,\n       revoked_reason::pg_catalog.text\n\
         FROM {}\nWHERE tenant {EQUALS} $1 AND session_id {EQUALS} $2",
        schema.sessions
    );
    Statement { sql, types: vec![Type::UUID, Type::UUID] }
}

impl Query for FindEnd {
    type Answer = Result<Option<SessionEnd>, Error>;

    const IS_REPEATABLE: bool = true;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &Statements) -> Result<Self::Answer, Fault> {
        let mut found = Ok(None);
        let parameters: [Parameter; 2] = [&self.key.tenant, &self.key.session_id];
        let read = |row: &Row| {
            found = session_end(row).map(Some);
            Ok(())
        };
        session.for_each_row(&statements.end, &parameters, read).await?;
        Ok(found)
    }
}

fn session_end(row: &Row) -> Result<SessionEnd, Error> {
    Ok(SessionEnd {
        expires_at: column(row, 0, "sessions.expires_at")?,
        revoked_at: column(row, 1, "sessions.revoked_at")?,
        revoked_reason: column(row, 2, "sessions.revoked_reason")?,
    })
}
