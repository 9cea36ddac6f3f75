//! The SQL, and rows -> what is found under each key.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::fault::{Fault, NO_KEY, on_one_line};
use crate::error::Error;
use crate::store::{SessionEnd, SessionKey, SessionRecord};

/// What is there under one key; an error if that can't be read.
pub(super) type Found = Result<Option<SessionRecord>, Error>;

/// The statements of one source.
pub(super) struct Queries {
    pub(super) find_session: String,
    find_sessions: String,
    find_sessions_of_tenant: String,
    find_end: String,
    /// Prepared once on each connection; else each goes with its query, in one round trip.
    prepared: bool,
    /// A query for each tenant.
    by_tenant: bool,
}

/// Facts only; [`crate::store::Liveness`] judges them. `now()` is the database's own clock.
const COLUMNS: &str = "\
SELECT s.user_id,
       s.revoked_at IS NOT NULL,
       coalesce(s.expires_at <= now(), false),
       u.user_type::text";

impl Queries {
    /// The tables are in `schema`, or where the search path finds them. The tenant leads each key and
    /// each join, so that a distributed database asks one shard.
    pub(super) fn new(schema: Option<&str>, prepared: bool, by_tenant: bool) -> Self {
        let prefix = schema.map(|name| format!("\"{name}\".")).unwrap_or_default();
        let tables = format!(
            "{prefix}sessions s\n\
             LEFT JOIN {prefix}users u ON u.tenant = s.tenant AND u.user_id = s.user_id"
        );
        Self {
            find_session: format!("{COLUMNS}\nFROM {tables}\nWHERE s.tenant = $1 AND s.session_id = $2"),
            // `unnest` pairs the two lists and counts the pairs. The subselects hide from the planner how
            // long they are: else it would plan anew for each short list, which takes longer than the query.
            find_sessions: format!(
                "{COLUMNS},\n       (k.place - 1)::int4\n\
                 FROM unnest((SELECT $1), (SELECT $2)) WITH ORDINALITY AS k (tenant, session_id, place)\n\
                 JOIN {prefix}sessions s ON s.tenant = k.tenant AND s.session_id = k.session_id\n\
                 LEFT JOIN {prefix}users u ON u.tenant = s.tenant AND u.user_id = s.user_id"
            ),
            find_sessions_of_tenant: format!(
                "{COLUMNS},\n       s.session_id\nFROM {tables}\nWHERE s.tenant = $1 AND s.session_id = ANY ($2)"
            ),
            find_end: format!(
                "SELECT extract(epoch FROM expires_at)::float8, extract(epoch FROM revoked_at)::float8, \
                 revoked_reason::text\n\
                 FROM {prefix}sessions\nWHERE tenant = $1 AND session_id = $2"
            ),
            prepared,
            by_tenant,
        }
    }

    async fn find_one(&self, client: &ClientWrapper, key: &SessionKey) -> Result<Found, Fault> {
        let parameters = [(&key.tenant as _, Type::UUID), (&key.session_id as _, Type::UUID)];
        let rows = self.run(client, &self.find_session, &parameters, 1).await?;
        Ok(rows.first().map(session_record).transpose())
    }

    async fn find_many(&self, client: &ClientWrapper, keys: &[SessionKey]) -> Result<Vec<Found>, Fault> {
        let tenants: Vec<_> = keys.iter().map(|key| key.tenant).collect();
        let session_ids: Vec<_> = keys.iter().map(|key| key.session_id).collect();
        let parameters = [(&tenants as _, Type::UUID_ARRAY), (&session_ids as _, Type::UUID_ARRAY)];
        let rows = self.run(client, &self.find_sessions, &parameters, keys.len()).await?;
        let mut found = vec![Ok(None); keys.len()];
        for row in &rows {
            let place = match column::<i32>(row, 4, "its place") {
                Ok(place) => usize::try_from(place).ok().and_then(|place| found.get_mut(place)),
                Err(error) => return Ok(vec![Err(error); keys.len()]),
            };
            add(place.ok_or(Fault::UnaskedRow)?, row);
        }
        Ok(found)
    }

    /// All queries are sent before the first is answered.
    async fn find_by_tenant(&self, client: &ClientWrapper, keys: &[SessionKey]) -> Result<Vec<Found>, Fault> {
        let mut tenants: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for key in keys {
            tenants.entry(key.tenant).or_default().push(key.session_id);
        }
        let queries = tenants.iter().map(|(tenant, session_ids)| self.find_of_tenant(client, tenant, session_ids));
        let mut found: HashMap<_, _> = try_join_all(queries).await?.into_iter().flatten().collect();
        Ok(keys.iter().map(|key| found.remove(key).unwrap_or(Ok(None))).collect())
    }

    async fn find_of_tenant(
        &self,
        client: &ClientWrapper,
        tenant: &Uuid,
        session_ids: &Vec<Uuid>,
    ) -> Result<HashMap<SessionKey, Found>, Fault> {
        let key = |session_id| SessionKey { tenant: *tenant, session_id };
        if let [session_id] = session_ids[..] {
            let key = key(session_id);
            return Ok(HashMap::from([(key, self.find_one(client, &key).await?)]));
        }
        let parameters = [(tenant as _, Type::UUID), (session_ids as _, Type::UUID_ARRAY)];
        let rows = self.run(client, &self.find_sessions_of_tenant, &parameters, session_ids.len()).await?;
        let mut found: HashMap<_, _> = session_ids.iter().map(|id| (key(*id), Ok(None))).collect();
        for row in &rows {
            let place = match column::<Uuid>(row, 4, "sessions.session_id") {
                Ok(session_id) => found.get_mut(&key(session_id)),
                Err(error) => return Ok(session_ids.iter().map(|id| (key(*id), Err(error.clone()))).collect()),
            };
            add(place.ok_or(Fault::UnaskedRow)?, row);
        }
        Ok(found)
    }

