//! The query for the live sessions of a user.
#![forbid(unsafe_code)]

use tokio_postgres::Row;

use super::live::{is_live, latest_first};
use super::times::{epoch, is_time};
use super::{DatabaseSession, Parameter, Query, Statement, Statements, column};
use crate::error::Error;
use crate::iso8601::date_time;
use crate::postgres::fault::Fault;
use crate::schema::{CREATED_AT, EXPIRES_AT, Id, LAST_ACTIVITY_AT};
use crate::store::{ListedSession, Owner};

/// More than anybody looks at.
const MAX_LISTED: usize = 1000;
const TEXTS: [(&str, &str); 5] = [
    ("loginMethod", "login_method"),
    ("ipAddress", "ip_address"),
    ("userAgent", "user_agent"),
    ("deviceName", "device_name"),
    ("deviceType", "device_type"),
];
pub(super) const TIMES: [(&str, &str); 3] =
    [("createdAt", CREATED_AT), ("lastActivityAt", LAST_ACTIVITY_AT), ("expiresAt", EXPIRES_AT)];

/// Lists the sessions of a user, the latest activity first.
pub(in crate::postgres) struct ListSessions<'o> {
    pub(in crate::postgres) owner: &'o Owner,
    /// The session that asks.
    pub(in crate::postgres) current: Option<&'o Id>,
}

impl Query for ListSessions<'_> {
    type Answer = Result<Vec<ListedSession>, Error>;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &Statements) -> Result<Self::Answer, Fault> {
        let Statements { located, keys, id_types, .. } = statements;
        let Some(owner) = self.owner.fit(id_types) else {
            return Ok(Ok(Vec::new()));
        };
        let current = self.current.and_then(|id| id_types.session_id.fit(id));
        let columns = keys.tenant.iter().chain([&keys.user_id]);
        let ids = owner.tenant.iter().chain([&owner.user_id]);
        let mut types: Vec<_> = columns.map(|column| column.parameter()).collect();
        let mut parameters: Vec<_> = ids.map(|id| id as Parameter).collect();
        let tenant = keys.tenant.as_ref().map(|column| column.equals("s.tenant", "$1"));
        let of_user = keys.user_id.equals("s.user_id", &format!("${}", parameters.len()));
        let is_current = match &current {
            None => "false".to_owned(),
            Some(id) => {
                types.push(keys.session_id.parameter());
                parameters.push(id);
                keys.session_id.equals("s.session_id", &format!("${}", parameters.len()))
            }
        };
        let texts: Vec<_> = TEXTS.iter().filter_map(|(name, column)| Some((*name, located.text_of(column)?))).collect();
        let is_shown =
            |column: &str| is_time(located, column) && (column != EXPIRES_AT || located.schema.has_row_expiry);
        let times: Vec<_> = TIMES.iter().filter(|(_, column)| is_shown(column)).collect();
        let epochs = times.iter().map(|(_, column)| epoch(&format!("s.{column}")));
        let shown = texts.iter().map(|(_, sql)| sql.clone()).chain(epochs);
        let all: Vec<_> = ["s.session_id::pg_catalog.text".to_owned(), is_current].into_iter().chain(shown).collect();
        let conditions: Vec<_> = tenant.into_iter().chain([of_user, is_live(located)?]).collect();
        let sql = format!(
            "SELECT {}\nFROM {} s\nWHERE {}\nORDER BY {}\nLIMIT {MAX_LISTED}",
            all.join(", "),
            located.schema.sessions,
            conditions.join(" AND "),
            latest_first(located),
        );
        let mut listed = Vec::new();
        let read = |row: &Row| {
            let mut fields = Vec::with_capacity(texts.len() + times.len());
            for (at, (name, _)) in (2..).zip(&texts) {
                fields.push((*name, column(row, at, name)?));
            }
            for (at, (name, _)) in (2 + texts.len()..).zip(&times) {
                fields.push((*name, column::<Option<f64>>(row, at, name)?.and_then(date_time)));
            }
            let (session_id, is_current) = (column(row, 0, "session_id")?, column(row, 1, "session_id")?);
            Ok(ListedSession { session_id, fields, is_current })
        };
        let read_all = |row: &Row| {
            listed.push(read(row));
            Ok(())
        };
        session.for_each_row(&Statement { sql, types }, &parameters, read_all).await?;
        Ok(listed.into_iter().collect())
    }
}
