//! The session query: the record of each session that is looked up.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::KeyColumns;
use super::fresh::FreshColumn;
use super::ids::IdColumn;
use super::locate::Located;
use super::{DatabaseSession, Parameter, Query, Statement, column};
use crate::error::Error;
use crate::postgres::fault::{DUPLICATE_ROW, Fault};
use crate::schema::{Id, Schema, UserCheck};
use crate::store::{Lookup, SessionRecord, UserRow};

/// The record of one session; an error if the row can't be read.
pub(in crate::postgres) type Found = Result<Option<SessionRecord>, Error>;

/// Queries the sessions, and answers in their order.
pub(in crate::postgres) struct FindSessions<'a> {
    pub(in crate::postgres) lookups: &'a [Lookup],
}

pub(in crate::postgres) struct Statements {
    one: Statement,
    many: Statement,
    of_tenant: Statement,
    /// A query for each tenant, instead of one for all.
    by_tenant: bool,
    /// The join of the user `u` of a session `s`; empty if it is not read.
    pub(in crate::postgres) users: String,
    user_check: UserCheck,
    fresh: Vec<FreshColumn>,
}

/// The columns before the fresh claims.
const FIXED_COLUMNS: usize = 4;

impl Statements {
    /// The tenant leads each key and each join, so that a distributed database queries one shard.
    pub(super) fn new(located: &Located, keys: &KeyColumns, by_tenant: bool) -> Result<Self, Fault> {
        let Schema { sessions, user_check, .. } = &located.schema;
        let fresh = FreshColumn::all(located)?;
        let of_user = match user_check {
            UserCheck::Type => "u.user_type::pg_catalog.text",
            UserCheck::Exists => "u.user_id IS NOT NULL",
            UserCheck::None => "true",
        };
        // Facts only: `crate::store::Liveness` judges them. `now()` is the database's own clock. `extract` reads a time without a
        // zone as UTC, which is what Prisma and Drizzle write; a plain comparison would read it in the time zone of the connection.
        let select = |user_id: &str| {
            format!(
                "SELECT coalesce({}, false),\n       \
                        s.revoked_at IS NOT NULL,\n       \
                        coalesce(extract(epoch FROM s.expires_at) OPERATOR(pg_catalog.<=) \
                        extract(epoch FROM pg_catalog.now()), false),\n       \
                        {of_user}{}",
                keys.user_id.equals("s.user_id", user_id),
                FreshColumn::select_list(&fresh),
            )
        };
        let users = keys.join_users(&located.schema);
        let place = "(k.place OPERATOR(pg_catalog.-) 1)::pg_catalog.int4";
        let names = keys.names().join(", ");
        let lists: Vec<_> = (1..=keys.names().len()).map(|number| format!("(SELECT ${number})")).collect();
        let lists = lists.join(", ");
        let session_id = |value: &str| keys.session_id.equals("s.session_id", value);
        Ok(Self {
            one: Statement {
                sql: format!(
                    "{}\nFROM {sessions} s{users}\nWHERE {}",
                    select(&format!("${}", keys.names().len())),
                    keys.equal_parameters(),
                ),
                types: keys.types().map(IdColumn::parameter).collect(),
            },
            // `unnest` pairs the lists and numbers the rows; with several lists it is always PostgreSQL's own. The subselects hide
            // their length from the planner: it would plan anew for each short list, which takes longer than the query.
            many: Statement {
                sql: format!(
                    "{},\n       {place}\nFROM unnest({lists}) WITH ORDINALITY AS k ({names}, place)\n\
                     JOIN {sessions} s ON {}{users}",
                    select("k.user_id"),
                    keys.equal_columns_of("k"),
                ),
                types: keys.types().map(IdColumn::list_parameter).collect(),
            },
            of_tenant: Statement {
                sql: match &keys.tenant {
                    None => String::new(),
                    Some(tenant) => format!(
                        "{},\n       {place}\nFROM unnest($2, $3) WITH ORDINALITY AS k (session_id, user_id, place)\n\
                         JOIN {sessions} s ON {}{users}\nWHERE {}",
                        select("k.user_id"),
                        session_id("k.session_id"),
                        tenant.equals("s.tenant", "$1"),
                    ),
                },
                types: keys.types_of_tenant(),
            },
            by_tenant,
            users,
            user_check: *user_check,
            fresh,
        })
    }
}

