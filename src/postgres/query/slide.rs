//! The query that slides sessions: the same answer as that of [`super::find`], and each row that is due lives on.
#![forbid(unsafe_code)]

use futures_util::future::{try_join, try_join_all};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::KeyColumns;
use super::find::{Facts, Fitting, PLACE, by_tenant, lists, place};
use super::fresh::FreshColumn;
use super::ids::IdColumn;
use super::locate::Located;
use super::times::{NOW, from_now, is_time, stored};
use super::{DatabaseSession, Found, Parameter, Query, Statement, column};
use crate::postgres::fault::Fault;
use crate::schema::{ACTIVITY_COLUMNS, CREATED_AT, EXPIRES_AT, LAST_ACTIVITY_AT, Schema};
use crate::store::{Lifetime, Slide, Wanted};

const USER_ID: &str = "user_id";

/// Queries the sessions, slides those that are due, and answers in their order. Again, it only slides them a little further.
pub(in crate::postgres) struct SlideSessions<'a> {
    pub(in crate::postgres) wanted: &'a [Wanted],
}

pub(super) struct Statements {
    all: Statement,
    of_tenant: Statement,
}

impl Statements {
    /// Only rows that are live and belong to the user of the token are slid.
    ///
    /// `all` reads and slides in one statement. It locks rows in the order of their keys, and passes over those that another
    /// transaction holds: no call waits for a lock, and no deadlock can arise. The read half may still see a session as live that
    /// was revoked meanwhile; the slide half sees the row as it is, so what counts is that a row was slid.
    ///
    /// A distributed database doesn't have such statements, so `of_tenant` only slides.
    pub(super) fn new(located: &Located, keys: &KeyColumns, tell_end: bool) -> Result<Self, Fault> {
        let Schema { sessions, .. } = &located.schema;
        let facts = Facts::new(located, tell_end)?;
        let slides = Slides::new(located);
        let names: Vec<_> = keys.names().iter().copied().chain(["seconds"]).collect();
        let is_due = format!(
            "k.seconds IS NOT NULL AND s.revoked_at IS NULL AND NOT {} AND NOT {} AND {}",
            facts.expired,
            facts.too_old,
            keys.user_id.equals("s.user_id", "k.user_id"),
        );
        let key = keys.key_columns().map(|(name, _)| format!("s.{name}")).collect::<Vec<_>>().join(", ");
        let rows = keys.unnest(&names);
        let lifetime = slides.lifetime(names.len() + 1);
        let (of_k, of_h) = (keys.equal_columns_of("k"), keys.equal_columns_of("h"));
        let set = slides.set("h.lifetime");
        let select = facts.select(keys, &FreshColumn::all(located)?, "k.user_id");
        let users = keys.join_users(&located.schema);
        let all = format!(
            "WITH held AS (\n  \
               SELECT {key}, k.place, {lifetime} AS lifetime\n  \
               FROM {rows}\n  JOIN {sessions} s ON {of_k}\n  \
               WHERE {is_due}\n  ORDER BY {key}\n  FOR NO KEY UPDATE OF s SKIP LOCKED\n\
             ), slid AS (\n  \
               UPDATE {sessions} s SET {set}\n  FROM held h WHERE {of_h}\n  RETURNING h.place, h.lifetime\n)\n\
             {select},\n       {PLACE},\n       slid.lifetime\n\
             FROM {rows}\nJOIN {sessions} s ON {of_k}{users}\n\
             LEFT JOIN slid ON slid.place OPERATOR(pg_catalog.=) k.place",
        );
        let of_tenant = match &keys.tenant {
            None => String::new(),
            Some(tenant) => format!(
                "UPDATE {sessions} s SET {}\n\
                 FROM unnest($2, $3, $4) WITH ORDINALITY AS k (session_id, user_id, seconds, place)\n\
                 WHERE {} AND {} AND {is_due}\n\
                 RETURNING {PLACE}, {}",
                slides.set(&slides.lifetime(5)),
                tenant.equals("s.tenant", "$1"),
                keys.session_id.equals("s.session_id", "k.session_id"),
                slides.lifetime_afterwards(),
            ),
        };
        let own = [Type::INT4_ARRAY, Type::BOOL];
        Ok(Self {
            all: Statement { sql: all, types: keys.types().map(IdColumn::list_parameter).chain(own.clone()).collect() },
            of_tenant: Statement { sql: of_tenant, types: keys.types_of_tenant().into_iter().chain(own).collect() },
        })
    }
}