    /// One row more than `most` is a fault: what comes after it is not waited for.
    async fn run(
        &self,
        client: &ClientWrapper,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type); 2],
        most: usize,
    ) -> Result<Vec<Row>, Fault> {
        let [(first, first_type), (second, second_type)] = parameters;
        let types = [first_type.clone(), second_type.clone()];
        let rows = if self.prepared {
            let statement = bounded(client, client.prepare_typed_cached(sql, &types)).await?;
            client.query_raw(&statement, [*first, *second]).await?
        } else {
            let [first_type, second_type] = types;
            bounded(client, client.query_typed_raw(sql, [(*first, first_type), (*second, second_type)])).await?
        };
        let mut rows = pin!(rows);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await? {
            if found.len() == most {
                return Err(Fault::UnaskedRow);
            }
            found.push(row);
        }
        Ok(found)
    }
}

/// Of a column's type that it doesn't know tokio-postgres asks the server, and of the type that this one stands on, each from
/// within the last: so the server says how deep the stack grows. Each level takes a poll, and an honest server some ten in all,
/// or a hundred where as many queries are asked together. What it has found out is forgotten each time, or the next type could
/// stand on that.
pub(super) async fn bounded<T, E: Into<Fault>>(
    client: &Client,
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    const MOST_POLLS: usize = 500;
    let mut asking = pin!(asking);
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        if polls > MOST_POLLS {
            return Poll::Ready(Err(Fault::EndlessType));
        }
        client.clear_type_cache();
        asking.as_mut().poll(context).map_err(Into::into)
    })
    .await
}

/// A second row for the same session says that `sessions` or `users` has no key: which of them counts can't be told.
fn add(found: &mut Found, row: &Row) {
    *found = match found {
        Ok(None) => session_record(row).map(Some),
        _ => Err(Error::Query(NO_KEY.to_owned())),
    };
}

/// What can be asked of a connection, again if need be.
pub(super) trait Question: Sync {
    type Answer;

    fn ask(
        &self,
        queries: &Queries,
        client: &ClientWrapper,
    ) -> impl Future<Output = Result<Self::Answer, Fault>> + Send;
}

/// What is there under each key, in their order?
pub(super) struct Sessions<'k>(pub(super) &'k [SessionKey]);

impl Question for Sessions<'_> {
    type Answer = Vec<Found>;

    async fn ask(&self, queries: &Queries, client: &ClientWrapper) -> Result<Vec<Found>, Fault> {
        match self.0 {
            [key] => Ok(vec![queries.find_one(client, key).await?]),
            keys if queries.by_tenant => queries.find_by_tenant(client, keys).await,
            keys => queries.find_many(client, keys).await,
        }
    }
}

/// How did this session end?
pub(super) struct End(pub(super) SessionKey);

impl Question for End {
    type Answer = Result<Option<SessionEnd>, Error>;

    async fn ask(&self, queries: &Queries, client: &ClientWrapper) -> Result<Self::Answer, Fault> {
        let Self(key) = self;
        let parameters = [(&key.tenant as _, Type::UUID), (&key.session_id as _, Type::UUID)];
        let rows = queries.run(client, &queries.find_end, &parameters, 1).await?;
        Ok(rows.first().map(session_end).transpose())
    }
}

fn session_record(row: &Row) -> Result<SessionRecord, Error> {
    Ok(SessionRecord {
        user_id: column(row, 0, "sessions.user_id")?,
        revoked: column(row, 1, "sessions.revoked_at")?,
        expired: column(row, 2, "sessions.expires_at")?,
        user_type: column(row, 3, "users.user_type")?,
    })
}

fn session_end(row: &Row) -> Result<SessionEnd, Error> {
    Ok(SessionEnd {
        expires_at: column(row, 0, "sessions.expires_at")?,
        revoked_at: column(row, 1, "sessions.revoked_at")?,
        revoked_reason: column(row, 2, "sessions.revoked_reason")?,
    })
}

fn column<'r, T: FromSql<'r>>(row: &'r Row, index: usize, name: &str) -> Result<T, Error> {
    row.try_get(index).map_err(|_| {
        let actual = row.columns().get(index).map_or("unknown", |column| column.type_().name());
        let actual = on_one_line(actual);
        Error::Query(format!("{name} is not of the type that schema.sql gives it, but {actual}, or can't be read"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_filters_and_joins_by_the_tenant_first() {
        let queries = Queries::new(None, true, true);
        for sql in [&queries.find_session, &queries.find_sessions_of_tenant, &queries.find_end] {
            let (_, filter) = sql.split_once("WHERE ").expect("a filter");
            assert!(filter.starts_with("s.tenant = $1 AND ") || filter.starts_with("tenant = $1 AND "), "{sql}");
        }
        for sql in [&queries.find_session, &queries.find_sessions, &queries.find_sessions_of_tenant] {
            assert!(sql.contains("LEFT JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id"), "{sql}");
        }
    }

    #[test]
    fn a_schema_stands_before_each_table() {
        let queries = Queries::new(Some("My app"), true, false);
        for sql in [&queries.find_session, &queries.find_sessions, &queries.find_sessions_of_tenant, &queries.find_end]
        {
            assert!(sql.contains(r#" "My app".sessions"#), "{sql}");
            assert!(!sql.contains(" sessions") && !sql.contains(" users"), "{sql}");
        }
    }
}