impl Statements {
    /// The statement for one session, with its ids in place of the parameters.
    pub(in crate::postgres) fn with_literals(&self, lookup: &Lookup) -> String {
        let Statement { sql, types } = &self.one;
        let literal = |(id, of_type): (&Id, &Type)| {
            let text = id.text().replace('\\', "\\\\").replace('\'', "''");
            format!("E'{text}'::pg_catalog.{}", of_type.name())
        };
        let literals: Vec<_> = ids(lookup).zip(types).map(literal).collect();
        // In one pass, since an id can look like a parameter itself.
        let replace = |part: &str| {
            let mut parts = part.split('$');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |sql, part| {
                let (number, rest) = part.split_at_checked(1).unwrap_or_default();
                let place = number.parse().ok().and_then(|number: usize| number.checked_sub(1));
                sql + place.and_then(|place| literals.get(place)).map_or("", String::as_str) + rest
            })
        };
        // Every other part is a quoted name, which can look like a parameter, too.
        let parts = sql.split('"').enumerate();
        let parts = parts.map(|(place, part)| if place % 2 == 0 { replace(part) } else { part.to_owned() });
        parts.collect::<Vec<_>>().join("\"")
    }
}

impl Query for FindSessions<'_> {
    type Answer = Vec<Found>;

    const IS_REPEATABLE: bool = true;

    /// What no column can hold is not in the tables, and is not asked for.
    async fn run(&self, session: &DatabaseSession<'_>, statements: &super::Statements) -> Result<Vec<Found>, Fault> {
        let types = &statements.id_types;
        if self.lookups.iter().all(|lookup| lookup.is_typed(types)) {
            return statements.find_sessions(session, self.lookups).await;
        }
        let fit = |(place, lookup): (usize, &Lookup)| Some((place, lookup.fit(types)?));
        let (places, lookups): (Vec<_>, Vec<_>) = self.lookups.iter().enumerate().filter_map(fit).unzip();
        let mut all = vec![Ok(None); self.lookups.len()];
        for (place, found) in places.into_iter().zip(statements.find_sessions(session, &lookups).await?) {
            all[place] = found;
        }
        Ok(all)
    }
}

impl super::Statements {
    /// The ids are those of the columns.
    async fn find_sessions(&self, session: &DatabaseSession<'_>, lookups: &[Lookup]) -> Result<Vec<Found>, Fault> {
        let found = match lookups {
            [] => Vec::new(),
            [lookup] => vec![self.find.find_one(session, lookup).await?],
            _ if self.find.by_tenant => self.find.find_by_tenant(session, lookups).await?,
            _ => self.find.find_many(session, lookups).await?,
        };
        if found.iter().any(Result::is_err) {
            // The types of the columns may have changed.
            self.outdate();
        }
        Ok(found)
    }
}

impl Statements {
    async fn find_one(&self, session: &DatabaseSession<'_>, lookup: &Lookup) -> Result<Found, Fault> {
        let mut found = Ok(None);
        let ids = ids(lookup).map(|id| id as Parameter);
        let read = |row: &Row| {
            self.add(&mut found, row);
            Ok(())
        };
        session.for_each_row(&self.one, &ids.collect::<Vec<_>>(), read).await?;
        Ok(found)
    }

