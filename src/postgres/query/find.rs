//! The session query: the record of each session that is looked up.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::KeyColumns;
use super::fresh::FreshColumn;
use super::ids::IdColumn;
use super::locate::Located;
use super::{DatabaseSession, Form, Parameter, Query, Statement, column};
use crate::error::Error;
use crate::postgres::fault::{DUPLICATE_ROW, Fault};
use crate::schema::{CREATED_AT, Id, IdTypes, Schema, UserCheck};
use crate::store::{Lookup, SessionRecord, Slide, UserRow, Wanted};

/// The record of one session; an error if the row can't be read.
pub(in crate::postgres) type Found = Result<Option<SessionRecord>, Error>;

/// Queries the sessions, and answers in their order.
pub(in crate::postgres) struct FindSessions<'a> {
    pub(in crate::postgres) wanted: &'a [Wanted],
}

pub(in crate::postgres) struct Statements {
    one: Statement,
    many: Statement,
    of_tenant: Statement,
    /// A query for each tenant, instead of one for all.
    pub(super) by_tenant: bool,
    /// The join of the user `u` of a session `s`; empty if it is not read.
    pub(in crate::postgres) users: String,
    user_check: UserCheck,
    /// Whether the rows say when their sessions end.
    tell_end: bool,
    pub(super) fresh: Vec<FreshColumn>,
}

/// The columns that each statement reads first.
const FIXED_COLUMNS: usize = 5;
/// The place of a row in the lists of a statement for several sessions.
pub(super) const PLACE: &str = "(k.place OPERATOR(pg_catalog.-) 1)::pg_catalog.int4";

/// SQL that reads a session `s` and its user `u`. Facts only: `crate::store::Liveness` judges them. `now()` is the database's own
/// clock. `extract` reads a time without a zone as UTC, which is what Prisma and Drizzle write; a plain comparison would read it in
/// the time zone of the connection.
pub(super) struct Facts {
    pub(super) expired: String,
    pub(super) too_old: String,
    of_user: &'static str,
    /// In how many seconds the session ends; `None` if it never does, or nobody wants to know.
    ends_in: Option<String>,
}

impl Facts {
    /// # Errors
    /// If a column is needed that the table doesn't have.
    pub(super) fn new(located: &Located, tell_end: bool) -> Result<Self, Fault> {
        let Schema { user_check, has_row_expiry, absolute_max_age, .. } = located.schema;
        let is_past =
            |end: &str| format!("coalesce({end} OPERATOR(pg_catalog.<=) extract(epoch FROM pg_catalog.now()), ");
        let never = || "false".to_owned();
        let last_end = |seconds| format!("(extract(epoch FROM s.created_at) OPERATOR(pg_catalog.+) {seconds})");
        let too_old = |seconds: u32| match located.column_type(false, CREATED_AT) {
            None => Err(Fault::MissingColumn { option: "absoluteMaxAge", column: CREATED_AT }),
            Some(_) => Ok(is_past(&last_end(seconds)) + "true)"),
        };
        let own_end = has_row_expiry.then(|| "extract(epoch FROM s.expires_at)".to_owned());
        let ends: Vec<_> = own_end.into_iter().chain(absolute_max_age.map(last_end)).collect();
        let ends_in = || {
            let end = format!("LEAST({})", ends.join(", "));
            format!("({end} OPERATOR(pg_catalog.-) extract(epoch FROM pg_catalog.now()))::pg_catalog.float8")
        };
        Ok(Self {
            ends_in: (tell_end && !ends.is_empty()).then(ends_in),
            expired: if has_row_expiry { is_past("extract(epoch FROM s.expires_at)") + "false)" } else { never() },
            too_old: absolute_max_age.map_or_else(|| Ok(never()), too_old)?,
            of_user: match user_check {
                UserCheck::Type => "u.user_type::pg_catalog.text",
                UserCheck::Exists => "u.user_id IS NOT NULL",
                UserCheck::None => "true",
            },
        })
    }

