//! The query of how a session ended, for `explainSession`.
#![forbid(unsafe_code)]

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{DatabaseSession, Parameter, Query, Statement, column};
use crate::error::Error;
use crate::postgres::fault::Fault;
use crate::schema::Schema;
use crate::store::{SessionEnd, SessionKey};

/// Queries how one session ended.
pub(in crate::postgres) struct FindEnd<'s> {
    pub(in crate::postgres) statement: &'s Statement,
    pub(in crate::postgres) key: SessionKey,
}

pub(super) fn statement(schema: &Schema) -> Statement {
    let sql = format!(
        "SELECT extract(epoch FROM expires_at)::float8, extract(epoch FROM revoked_at)::float8, revoked_reason::text\n\
         FROM {}\nWHERE tenant = $1 AND session_id = $2",
        schema.sessions
    );
    Statement { sql, types: vec![Type::UUID, Type::UUID] }
}

impl Query for FindEnd<'_> {
    type Answer = Result<Option<SessionEnd>, Error>;

    const IS_REPEATABLE: bool = true;

    async fn run(&self, session: &DatabaseSession<'_>) -> Result<Self::Answer, Fault> {
        let mut found = Ok(None);
        let parameters: [Parameter; 2] = [&self.key.tenant, &self.key.session_id];
        let read = |row: &Row| {
            found = session_end(row).map(Some);
            Ok(())
        };
        session.for_each_row(self.statement, &parameters, read).await?;
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
