//! Whether sessions can be looked up, and how long that takes.
#![forbid(unsafe_code)]

use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;

use super::check::Check;
use super::connection::in_milliseconds;
use super::pooler;
use crate::error::Error;
use crate::postgres::{Answer, Examiner, Unanswered};
use crate::store::SessionKey;

pub(super) const ID: &str = "lookups";

const LOOKUPS: usize = 10;
/// A session that there is not.
const NOBODY: SessionKey = SessionKey { tenant: Uuid::nil(), session_id: Uuid::nil() };

/// In milliseconds.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Latencies {
    first: f64,
    median: f64,
    worst: f64,
}

/// One after the other.
pub(super) async fn ask(examiner: &Examiner<'_>) -> Answer<Latencies> {
    let mut milliseconds = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let start = Instant::now();
        examiner.find_session(NOBODY).await?;
        milliseconds.push(in_milliseconds(start.elapsed()));
    }
    Ok(Latencies::of(milliseconds))
}

impl Latencies {
    /// Of at least one.
    fn of(mut milliseconds: Vec<f64>) -> Self {
        let first = milliseconds[0];
        milliseconds.sort_by(f64::total_cmp);
        Self { first, median: milliseconds[milliseconds.len() / 2], worst: milliseconds[milliseconds.len() - 1] }
    }
}

/// `broken` is the check that tells why a lookup fails, if one does.
pub(super) fn judge(latencies: &Answer<Latencies>, broken: Option<&str>) -> Check {
    match latencies {
        Ok(latencies) => {
            let Latencies { first, median, worst } = latencies;
            let message =
                format!("ten in a row: {median} ms in the median, {first} ms the first, {worst} ms the slowest");
            Check::ok(ID, message).with_details(latencies)
        }
        Err(Unanswered::Failed(error)) => {
            let (message, advice) =
                pooler::advice_in(error).unwrap_or_else(|| (error.to_string(), advice(error, broken)));
            Check::failed(ID, message, advice).with_details(error)
        }
        Err(lost) => Check::unanswered(ID, lost),
    }
}

fn advice(error: &Error, broken: Option<&str>) -> String {
    let is_late = matches!(error, Error::Timeout { .. } | Error::Cancelled(_));
    match broken {
        _ if is_late => "Look for locks on the tables, and at the load of the server.".to_owned(),
        Some(id) => format!("Mend {id} first."),
        None => super::check::SEE_LOG.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::check::{SEE_LOG, Status};
    use super::*;
    use crate::postgres::POOLER_ADVICE;

    #[test]
    fn latencies_of_lookups() {
        let latencies = Latencies::of(vec![9.0, 1.0, 3.0, 2.0]);
        assert_eq!(latencies, Latencies { first: 9.0, median: 3.0, worst: 9.0 });
        assert_eq!(Latencies::of(vec![1.0]), Latencies { first: 1.0, median: 1.0, worst: 1.0 });
        let check = judge(&Ok(latencies), None);
        assert_eq!(check.message, "ten in a row: 3 ms in the median, 9 ms the first, 9 ms the slowest");
    }

    #[test]
    fn what_to_do_where_a_lookup_fails() {
        let late = Error::Timeout { step: "the session query", limit: Duration::from_secs(5) };
        let refused = || Error::Query("no".to_owned());
        let of_pooler = Error::Query(format!("gone{POOLER_ADVICE}"));
        for (error, broken, advice) in [
            (late, Some("columns"), "Look for locks"),
            (Error::Cancelled("by its own limit".to_owned()), None, "Look for locks"),
            (refused(), Some("columns"), "Mend columns first."),
            (refused(), None, SEE_LOG),
            (of_pooler, Some("columns"), "Behind a pooler"),
        ] {
            let check = judge(&Err(Unanswered::Failed(error)), broken);
            assert_eq!(check.status, Status::Failed, "{advice}");
            assert!(check.advice.expect("has one").starts_with(advice), "{advice}");
        }
        assert_eq!(judge(&Err(Unanswered::Lost), None).status, Status::Skipped);
    }
}
