//! How many sessions there are. Helps to find out why no user is signed in.
#![forbid(unsafe_code)]

use std::time::Duration;

use serde::Serialize;

use super::catalog::{Catalog, Finding, STEP};
use super::check::Check;
use crate::error::Error;
use crate::postgres::{Examiner, Parameter, StepError, StepResult};
use crate::schema::Schema;

pub(super) const ID: &str = "sessions";

/// The time limit for counting. If the table is too large for that, the number is estimated.
const LIMIT: Duration = Duration::from_secs(2);

/// As in the session query.
const EXPIRED: &str = "coalesce(extract(epoch FROM expires_at) <= extract(epoch FROM now()), false)";

/// The sessions of all tenants.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Counts {
    Exact { live: u64, expired: u64, revoked: u64 },
    TookTooLong { seconds: u64 },
}

pub(super) async fn query(examiner: &Examiner<'_>, schema: &Schema) -> StepResult<Counts> {
    let setting = format!("statement_timeout = {}", LIMIT.as_millis());
    let sql = format!(
        "SELECT count(*) FILTER (WHERE revoked_at IS NULL AND NOT {EXPIRED}),\n       \
         count(*) FILTER (WHERE revoked_at IS NULL AND {EXPIRED}),\n       \
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
        Err(StepError::Failed(Error::Cancelled(_))) => Ok(Counts::TookTooLong { seconds: LIMIT.as_secs() }),
        Err(error) => Err(error),
    }
}

/// The number of rows according to the server's statistics; `None` if there are none yet.
pub(super) async fn estimate_rows(examiner: &Examiner<'_>, oid: u32) -> StepResult<Option<f64>> {
    const SQL: &str = "SELECT nullif(c.reltuples, -1)::float8 FROM pg_catalog.pg_class c WHERE c.oid = $1";
    examiner.row(STEP, SQL, &[Parameter::Oid(oid)], |row| row.try_get(0)).await
}

pub(super) fn judge(counts: &StepResult<Counts>, catalog: &StepResult<Catalog>) -> Check {
    let counts = match counts {
        Ok(counts) => counts,
        Err(StepError::Failed(_)) => return Check::skipped(ID, "could not be counted"),
        Err(lost) => return Check::from_step_error(ID, lost),
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

fn estimate(catalog: &StepResult<Catalog>) -> Option<f64> {
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
        let refused = || Err(StepError::Failed(Error::Query("no".to_owned())));
        for (counts, estimated_rows, status, message) in [
            (Ok(Counts::Exact { live: 2, expired: 1, revoked: 0 }), None, Status::Ok, "2 live, 1 expired, 0 revoked"),
            (
                slow(),
                Some(1234567.0),
                Status::Ok,
                "too many to count within 2 s, about 1234567 by the server's statistics",
            ),
            (slow(), None, Status::Ok, "too many to count within 2 s, and the server has no statistics yet"),
            (refused(), None, Status::Skipped, "could not be counted"),
            (Err(StepError::ConnectionLost), None, Status::Skipped, "the connection to the database was lost"),
        ] {
            let mut catalog = healthy();
            catalog.sessions.found_mut().estimated_rows = estimated_rows;
            let check = judge(&counts, &Ok(catalog));
            assert_eq!((check.status, check.message.as_str()), (status, message));
        }
    }
}
