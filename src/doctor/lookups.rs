//! Whether session lookups work, and how long they take.
#![forbid(unsafe_code)]

use std::time::Instant;

use serde::Serialize;

use super::check::Check;
use super::connection::in_milliseconds;
use super::pooler;
use crate::error::Error;
use crate::postgres::{Examiner, StepError, StepResult};

pub(super) const ID: &str = "lookups";

const LOOKUPS: usize = 10;

/// In milliseconds.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Latencies {
    first: f64,
    median: f64,
    worst: f64,
}

/// Runs the lookups one after the other.
pub(super) async fn query(examiner: &Examiner<'_>) -> StepResult<Latencies> {
    let mut milliseconds = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let start = Instant::now();
        let found = examiner.find_nobody().await?;
        found.map_err(StepError::Failed)?;
        milliseconds.push(in_milliseconds(start.elapsed()));
    }
    Ok(Latencies::of(milliseconds))
}

impl Latencies {
    /// `milliseconds` must not be empty.
    fn of(mut milliseconds: Vec<f64>) -> Self {
        let first = milliseconds[0];
        milliseconds.sort_by(f64::total_cmp);
        Self { first, median: milliseconds[milliseconds.len() / 2], worst: milliseconds[milliseconds.len() - 1] }
    }
}

/// `failed_check` is the check that explains why lookups fail, if there is one.
pub(super) fn judge(latencies: &StepResult<Latencies>, failed_check: Option<&str>) -> Check {
    match latencies {
        Ok(latencies) => {
            let Latencies { first, median, worst } = latencies;
            let message =
                format!("{LOOKUPS} in a row: {median} ms median, {first} ms the first, {worst} ms the slowest");
            Check::ok(ID, message).with_details(latencies)
        }
        Err(StepError::Failed(error)) => {
            let (message, advice) =
                pooler::advice_in(error).unwrap_or_else(|| (error.to_string(), advice(error, failed_check)));
            Check::failed(ID, message, advice).with_details(error)
        }
        Err(lost) => Check::from_step_error(ID, lost),
    }
}

fn advice(error: &Error, failed_check: Option<&str>) -> String {
    let is_timeout = matches!(error, Error::Timeout { .. } | Error::Cancelled(_));
    match failed_check {
        _ if is_timeout => "Check the tables for locks, and the load of the server.".to_owned(),
        Some(id) => format!("Fix {id} first."),
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
    fn first_median_and_worst_latency() {
        let latencies = Latencies::of(vec![9.0, 1.0, 3.0, 2.0]);
        assert_eq!(latencies, Latencies { first: 9.0, median: 3.0, worst: 9.0 });
        assert_eq!(Latencies::of(vec![1.0]), Latencies { first: 1.0, median: 1.0, worst: 1.0 });
        let check = judge(&Ok(latencies), None);
        assert_eq!(check.message, "10 in a row: 3 ms median, 9 ms the first, 9 ms the slowest");
    }

    #[test]
    fn advice_for_each_lookup_error() {
        let late = Error::Timeout { step: "the session query", limit: Duration::from_secs(5) };
        let refused = || Error::Query("no".to_owned());
        let of_pooler = Error::Query(format!("gone{POOLER_ADVICE}"));
        for (error, failed_check, advice) in [
            (late, Some("columns"), "Check the tables for locks"),
            (Error::Cancelled("statement timeout".to_owned()), None, "Check the tables for locks"),
            (refused(), Some("columns"), "Fix columns first."),
            (refused(), None, SEE_LOG),
            (of_pooler, Some("columns"), "Behind a pooler"),
        ] {
            let check = judge(&Err(StepError::Failed(error)), failed_check);
            assert_eq!(check.status, Status::Failed, "{advice}");
            assert!(check.advice.expect("has one").starts_with(advice), "{advice}");
        }
        assert_eq!(judge(&Err(StepError::ConnectionLost), None).status, Status::Skipped);
    }
}