/// How rows are slid, by the columns that there are.
struct Slides<'l> {
    has_row_expiry: bool,
    has_activity: bool,
    absolute_max_age: Option<u32>,
    /// The columns that are set.
    columns: Vec<&'static str>,
    located: &'l Located,
}

impl<'l> Slides<'l> {
    fn new(located: &'l Located) -> Self {
        let Schema { has_row_expiry, absolute_max_age, .. } = located.schema;
        let has_activity = is_time(located, LAST_ACTIVITY_AT);
        Self { has_row_expiry, has_activity, absolute_max_age, columns: slid_columns(located), located }
    }

    /// For how many seconds a row `s` is to live from now on. `bounded` is the number of the parameter that says whether the row's
    /// own lifetime counts: from its last activity until its end.
    fn lifetime(&self, bounded: usize) -> String {
        let own = if self.has_row_expiry && self.has_activity {
            let own = minus("extract(epoch FROM s.expires_at)", "extract(epoch FROM s.last_activity_at)");
            format!(", CASE WHEN ${bounded} THEN {own}::pg_catalog.float8 END")
        } else {
            // The parameter is there, so it is used.
            format!(", CASE WHEN ${bounded} THEN NULL::pg_catalog.float8 END")
        };
        let wanted = format!("greatest(1::pg_catalog.float8, least(k.seconds::pg_catalog.float8{own}))");
        self.at_most_absolute(&wanted)
    }

    /// The same from a row `s` that was just slid.
    fn lifetime_afterwards(&self) -> String {
        if !self.has_row_expiry {
            return self.at_most_absolute("k.seconds::pg_catalog.float8");
        }
        let left = minus("extract(epoch FROM s.expires_at)", "extract(epoch FROM pg_catalog.now())");
        format!("least(k.seconds::pg_catalog.float8, {}::pg_catalog.float8)", self.at_most_absolute(&left))
    }

    /// No row lives beyond the absolute limit.
    fn at_most_absolute(&self, lifetime: &str) -> String {
        let Some(seconds) = self.absolute_max_age else { return lifetime.to_owned() };
        let age = minus("extract(epoch FROM pg_catalog.now())", &format!("extract(epoch FROM s.{CREATED_AT})"));
        format!("least({lifetime}, ({seconds} OPERATOR(pg_catalog.-) {age})::pg_catalog.float8)")
    }

    /// A row without an end, or one that ends in infinity, stays so.
    fn set(&self, lifetime: &str) -> String {
        let value = |name: &str| match name {
            EXPIRES_AT => {
                let end = stored(self.located, EXPIRES_AT, &from_now(lifetime));
                format!("CASE WHEN pg_catalog.isfinite(s.{EXPIRES_AT}) THEN {end} ELSE s.{EXPIRES_AT} END")
            }
            USER_ID => format!("s.{USER_ID}"),
            _ => stored(self.located, name, NOW),
        };
        let set = self.columns.iter().map(|name| format!("{name} = {}", value(name)));
        set.collect::<Vec<_>>().join(", ")
    }
}

/// The columns that a slide sets. Where there is nothing to set, one stays as it is: only what can be written is known not to
/// have ended.
pub(super) fn slid_columns(located: &Located) -> Vec<&'static str> {
    let end = located.schema.has_row_expiry.then_some(EXPIRES_AT);
    let active = ACTIVITY_COLUMNS.into_iter().filter(|name| is_time(located, name));
    let columns: Vec<_> = end.into_iter().chain(active).collect();
    if columns.is_empty() { vec![USER_ID] } else { columns }
}

fn minus(left: &str, right: &str) -> String {
    format!("({left} OPERATOR(pg_catalog.-) {right})")
}

impl Query for SlideSessions<'_> {
    type Answer = Vec<Found>;

    const IS_SLIDE: bool = true;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &super::Statements) -> Result<Vec<Found>, Fault> {
        let fitting = Fitting::of(self.wanted, &statements.id_types);
        let found = match &fitting.wanted[..] {
            [] => Vec::new(),
            wanted if statements.find.by_tenant => statements.slide_by_tenant(session, wanted).await?,
            wanted => statements.slide_all(session, wanted).await?,
        };
        Ok(statements.checked(fitting.spread(found)))
    }
}

