//! The session query: the record under each key.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{DatabaseSession, EQUALS, Parameter, Query, Statement, column};
use crate::error::Error;
use crate::postgres::fault::{DUPLICATE_ROW, Fault};
use crate::schema::Schema;
use crate::store::{SessionKey, SessionRecord};

/// The record under one key; an error if the row can't be read.
pub(in crate::postgres) type Found = Result<Option<SessionRecord>, Error>;

/// Queries the sessions under `keys`, and answers in their order.
pub(in crate::postgres) struct FindSessions<'a> {
    pub(in crate::postgres) keys: &'a [SessionKey],
}

pub(in crate::postgres) struct Statements {
    pub(in crate::postgres) one: Statement,
    many: Statement,
    of_tenant: Statement,
    /// A query for each tenant, instead of one for all.
    by_tenant: bool,
}

/// Facts only: [`crate::store::Liveness`] judges them. `now()` is the database's own clock. `extract` reads a time without
/// a zone as UTC, which is what Prisma and Drizzle write; a plain comparison would read it in the time zone of the connection.
const COLUMNS: &str = "\
SELECT s.user_id,
       s.revoked_at IS NOT NULL,
       coalesce(extract(epoch FROM s.expires_at) OPERATOR(pg_catalog.<=) extract(epoch FROM pg_catalog.now()), false),
       u.user_type::pg_catalog.text";

impl Statements {
    /// The tenant leads each key and each join, so that a distributed database queries one shard.
    pub(super) fn new(schema: &Schema, by_tenant: bool) -> Self {
        let Schema { sessions, users, .. } = schema;
        let join_users = format!("LEFT JOIN {users} u ON u.tenant {EQUALS} s.tenant AND u.user_id {EQUALS} s.user_id");
        Self {
            one: Statement {
                sql: format!(
                    "{COLUMNS}\nFROM {sessions} s\n{join_users}\nWHERE s.tenant {EQUALS} $1 AND s.session_id {EQUALS} $2"
                ),
                types: vec![Type::UUID, Type::UUID],
            },
            // `unnest` pairs the two lists and numbers the pairs; with two lists it is always PostgreSQL's own. The subselects hide their length from the
            // planner: it would plan anew for each short list, which takes longer than the query.
            many: Statement {
                sql: format!(
                    "{COLUMNS},\n       (k.place OPERATOR(pg_catalog.-) 1)::pg_catalog.int4\n\
                     FROM unnest((SELECT $1), (SELECT $2)) WITH ORDINALITY AS k (tenant, session_id, place)\n\
                     JOIN {sessions} s ON s.tenant {EQUALS} k.tenant AND s.session_id {EQUALS} k.session_id\n{join_users}"
                ),
                types: vec![Type::UUID_ARRAY, Type::UUID_ARRAY],
            },
            of_tenant: Statement {
                sql: format!(
                    "{COLUMNS},\n       s.session_id\nFROM {sessions} s\n{join_users}\n\
                     WHERE s.tenant {EQUALS} $1 AND s.session_id {EQUALS} ANY ($2)"
                ),
                types: vec![Type::UUID, Type::UUID_ARRAY],
            },
            by_tenant,
        }
    }
}

impl Query for FindSessions<'_> {
    type Answer = Vec<Found>;

    const IS_REPEATABLE: bool = true;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &super::Statements) -> Result<Vec<Found>, Fault> {
        let statements = &statements.find;
        match self.keys {
            [key] => Ok(vec![statements.find_one(session, key).await?]),
            _ if statements.by_tenant => statements.find_by_tenant(session, self.keys).await,
            _ => statements.find_many(session, self.keys).await,
        }
    }
}

impl Statements {
    async fn find_one(&self, session: &DatabaseSession<'_>, key: &SessionKey) -> Result<Found, Fault> {
        let mut found = Ok(None);
        let parameters: [Parameter; 2] = [&key.tenant, &key.session_id];
        let read = |row: &Row| {
            add(&mut found, row);
            Ok(())
        };
        session.for_each_row(&self.one, &parameters, read).await?;
        Ok(found)
    }

