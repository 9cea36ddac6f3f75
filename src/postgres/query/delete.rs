//! The statements that delete sessions which ended long ago: by parts of the table, in the order of its primary key.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use futures_util::future::join_all;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::times::NOW;
use super::{DatabaseSession, Parameter, Query, Statement, Statements, column};
use crate::postgres::fault::Fault;
use crate::schema::{CREATED_AT, EXPIRES_AT, Id, IdType, IdTypes, REVOKED_AT};
use crate::store::{Deleted, Deletion, SessionKey};

/// How many rows are looked at in one part.
const PART: usize = 1000;

/// Deletes the ended sessions of one part.
pub(in crate::postgres) struct DeleteEnded<'d> {
    pub(in crate::postgres) deletion: &'d Deletion,
}

impl Query for DeleteEnded<'_> {
    type Answer = Deleted;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &Statements) -> Result<Deleted, Fault> {
        let (next, ended) = self.part(session, statements).await?;
        let mut by_tenant: HashMap<Option<Id>, Vec<Id>> = HashMap::new();
        let limit = usize::try_from(self.deletion.limit).unwrap_or(usize::MAX);
        let is_whole = ended.len() <= limit;
        for SessionKey { tenant, session_id } in ended.into_iter().take(limit) {
            by_tenant.entry(tenant).or_default().push(session_id);
        }
        let deletions = by_tenant.iter().map(|(tenant, ids)| self.delete(session, statements, tenant.as_ref(), ids));
        // Each is waited for, also if one fails: the next query on this connection must not wait for those that are left.
        let rows = join_all(deletions).await.into_iter().sum::<Result<u64, Fault>>()?;
        Ok(Deleted { rows, next: next.filter(|_| is_whole) })
    }
}

impl DeleteEnded<'_> {
    /// Where the next part begins, and the keys of those sessions of this one that have ended.
    async fn part(
        &self,
        session: &DatabaseSession<'_>,
        statements: &Statements,
    ) -> Result<(Option<SessionKey>, Vec<SessionKey>), Fault> {
        let Statements { located, keys, id_types, .. } = statements;
        let key: Vec<_> = keys.key_columns().map(|(name, column)| column.ordered(&format!("s.{name}"))).collect();
        let key = key.join(", ");
        let texts: Vec<_> = keys.key_columns().map(|(name, _)| format!("s.{name}::pg_catalog.text")).collect();
        let (mut types, mut parameters) = (vec![Type::FLOAT8], vec![&self.deletion.before as Parameter]);
        let mut after = String::new();
        if let Some(SessionKey { tenant, session_id }) = &self.deletion.after {
            parameters.extend(tenant.iter().chain([session_id]).map(|id| id as Parameter));
            types.extend(keys.key_columns().map(|(_, column)| column.parameter()));
            let last: Vec<_> = (2..=parameters.len()).map(|number| format!("${number}")).collect();
            after = format!("\nWHERE ROW({key}) OPERATOR(pg_catalog.>) ROW({})", last.join(", "));
        }
        let sql = format!(
            "SELECT {}, {}\nFROM {} s{after}\nORDER BY {key}\nLIMIT {PART}",
            ended(statements, "$1"),
            texts.join(", "),
            located.schema.sessions,
        );
        let (mut rows, mut last, mut ended) = (0, None, Vec::new());
        let read = |row: &Row| {
            rows += 1;
            let has_ended = column(row, 0, "its end").map_err(|_| Fault::UnexpectedRow)?;
            // A row without a key, in a table without a primary key, can't be named.
            let Some(key) = key_of(row, id_types) else { return Ok(()) };
            if has_ended {
                ended.push(key.clone());
            }
            last = Some(key);
            Ok(())
        };
        session.for_each_row(&Statement { sql, types }, &parameters, read).await?;
        Ok((last.filter(|_| rows == PART), ended))
    }

    async fn delete(
        &self,
        session: &DatabaseSession<'_>,
        statements: &Statements,
        tenant: Option<&Id>,
        session_ids: &Vec<Id>,
    ) -> Result<u64, Fault> {
        let Statements { located, keys, .. } = statements;
        let (mut types, mut parameters) = (vec![Type::FLOAT8], vec![&self.deletion.before as Parameter]);
        let mut of_tenant = String::new();
        if let Some((column, tenant)) = keys.tenant.as_ref().zip(tenant.as_ref()) {
            types.push(column.parameter());
            parameters.push(tenant);
            of_tenant = column.equals("s.tenant", "$2") + " AND ";
        }
        types.push(keys.session_id.list_parameter());
        parameters.push(session_ids);
        let sql = format!(
            "DELETE FROM {} s\nUSING pg_catalog.unnest(${}) AS k (session_id)\nWHERE {of_tenant}{} AND {}",
            located.schema.sessions,
            parameters.len(),
            keys.session_id.equals("s.session_id", "k.session_id"),
            ended(statements, "$1"),
        );
        // All are sent at once, so each would prepare it.
        let session = DatabaseSession { prepares: false, ..*session };
        session.execute(&Statement { sql, types }, &parameters).await
    }
}

/// Whether a session `s` ended before a time, in seconds since 1970: one in the future is now, or what still lives would be meant.
fn ended(Statements { located, .. }: &Statements, before: &str) -> String {
    let before = format!("least({before}, extract(epoch FROM {NOW})::pg_catalog.float8)");
    let is_before = |end: &str| format!("coalesce({end}::pg_catalog.float8 OPERATOR(pg_catalog.<) {before}, false)");
    let epoch = |column: &str| format!("extract(epoch FROM s.{column})");
    let ends = [Some(epoch(REVOKED_AT)), located.schema.has_row_expiry.then(|| epoch(EXPIRES_AT))];
    let oldest = located.schema.absolute_max_age;
    let oldest = oldest.map(|seconds| format!("({} OPERATOR(pg_catalog.+) {seconds})", epoch(CREATED_AT)));
    let ends: Vec<_> = ends.into_iter().flatten().chain(oldest).map(|end| is_before(&end)).collect();
    format!("({})", ends.join(" OR "))
}

fn key_of(row: &Row, types: &IdTypes) -> Option<SessionKey> {
    // Of texts it has also those that no token may have.
    let id = |at: usize, id_type: IdType| {
        let text: String = row.try_get(at).ok()?;
        if matches!(id_type, IdType::Uuid | IdType::Integer) {
            id_type.parse(&text)
        } else {
            Some(Id::Text(text.into()))
        }
    };
    Some(match types.tenant {
        Some(tenant) => SessionKey { tenant: Some(id(1, tenant)?), session_id: id(2, types.session_id)? },
        None => SessionKey { tenant: None, session_id: id(1, types.session_id)? },
    })
}