    async fn find_many(&self, session: &DatabaseSession<'_>, lookups: &[Lookup]) -> Result<Vec<Found>, Fault> {
        let tenants: Vec<_> = lookups.iter().filter_map(|lookup| lookup.key.tenant.as_ref()).collect();
        let (session_ids, user_ids) = lists(lookups.iter());
        let lists: [Parameter; 3] = [&tenants, &session_ids, &user_ids];
        self.find_listed(session, &self.many, &lists[usize::from(tenants.is_empty())..], lookups.len()).await
    }

    /// All queries are sent before the first is answered.
    async fn find_by_tenant(&self, session: &DatabaseSession<'_>, lookups: &[Lookup]) -> Result<Vec<Found>, Fault> {
        let mut tenants: HashMap<&Option<Id>, Vec<usize>> = HashMap::new();
        for (place, lookup) in lookups.iter().enumerate() {
            tenants.entry(&lookup.key.tenant).or_default().push(place);
        }
        let queries = tenants.values().map(|places| self.find_of_tenant(session, lookups, places));
        let mut found = vec![Ok(None); lookups.len()];
        for (place, of_place) in try_join_all(queries).await?.into_iter().flatten() {
            found[place] = of_place;
        }
        Ok(found)
    }

    /// Those lookups at `places`, which are of one tenant.
    async fn find_of_tenant(
        &self,
        session: &DatabaseSession<'_>,
        lookups: &[Lookup],
        places: &[usize],
    ) -> Result<Vec<(usize, Found)>, Fault> {
        let found = match places {
            [place] => vec![self.find_one(session, &lookups[*place]).await?],
            _ => {
                let (session_ids, user_ids) = lists(places.iter().map(|place| &lookups[*place]));
                let tenant = &lookups[places[0]].key.tenant;
                let parameters: [Parameter; 3] = [tenant, &session_ids, &user_ids];
                self.find_listed(session, &self.of_tenant, &parameters, places.len()).await?
            }
        };
        Ok(places.iter().copied().zip(found).collect())
    }

    /// Runs a statement for `count` sessions whose last column is the place of the session.
    async fn find_listed(
        &self,
        session: &DatabaseSession<'_>,
        statement: &Statement,
        parameters: &[Parameter<'_>],
        count: usize,
    ) -> Result<Vec<Found>, Fault> {
        let mut found = vec![Ok(None); count];
        let at = FIXED_COLUMNS + self.fresh.len();
        let read = |row: &Row| {
            let place = column::<i32>(row, at, "its place").ok().and_then(|place| usize::try_from(place).ok());
            let place = place.and_then(|place| found.get_mut(place)).ok_or(Fault::UnexpectedRow)?;
            self.add(place, row);
            Ok(())
        };
        session.for_each_row(statement, parameters, read).await?;
        Ok(found)
    }

    /// A second row for one session means that `sessions` or `users` has no primary key. Neither row can be trusted then.
    fn add(&self, found: &mut Found, row: &Row) {
        *found = match found {
            Ok(None) => self.record(row).map(Some),
            _ => Err(Error::Query(DUPLICATE_ROW.to_owned())),
        };
    }

    fn record(&self, row: &Row) -> Result<SessionRecord, Error> {
        let user = match self.user_check {
            UserCheck::Type => column::<Option<String>>(row, 3, "users.user_type")?.map(UserRow::OfType),
            UserCheck::Exists | UserCheck::None => column::<bool>(row, 3, "users.user_id")?.then_some(UserRow::Present),
        };
        let mut record = SessionRecord {
            is_of_user: column(row, 0, "sessions.user_id")?,
            revoked: column(row, 1, "sessions.revoked_at")?,
            expired: column(row, 2, "sessions.expires_at")?,
            user: user.unwrap_or(UserRow::Missing),
            fresh: None,
        };
        // A session that has ended shows nothing, so nothing that its user has can make it an error.
        let may_live = record.is_of_user && !record.revoked && record.user != UserRow::Missing;
        if may_live && !self.fresh.is_empty() {
            record.fresh = Some(FreshColumn::read_all(&self.fresh, row, FIXED_COLUMNS)?.into());
        }
        Ok(record)
    }
}

/// The parameters of one lookup, in their order.
fn ids(lookup: &Lookup) -> impl Iterator<Item = &Id> {
    lookup.key.tenant.iter().chain([&lookup.key.session_id, &lookup.user_id])
}

/// The session ids, and the user ids.
fn lists<'l>(lookups: impl Iterator<Item = &'l Lookup>) -> (Vec<&'l Id>, Vec<&'l Id>) {
    lookups.map(|lookup| (&lookup.key.session_id, &lookup.user_id)).unzip()
}

