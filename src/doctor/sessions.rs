//! How many sessions there are, and whether those that live would be accepted. Helps to find out why no user is signed in.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::catalog::{Catalog, Finding, STEP, TableFacts};
use super::check::{Check, SEE_LOG};
use super::samples::{EXPIRED, LIMIT, Refusal, Trial};
use crate::error::Error;
use crate::postgres::{Examiner, Parameter, StepError, StepResult};
use crate::schema::Schema;

pub(super) const ID: &str = "sessions";

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
        "SELECT pg_catalog.count(*) FILTER (WHERE s.revoked_at IS NULL AND NOT {EXPIRED}),\n       \
         pg_catalog.count(*) FILTER (WHERE s.revoked_at IS NULL AND {EXPIRED}),\n       \
         pg_catalog.count(*) FILTER (WHERE s.revoked_at IS NOT NULL)\n\
         FROM {} s",
        schema.sessions
    );
    match examiner.rows_with_settings("counting the sessions", &[&setting], &sql).await {
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
    const SQL: &str = "\
SELECT CASE WHEN c.reltuples OPERATOR(pg_catalog.>=) 0 THEN c.reltuples::pg_catalog.float8 END
FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1";
    examiner.row(STEP, SQL, &[Parameter::Oid(oid)], |row| row.try_get(0)).await
}

#[derive(Serialize)]
struct Details<'a> {
    #[serde(flatten)]
    counts: &'a Counts,
    trial: Option<&'a Trial>,
}

/// `trial` is `None` if none was tried, since lookups fail.
pub(super) fn judge(
    counts: &StepResult<Counts>,
    trial: &Option<StepResult<Trial>>,
    catalog: &StepResult<Catalog>,
    tables: &Schema,
    user: &str,
) -> Check {
    let counts = match counts {
        Ok(counts) => counts,
        Err(StepError::Failed(_)) => return Check::skipped(ID, "could not be counted"),
        Err(lost) => return Check::from_step_error(ID, lost),
    };
    let message = match counts {
        Counts::Exact { live, expired, revoked } => {
            let of = if is_limited(catalog) { format!(", of the rows that {user} sees") } else { String::new() };
            format!("{live} live, {expired} expired, {revoked} revoked{of}")
        }
        Counts::TookTooLong { seconds } => {
            let about = match estimate(catalog) {
                Some(rows) => format!("about {} by the server's statistics", rows.round()),
                None => "and the server has no statistics yet".to_owned(),
            };
            format!("too many to count within {seconds} s, {about}")
        }
    };
    let trial = match trial {
        Some(Ok(trial)) => Some(trial),
        Some(Err(StepError::Failed(error))) => {
            return Check::failed(ID, format!("{message}; trying one of them: {error}"), SEE_LOG);
        }
        Some(Err(lost)) => return Check::from_step_error(ID, lost),
        None => None,
    };
    let check = match counts {
        Counts::Exact { live: 0, expired: 1.., .. } if tables.has_row_expiry => Check::warning(
            ID,
            format!("{message}: all that were not revoked have expired"),
            "If users were signed out while they used the app, nothing keeps their sessions alive: call refreshSession, or \
             use proxy of authjs-bridge/next. See docs/rolling.md.",
        ),
        _ => check_of(message, trial, tables),
    };
    check.with_details(&Details { counts, trial })
}

/// Whether row-level security may hide rows, so that what is counted may not be all.
fn is_limited(catalog: &StepResult<Catalog>) -> bool {
    found(catalog).and_then(|found| found.visibility.row_security).is_some_and(|security| !security.admits_all)
}

fn check_of(message: String, trial: Option<&Trial>, tables: &Schema) -> Check {
    let Some(trial @ Trial { tried, refused, error }) = trial.filter(|trial| trial.tried > 0) else {
        return Check::ok(ID, message);
    };
    if refused.is_empty() {
        return Check::ok(ID, format!("{message}; {tried} tried"));
    }
    let describe = |(refusal, count): (&Refusal, &usize)| {
        let (wrong, advice) = refusal.describe(&tables.sessions, &tables.users);
        (format!("{count} {wrong}"), advice)
    };
    let (reasons, mut advice): (Vec<_>, Vec<_>) = refused.iter().map(describe).unzip();
    let error = error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    let message = format!("{message}; of {tried} tried, {}{error}", reasons.join(", "));
    advice.dedup();
    let check = if trial.refused() == *tried { Check::failed } else { Check::warning };
    check(ID, message, advice.join("\n"))
}