    async fn find_many(&self, session: &DatabaseSession<'_>, keys: &[SessionKey]) -> Result<Vec<Found>, Fault> {
        let tenants: Vec<_> = keys.iter().map(|key| key.tenant).collect();
        let session_ids: Vec<_> = keys.iter().map(|key| key.session_id).collect();
        let mut found = vec![Ok(None); keys.len()];
        let parameters: [Parameter; 2] = [&tenants, &session_ids];
        let read = |row: &Row| {
            let place = column::<i32>(row, 4, "its place").ok().and_then(|place| usize::try_from(place).ok());
            let place = place.and_then(|place| found.get_mut(place)).ok_or(Fault::UnexpectedRow)?;
            add(place, row);
            Ok(())
        };
        session.for_each_row(&self.many, &parameters, read).await?;
        Ok(found)
    }

    /// All queries are sent before the first is answered.
    async fn find_by_tenant(&self, session: &DatabaseSession<'_>, keys: &[SessionKey]) -> Result<Vec<Found>, Fault> {
        let mut tenants: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for key in keys {
            tenants.entry(key.tenant).or_default().push(key.session_id);
        }
        let queries = tenants.iter().map(|(tenant, session_ids)| self.find_of_tenant(session, tenant, session_ids));
        let mut found: HashMap<_, _> = try_join_all(queries).await?.into_iter().flatten().collect();
        Ok(keys.iter().map(|key| found.remove(key).unwrap_or(Ok(None))).collect())
    }

    async fn find_of_tenant(
        &self,
        session: &DatabaseSession<'_>,
        tenant: &Uuid,
        session_ids: &Vec<Uuid>,
    ) -> Result<HashMap<SessionKey, Found>, Fault> {
        let key = |session_id| SessionKey { tenant: *tenant, session_id };
        if let [session_id] = session_ids[..] {
            let key = key(session_id);
            return Ok(HashMap::from([(key, self.find_one(session, &key).await?)]));
        }
        let mut found: HashMap<_, _> = session_ids.iter().map(|id| (key(*id), Ok(None))).collect();
        let parameters: [Parameter; 2] = [tenant, session_ids];
        let read = |row: &Row| {
            let session_id = column::<Uuid>(row, 4, "sessions.session_id").ok();
            let place = session_id.and_then(|id| found.get_mut(&key(id))).ok_or(Fault::UnexpectedRow)?;
            add(place, row);
            Ok(())
        };
        session.for_each_row(&self.of_tenant, &parameters, read).await?;
        Ok(found)
    }
}

/// A second row for one session means that `sessions` or `users` has no primary key. Neither row can be trusted then.
fn add(found: &mut Found, row: &Row) {
    *found = match found {
        Ok(None) => session_record(row).map(Some),
        _ => Err(Error::Query(DUPLICATE_ROW.to_owned())),
    };
}

fn session_record(row: &Row) -> Result<SessionRecord, Error> {
    Ok(SessionRecord {
        user_id: column(row, 0, "sessions.user_id")?,
        revoked: column(row, 1, "sessions.revoked_at")?,
        expired: column(row, 2, "sessions.expires_at")?,
        user_type: column(row, 3, "users.user_type")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(namespace: Option<&str>) -> [String; 3] {
        let Statements { one, many, of_tenant, .. } = Statements::new(&Schema::new(namespace.map(str::to_owned)), true);
        [one.sql, many.sql, of_tenant.sql]
    }

    #[test]
    fn each_statement_filters_and_joins_by_the_tenant_first() {
        let [one, many, of_tenant] = statements(None);
        for sql in [&one, &of_tenant] {
            let (_, filter) = sql.split_once("WHERE ").expect("a filter");
            assert!(filter.starts_with("s.tenant OPERATOR(pg_catalog.=) $1 AND "), "{sql}");
        }
        for sql in [one, many, of_tenant] {
            assert!(sql.contains(r#"LEFT JOIN "users" u ON u.tenant OPERATOR(pg_catalog.=) s.tenant AND "#), "{sql}");
        }
    }

    #[test]
    fn a_schema_stands_before_each_table() {
        for sql in statements(Some("My app")) {
            assert!(sql.contains(r#" "My app"."sessions" s"#), "{sql}");
            assert!(sql.contains(r#" "My app"."users" u"#), "{sql}");
        }
    }
}