impl super::Statements {
    async fn slide_all(&self, session: &DatabaseSession<'_>, wanted: &[Wanted]) -> Result<Vec<Found>, Fault> {
        let (tenants, session_ids, user_ids) = lists(wanted.iter());
        let (seconds, is_bounded) = seconds(wanted.iter());
        let all: [Parameter; 5] = [&tenants, &session_ids, &user_ids, &seconds, &is_bounded];
        let parameters = &all[usize::from(tenants.is_empty())..];
        let mut found = vec![Ok(None); wanted.len()];
        let at = self.find.place_column();
        let read = |row: &Row| {
            let place = place(row, at).filter(|place| *place < found.len()).ok_or(Fault::UnexpectedRow)?;
            self.find.add(&mut found[place], row);
            let lifetime = column::<Option<f64>>(row, at + 1, "its lifetime").map_err(|_| Fault::UnexpectedRow)?;
            told(&mut found[place], &wanted[place], lifetime);
            Ok(())
        };
        session.for_each_row(&self.slide.all, parameters, read).await?;
        Ok(found)
    }

    /// All statements are sent before the first is answered.
    async fn slide_by_tenant(&self, session: &DatabaseSession<'_>, wanted: &[Wanted]) -> Result<Vec<Found>, Fault> {
        let tenants = by_tenant(wanted);
        let due = tenants.iter().filter(|places| places.iter().any(|place| wanted[*place].slide.is_some()));
        let slides = due.map(|places| self.slide_of_tenant(session, wanted, places));
        let (slid, mut found) = try_join(try_join_all(slides), self.find.find(session, wanted)).await?;
        let mut lifetimes = vec![None; wanted.len()];
        for (place, lifetime) in slid.into_iter().flatten() {
            lifetimes[place] = Some(lifetime);
        }
        for ((found, wanted), lifetime) in found.iter_mut().zip(wanted).zip(lifetimes) {
            told(found, wanted, lifetime);
        }
        Ok(found)
    }

    /// Those at `places`, which are of one tenant: which were slid, and how long they live.
    async fn slide_of_tenant(
        &self,
        session: &DatabaseSession<'_>,
        wanted: &[Wanted],
        places: &[usize],
    ) -> Result<Vec<(usize, f64)>, Fault> {
        let of_tenant = places.iter().map(|place| &wanted[*place]);
        let (tenants, session_ids, user_ids) = lists(of_tenant.clone());
        let (seconds, is_bounded) = seconds(of_tenant);
        let parameters: [Parameter; 5] = [&tenants.first(), &session_ids, &user_ids, &seconds, &is_bounded];
        let mut slid = Vec::new();
        let read = |row: &Row| {
            let place = place(row, 0).and_then(|place| places.get(place)).ok_or(Fault::UnexpectedRow)?;
            slid.push((*place, column(row, 1, "its lifetime").map_err(|_| Fault::UnexpectedRow)?));
            Ok(())
        };
        session.for_each_row(&self.slide.of_tenant, &parameters, read).await?;
        Ok(slid)
    }
}

/// How long each is to live, if it is to be slid; and whether the rows' own lifetimes count.
fn seconds<'w>(wanted: impl Iterator<Item = &'w Wanted> + Clone) -> (Vec<Option<i32>>, bool) {
    let is_bounded = wanted.clone().any(|wanted| wanted.slide.is_some_and(|lifetime| lifetime.is_bounded_by_row));
    let seconds = |Lifetime { seconds, .. }: Lifetime| i32::try_from(seconds).unwrap_or(i32::MAX);
    (wanted.map(|wanted| wanted.slide.map(seconds)).collect(), is_bounded)
}

fn told(found: &mut Found, wanted: &Wanted, lifetime: Option<f64>) {
    note_slide(found, wanted, lifetime.map_or(Slide::Held, Slide::Done));
}

/// Notes what became of the slide of a session, if one was asked for.
pub(in crate::postgres) fn note_slide(found: &mut Found, wanted: &Wanted, slide: Slide) {
    if let (Ok(Some(record)), Some(_)) = (found, wanted.slide) {
        record.slide = slide;
    }
}