fn estimate(catalog: &StepResult<Catalog>) -> Option<f64> {
    found(catalog)?.estimated_rows.filter(|rows| *rows > 0.0)
}

fn found(catalog: &StepResult<Catalog>) -> Option<&TableFacts> {
    match &catalog.as_ref().ok()?.sessions.finding {
        Finding::Found(found) => Some(found),
        Finding::Missing { .. } | Finding::NotRead => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::RowSecurity;
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::*;
    use crate::schema::Differences;

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
            let check = judge(&counts, &None, &Ok(catalog), &Schema::new(None), "me");
            assert_eq!((check.status, check.message.as_str()), (status, message));
        }
    }

    #[test]
    fn all_have_expired_or_are_hidden() {
        let limited = |admits_all| Some(RowSecurity { policies: 1, admits_all });
        let expired = "0 live, 21 expired, 3 revoked: all that were not revoked have expired";
        for (case, [live, expired, revoked], has_row_expiry, row_security, status, message) in [
            ("all expired", [0, 21, 3], true, None, Status::Warning, expired),
            ("not by expires_at", [0, 21, 3], false, None, Status::Ok, "0 live, 21 expired, 3 revoked"),
            ("one lives", [1, 21, 3], true, None, Status::Ok, "1 live, 21 expired, 3 revoked"),
            ("all revoked", [0, 0, 3], true, None, Status::Ok, "0 live, 0 expired, 3 revoked"),
            ("no rows", [0, 0, 0], true, None, Status::Ok, "0 live, 0 expired, 0 revoked"),
            ("admitted", [0, 0, 0], true, limited(true), Status::Ok, "0 live, 0 expired, 0 revoked"),
            (
                "hidden",
                [0, 0, 0],
                true,
                limited(false),
                Status::Ok,
                "0 live, 0 expired, 0 revoked, of the rows that me sees",
            ),
        ] {
            let mut catalog = healthy();
            catalog.sessions.found_mut().visibility.row_security = row_security;
            let tables = Schema::with(Differences { has_row_expiry, ..Differences::default() });
            let check = judge(&Ok(Counts::Exact { live, expired, revoked }), &None, &Ok(catalog), &tables, "me");
            assert_eq!((check.status, check.message.as_str()), (status, message), "{case}");
            assert_eq!(check.advice.is_some_and(|advice| advice.contains("refreshSession")), status != Status::Ok);
        }
    }

    #[test]
    fn refused_sessions_are_told_of_by_reason() {
        use Refusal::{NoUserType, OtherUserType, UserUnknown};
        let failed = StepError::Failed(Error::Query("no".to_owned()));
        for (trial, status, message) in [
            (Ok((0, vec![])), Status::Ok, ""),
            (Ok((5, vec![])), Status::Ok, "; 5 tried"),
            (
                Ok((5, vec![(UserUnknown, 1), (NoUserType, 2)])),
                Status::Warning,
                "; of 5 tried, 1 have a user who is not in users, or hidden there, 2 have a user without user_type",
            ),
            (
                Ok((2, vec![(OtherUserType, 2)])),
                Status::Failed,
                "; of 2 tried, 2 have a user whose user_type is neither client nor internal",
            ),
            (Err(failed), Status::Failed, "; trying one of them: the database refused the query: no"),
        ] {
            let trial =
                trial.map(|(tried, refused)| Trial { tried, refused: refused.into_iter().collect(), error: None });
            let counts = Ok(Counts::Exact { live: 5, expired: 0, revoked: 0 });
            let check = judge(&counts, &Some(trial), &Ok(healthy()), &Schema::new(None), "me");
            assert_eq!((check.status, check.message), (status, format!("5 live, 0 expired, 0 revoked{message}")));
            assert_eq!(check.advice.is_some(), status != Status::Ok);
        }
    }
}
