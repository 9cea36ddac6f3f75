//! The query of how a session ended, and whose it is, for `explainSession`.
#![forbid(unsafe_code)]

use tokio_postgres::Row;

use super::columns::KeyColumns;
use super::locate::Located;
use super::{DatabaseSession, Parameter, Query, Statement, Statements, column};
use crate::error::Error;
use crate::postgres::fault::Fault;
use crate::store::{SessionEnd, SessionKey};

/// Queries how one session ended.
pub(in crate::postgres) struct FindEnd<'k> {
    pub(in crate::postgres) key: &'k SessionKey,
}

pub(super) fn statement(located: &Located, keys: &KeyColumns) -> Statement {
    // The column is optional.
    let reason = match located.column_type(false, "revoked_reason") {
        Some(_) => "s.revoked_reason::pg_catalog.text",
        None => "NULL::pg_catalog.text",
    };
    let expires_at = if located.schema.has_row_expiry { "extract(epoch FROM s.expires_at)" } else { "NULL" };
    let sql = format!(
        "SELECT s.user_id::pg_catalog.text,\n       \
         {expires_at}::pg_catalog.float8,\n       \
         extract(epoch FROM s.revoked_at)::pg_catalog.float8,\n       {reason}\n\
         FROM {} s\nWHERE {}",
        located.schema.sessions,
        keys.equal_parameters(),
    );
    Statement { sql, types: keys.key_types() }
}

impl Query for FindEnd<'_> {
    type Answer = Result<Option<SessionEnd>, Error>;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &Statements) -> Result<Self::Answer, Fault> {
        let mut found = Ok(None);
        let Some(SessionKey { tenant, session_id }) = self.key.fit(&statements.id_types) else {
            return Ok(found);
        };
        let parameters: Vec<_> = tenant.iter().chain([&session_id]).map(|id| id as Parameter).collect();
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
        user_id: column(row, 0, "sessions.user_id")?,
        expires_at: column(row, 1, "sessions.expires_at")?,
        revoked_at: column(row, 2, "sessions.revoked_at")?,
        revoked_reason: column(row, 3, "sessions.revoked_reason")?,
    })
}