    /// `user_id` is that of the lookup.
    pub(super) fn select(&self, keys: &KeyColumns, fresh: &[FreshColumn], user_id: &str) -> String {
        let Self { expired, too_old, of_user, ends_in } = self;
        let is_of_user = keys.user_id.equals("s.user_id", user_id);
        let ends_in = ends_in.as_ref().map_or_else(String::new, |ends_in| format!(",\n       {ends_in}"));
        format!(
            "SELECT coalesce({is_of_user}, false),\n       s.revoked_at IS NOT NULL,\n       {expired},\n       \
             {too_old},\n       {of_user}{ends_in}{}",
            FreshColumn::select_list(fresh),
        )
    }
}

impl Statements {
    /// The tenant leads each key and each join, so that a distributed database queries one shard.
    pub(super) fn new(located: &Located, keys: &KeyColumns, form: Form) -> Result<Self, Fault> {
        let Form { by_tenant, tell_end } = form;
        let Schema { sessions, user_check, .. } = &located.schema;
        let fresh = FreshColumn::all(located)?;
        let facts = Facts::new(located, tell_end)?;
        let select = |user_id: &str| facts.select(keys, &fresh, user_id);
        let users = keys.join_users(&located.schema);
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
            many: Statement {
                sql: format!(
                    "{},\n       {PLACE}\nFROM {}\nJOIN {sessions} s ON {}{users}",
                    select("k.user_id"),
                    keys.unnest(keys.names()),
                    keys.equal_columns_of("k"),
                ),
                types: keys.types().map(IdColumn::list_parameter).collect(),
            },
            of_tenant: Statement {
                sql: match &keys.tenant {
                    None => String::new(),
                    Some(tenant) => format!(
                        "{},\n       {PLACE}\nFROM unnest($2, $3) WITH ORDINALITY AS k (session_id, user_id, place)\n\
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
            tell_end: facts.ends_in.is_some(),
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

    async fn run(&self, session: &DatabaseSession<'_>, statements: &super::Statements) -> Result<Vec<Found>, Fault> {
        let fitting = Fitting::of(self.wanted, &statements.id_types);
        let found = statements.find.find(session, &fitting.wanted).await?;
        Ok(statements.checked(fitting.spread(found)))
    }
}

/// What the columns can hold, each once: the rest is not in the tables, and is not asked for. The same session can be looked up
/// twice while the types of the columns become known.
pub(super) struct Fitting<'w> {
    pub(super) wanted: Cow<'w, [Wanted]>,
    /// Where each of the whole list is in `wanted`; `None` if that is the whole list.
    places: Option<Vec<Option<usize>>>,
}

impl<'w> Fitting<'w> {
    pub(super) fn of(wanted: &'w [Wanted], types: &IdTypes) -> Self {
        if wanted.iter().all(|wanted| wanted.lookup.is_typed(types)) {
            return Self { wanted: Cow::Borrowed(wanted), places: None };
        }
        let (mut fitting, mut known): (Vec<Wanted>, HashMap<Lookup, usize>) = Default::default();
        let mut place = |Wanted { lookup, slide }: &Wanted| {
            let lookup = lookup.fit(types)?;
            let place = *known.entry(lookup.clone()).or_insert(fitting.len());
            if place == fitting.len() {
                fitting.push(Wanted { lookup, slide: None });
            }
            fitting[place].slide = fitting[place].slide.max(*slide);
            Some(place)
        };
        let places = wanted.iter().map(&mut place).collect();
        Self { wanted: Cow::Owned(fitting), places: Some(places) }
    }

    /// In the order of the whole list.
    pub(super) fn spread(self, found: Vec<Found>) -> Vec<Found> {
        let Some(places) = self.places else { return found };
        places.into_iter().map(|place| place.map_or(Ok(None), |place| found[place].clone())).collect()
    }
}

impl super::Statements {
    /// After a row that can't be read, tables and columns are looked at again: types may have changed.
    pub(super) fn checked(&self, found: Vec<Found>) -> Vec<Found> {
        if found.iter().any(Result::is_err) {
            self.outdate();
        }
        found
    }
}

impl Statements {
    /// The ids are those of the columns.
    pub(super) async fn find(&self, session: &DatabaseSession<'_>, wanted: &[Wanted]) -> Result<Vec<Found>, Fault> {
        Ok(match wanted {
            [] => Vec::new(),
            [wanted] => vec![self.find_one(session, &wanted.lookup).await?],
            _ if self.by_tenant => self.find_by_tenant(session, wanted).await?,
            _ => self.find_many(session, wanted).await?,
        })
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

    async fn find_many(&self, session: &DatabaseSession<'_>, wanted: &[Wanted]) -> Result<Vec<Found>, Fault> {
        let (tenants, session_ids, user_ids) = lists(wanted.iter());
        let lists: [Parameter; 3] = [&tenants, &session_ids, &user_ids];
        self.find_listed(session, &self.many, &lists[usize::from(tenants.is_empty())..], wanted.len()).await
    }

    /// All queries are sent before the first is answered.
    async fn find_by_tenant(&self, session: &DatabaseSession<'_>, wanted: &[Wanted]) -> Result<Vec<Found>, Fault> {
        let tenants = by_tenant(wanted);
        let queries = tenants.iter().map(|places| self.find_of_tenant(session, wanted, places));
        let mut found = vec![Ok(None); wanted.len()];
        for (place, of_place) in try_join_all(queries).await?.into_iter().flatten() {
            found[place] = of_place;
        }
        Ok(found)
    }

    /// Those at `places`, which are of one tenant.
    async fn find_of_tenant(
        &self,
        session: &DatabaseSession<'_>,
        wanted: &[Wanted],
        places: &[usize],
    ) -> Result<Vec<(usize, Found)>, Fault> {
        let found = match places {
            [place] => vec![self.find_one(session, &wanted[*place].lookup).await?],
            _ => {
                let (tenants, session_ids, user_ids) = lists(places.iter().map(|place| &wanted[*place]));
                let parameters: [Parameter; 3] = [&tenants.first(), &session_ids, &user_ids];
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
        let read = |row: &Row| {
            let place = place(row, self.place_column()).and_then(|place| found.get_mut(place));
            self.add(place.ok_or(Fault::UnexpectedRow)?, row);
            Ok(())
        };
        session.for_each_row(statement, parameters, read).await?;
        Ok(found)
    }

    /// The index of the column with the place, in a statement for several sessions.
    pub(super) fn place_column(&self) -> usize {
        self.first_fresh_column() + self.fresh.len()
    }

    fn first_fresh_column(&self) -> usize {
        FIXED_COLUMNS + usize::from(self.tell_end)
    }

    /// A second row for one session means that `sessions` or `users` has no primary key. Neither row can be trusted then.
    pub(super) fn add(&self, found: &mut Found, row: &Row) {
        *found = match found {
            Ok(None) => self.record(row).map(Some),
            _ => Err(Error::Query(DUPLICATE_ROW.to_owned())),
        };
    }

    fn record(&self, row: &Row) -> Result<SessionRecord, Error> {
        let user = match self.user_check {
            UserCheck::Type => column::<Option<String>>(row, 4, "users.user_type")?.map(UserRow::OfType),
            UserCheck::Exists | UserCheck::None => column::<bool>(row, 4, "users.user_id")?.then_some(UserRow::Present),
        };
        let mut record = SessionRecord {
            is_of_user: column(row, 0, "sessions.user_id")?,
            revoked: column(row, 1, "sessions.revoked_at")?,
            expired: column(row, 2, "sessions.expires_at")?,
            too_old: column(row, 3, "sessions.created_at")?,
            user: user.unwrap_or(UserRow::Missing),
            fresh: None,
            slide: Slide::NotAsked,
            ends_in: if self.tell_end { column(row, FIXED_COLUMNS, "the end of the session")? } else { None },
        };
        // A session that has ended shows nothing, so nothing that its user has can make it an error.
        let may_live = record.is_of_user && !record.revoked && record.user != UserRow::Missing;
        if may_live && !self.fresh.is_empty() {
            record.fresh = Some(FreshColumn::read_all(&self.fresh, row, self.first_fresh_column())?.into());
        }
        Ok(record)
    }
}

/// The parameters of one lookup, in their order.
fn ids(lookup: &Lookup) -> impl Iterator<Item = &Id> {
    lookup.key.tenant.iter().chain([&lookup.key.session_id, &lookup.user_id])
}

/// The tenants, if there are any, the session ids, and the user ids.
pub(super) fn lists<'w>(wanted: impl Iterator<Item = &'w Wanted> + Clone) -> (Vec<&'w Id>, Vec<&'w Id>, Vec<&'w Id>) {
    let tenants = wanted.clone().filter_map(|wanted| wanted.lookup.key.tenant.as_ref()).collect();
    let (session_ids, user_ids) = wanted.map(|Wanted { lookup, .. }| (&lookup.key.session_id, &lookup.user_id)).unzip();
    (tenants, session_ids, user_ids)
}

/// The places of the sessions of each tenant.
pub(super) fn by_tenant(wanted: &[Wanted]) -> Vec<Vec<usize>> {
    let mut tenants: HashMap<&Option<Id>, Vec<usize>> = HashMap::new();
    for (place, wanted) in wanted.iter().enumerate() {
        tenants.entry(&wanted.lookup.key.tenant).or_default().push(place);
    }
    tenants.into_values().collect()
}

/// `None` if the column holds none.
pub(super) fn place(row: &Row, index: usize) -> Option<usize> {
    column::<i32>(row, index, "its place").ok().and_then(|place| usize::try_from(place).ok())
}

#[cfg(test)]
mod tests {
    use super::super::locate::ColumnType;
    use super::*;
    use crate::schema::Differences;

    fn statements(schema: &Schema) -> Result<[String; 3], Fault> {
        let located = Located::of_types(schema, |_| Some(ColumnType::built_in("uuid")));
        let keys = KeyColumns::new(&located)?;
        let Statements { one, many, of_tenant, .. } =
            Statements::new(&located, &keys, Form { by_tenant: true, tell_end: true })?;
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
        let statements = Statements::new(&located, &keys, Form::default()).expect("suitable columns");
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
    fn what_becomes_the_same_when_the_types_are_known_is_asked_for_once() {
        use crate::schema::IdType;
        use crate::store::{Lifetime, SessionKey};
        const ONE: &str = "00000000-0000-4000-8000-000000000001";
        const OTHER: &str = "00000000-0000-4000-8000-000000000002";
        let types = IdTypes { tenant: None, session_id: IdType::Uuid, user_id: IdType::Uuid };
        let wanted = |of: IdType, session: &str, seconds: Option<u32>| {
            let id = |text| of.parse(text).expect("fits");
            let lookup = Lookup { key: SessionKey { tenant: None, session_id: id(session) }, user_id: id(ONE) };
            Wanted { lookup, slide: seconds.map(|seconds| Lifetime { seconds, is_bounded_by_row: false }) }
        };
        let list = [
            wanted(IdType::Unknown, ONE, Some(5)),
            wanted(IdType::Unknown, "no UUID", None),
            wanted(IdType::Uuid, OTHER, None),
            wanted(IdType::Uuid, ONE, Some(7)),
        ];
        let fitting = Fitting::of(&list, &types);
        assert!(*fitting.wanted == [wanted(IdType::Uuid, ONE, Some(7)), wanted(IdType::Uuid, OTHER, None)]);
        let broken = |number: u8| Err(Error::Query(number.to_string()));
        assert_eq!(fitting.spread(vec![broken(0), broken(1)]), [broken(0), Ok(None), broken(1), broken(0)]);
        assert!(Fitting::of(&list[2..], &types).places.is_none());
    }

    #[test]
    fn without_tenants_or_users_they_are_in_no_statement() {
        let differences = Differences { is_multi_tenant: false, user_check: UserCheck::None, ..Differences::default() };
        for sql in statements(&Schema::with(differences)).expect("suitable columns") {
            assert!(!sql.contains("tenant") && !sql.contains("users"), "{sql}");
        }
    }
}
