//! How many sessions there are, for whoever wonders why nobody is signed in.
#![forbid(unsafe_code)]

use std::time::Duration;

use serde::Serialize;

use super::catalog::{Catalog, Finding, STEP};
use super::check::Check;
use crate::error::Error;
use crate::postgres::{Answer, Examiner, Parameter, Unanswered};
use crate::schema::Schema;

pub(super) const ID: &str = "sessions";

/// For counting. A larger table is estimated.
const LIMIT: Duration = Duration::from_secs(2);

/// Of all tenants.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Counts {
    Exact { live: u64, expired: u64, revoked: u64 },
    TookTooLong { seconds: u64 },
}

pub(super) async fn ask(examiner: &Examiner<'_>, schema: &Schema) -> Answer<Counts> {
    let setting = format!("statement_timeout = {}", LIMIT.as_millis());
    let sql = format!(
        "SELECT count(*) FILTER (WHERE revoked_at IS NULL AND coalesce(expires_at > now(), true)),\n       \
         count(*) FILTER (WHERE revoked_at IS NULL AND expires_at <= now()),\n       \
         count(*) FILTER (WHERE revoked_at IS NOT NULL)\n\
         FROM {}",
        schema.sessions
    );
    match examiner.rows_with_setting("counting the sessions", &setting, &sql).await {
        Ok(rows) => {
            let mut counts = rows.into_iter().flatten();
            let mut next = || counts.next().and_then(|count| count.parse().ok()).unwrap_or_default();
            Ok(Counts::Exact { live: next(), expired: next(), revoked: next() })
        }
        Err(Unanswered::Failed(Error::Cancelled(_))) => Ok(Counts::TookTooLong { seconds: LIMIT.as_secs() }),
        Err(unanswered) => Err(unanswered),
    }
}

/// The number of rows by the server's statistics. `None` where there are none yet.
pub(super) async fn ask_estimate(examiner: &Examiner<'_>, oid: u32) -> Answer<Option<f64>> {
    const SQL: &str = "SELECT nullif(c.reltuples, -1)::float8 FROM pg_catalog.pg_class c WHERE c.oid = $1";
    examiner.row(STEP, SQL, &[Parameter::Oid(oid)], |row| row.try_get(0)).await
}

pub(super) fn judge(counts: &Answer<Counts>, catalog: &Answer<Catalog>) -> Check {
    let counts = match counts {
        Ok(counts) => counts,
        Err(Unanswered::Failed(_)) => return Check::skipped(ID, "may not be counted"),
        Err(lost) => return Check::unanswered(ID, lost),
    };
    let message = match counts {
        Counts::Exact { live, expired, revoked } => format!("{live} live, {expired} expired, {revoked} revoked"),
        Counts::TookTooLong { seconds } => {
            let about = match estimate(catalog) {
                Some(rows) => format!("about {} by the server's statistics", rows.round()),
                None => "and the server has no statistics yet".to_owned(),
            };
            format!("too many to count within {seconds} s, {about}")
        }
    };
    Check::ok(ID, message).with_details(counts)
}

fn estimate(catalog: &Answer<Catalog>) -> Option<f64> {
    match &catalog.as_ref().ok()?.sessions.finding {
        Finding::Found(found) => found.estimated_rows.filter(|rows| *rows > 0.0),
        Finding::Missing { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::*;

    #[test]
    fn counted_or_estimated() {
        let slow = || Ok(Counts::TookTooLong { seconds: 2 });
        let refused = || Err(Unanswered::Failed(Error::Query("no".to_owned())));
        for (counts, estimated_rows, status, message) in [
            (Ok(Counts::Exact { live: 2, expired: 1, revoked: 0 }), None, Status::Ok, "2 live, 1 expired, 0 revoked"),
            (
                slow(),
                Some(1234567.0),
                Status::Ok,
                "too many to count within 2 s, about 1234567 by the server's statistics",
            ),
            (slow(), None, Status::Ok, "too many to count within 2 s, and the server has no statistics yet"),
            (refused(), None, Status::Skipped, "may not be counted"),
            (Err(Unanswered::Lost), None, Status::Skipped, "the connection was lost before"),
        ] {
            let mut catalog = healthy();
            catalog.sessions.found_mut().estimated_rows = estimated_rows;
            let check = judge(&counts, &Ok(catalog));
            assert_eq!((check.status, check.message.as_str()), (status, message));
        }
    }
}