#[cfg(test)]
mod tests {
    use super::super::locate::ColumnType;
    use super::*;
    use crate::schema::Differences;

    fn statements(schema: &Schema) -> Result<[String; 3], Fault> {
        let located = Located::of_types(schema, |_| Some(ColumnType::built_in("uuid")));
        let keys = KeyColumns::new(&located)?;
        let Statements { one, many, of_tenant, .. } = Statements::new(&located, &keys, true)?;
        Ok([one.sql, many.sql, of_tenant.sql])
    }

    #[test]
    fn each_statement_filters_and_joins_by_the_tenant_first() {
        let [one, many, of_tenant] = statements(&Schema::new(None)).expect("suitable columns");
        for sql in [&one, &of_tenant] {
            let (_, filter) = sql.split_once("WHERE ").expect("a filter");
            assert!(filter.starts_with("s.tenant OPERATOR(pg_catalog.=) $1"), "{sql}");
        }
        for sql in [one, many, of_tenant] {
            assert!(sql.contains(r#"LEFT JOIN "users" u ON u.tenant OPERATOR(pg_catalog.=) s.tenant AND "#), "{sql}");
        }
    }

    #[test]
    fn a_schema_stands_before_each_table() {
        for sql in statements(&Schema::new(Some("My app".to_owned()))).expect("suitable columns") {
            assert!(sql.contains(r#" "My app"."sessions" s"#), "{sql}");
            assert!(sql.contains(r#" "My app"."users" u"#), "{sql}");
        }
    }

    #[test]
    fn ids_and_names_that_look_like_parameters_stay_as_they_are() {
        use crate::schema::{IdType, TableName};
        use crate::store::SessionKey;
        let sessions = TableName { namespace: Some("a$1".to_owned()), name: "b\"$2".to_owned() };
        let schema = Schema::with(Differences { sessions: Some(sessions), ..Differences::default() });
        let located = Located::of_types(&schema, |_| Some(ColumnType::built_in("text")));
        let keys = KeyColumns::new(&located).expect("suitable columns");
        let statements = Statements::new(&located, &keys, false).expect("suitable columns");
        let id = |text| IdType::Text.parse(text).expect("fits");
        let key = SessionKey { tenant: Some(id("$2")), session_id: id(r#"'\$3""#) };
        let sql = statements.with_literals(&Lookup { key, user_id: id("$1") });
        let (text, equals) = ("::pg_catalog.text", "OPERATOR(pg_catalog.=)");
        assert!(sql.starts_with(&format!("SELECT coalesce(s.user_id {equals} E'$1'{text}, false),")), "{sql}");
        assert!(sql.contains(r#"FROM "a$1"."b""$2" s"#), "{sql}");
        let session_id = r#"E'''\\$3"'"#;
        let filter = format!("WHERE s.tenant {equals} E'$2'{text} AND s.session_id {equals} {session_id}{text}");
        assert!(sql.ends_with(&filter), "{sql}");
    }

    #[test]
    fn without_tenants_or_users_they_are_in_no_statement() {
        let differences = Differences { is_multi_tenant: false, user_check: UserCheck::None, ..Differences::default() };
        for sql in statements(&Schema::with(differences)).expect("suitable columns") {
            assert!(!sql.contains("tenant") && !sql.contains("users"), "{sql}");
        }
    }
}
