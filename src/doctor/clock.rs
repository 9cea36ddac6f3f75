//! Compares the server's clock with the clock of this machine.
#![forbid(unsafe_code)]

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::check::Check;
use crate::claims::CLOCK_TOLERANCE;
use crate::postgres::{Examiner, StepResult};

pub(super) const ID: &str = "clock";

const NOTICEABLE_SECONDS: f64 = 1.0;
const ROUND_TRIPS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clock {
    /// How far the server's clock is ahead, in seconds; negative if it is behind.
    ahead: f64,
    /// The maximum error of `ahead`, in seconds.
    uncertainty: f64,
}

/// Keeps the measurement with the shortest round trip, which is the most accurate.
pub(super) async fn query(examiner: &Examiner<'_>) -> StepResult<Clock> {
    let mut closest = measure_once(examiner).await?;
    for _ in 1..ROUND_TRIPS {
        let clock = measure_once(examiner).await?;
        if clock.uncertainty < closest.uncertainty {
            closest = clock;
        }
    }
    Ok(closest)
}

async fn measure_once(examiner: &Examiner<'_>) -> StepResult<Clock> {
    const SQL: &str = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::pg_catalog.float8";
    let before = SystemTime::now();
    let shown = examiner.row("asking for the time", SQL, &[], |row| row.try_get(0)).await?;
    Ok(Clock::between(since_1970(before), shown, since_1970(SystemTime::now())))
}

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or_else(|early| -early.duration().as_secs_f64(), |time| time.as_secs_f64())
}

impl Clock {
    /// `shown` is the server's time; `before` and `after` are the times of this machine around the query.
    fn between(before: f64, shown: f64, after: f64) -> Self {
        Self { ahead: shown - (before + after) / 2.0, uncertainty: (after - before) / 2.0 }
    }
}

pub(super) fn judge(clock: &StepResult<Clock>) -> Check {
    let clock = match clock {
        Ok(clock) => clock,
        Err(error) => return Check::from_step_error(ID, error),
    };
    let Clock { ahead, uncertainty } = clock;
    let direction = if *ahead < 0.0 { "behind" } else { "ahead of" };
    let message = format!("the server's is {:.3} s {direction} this machine's (+/- {uncertainty:.3} s)", ahead.abs());
    let advice = format!(
        "Synchronize both clocks with NTP. A token's times are compared with this machine's, with {CLOCK_TOLERANCE} s of \
         tolerance;\nexpires_at of a session with the server's. If they differ, sessions end too early or too late."
    );
    // The minimum, since the measurement may be off by `uncertainty`.
    let distance = ahead.abs() - uncertainty;
    let check = if distance < NOTICEABLE_SECONDS {
        Check::ok(ID, message)
    } else if distance < CLOCK_TOLERANCE {
        Check::warning(ID, message, advice)
    } else {
        Check::failed(ID, message, advice)
    };
    check.with_details(clock)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn the_clock_is_assumed_to_be_read_in_the_middle_of_the_round_trip() {
        for (shown, ahead) in [(101.0, 0.0), (111.0, 10.0), (81.0, -20.0)] {
            assert_eq!(Clock::between(100.0, shown, 102.0), Clock { ahead, uncertainty: 1.0 });
        }
    }

    #[test]
    fn status_by_distance_of_the_clocks() {
        for (ahead, uncertainty, status) in [
            (0.9, 0.01, Status::Ok),
            (-1.1, 0.01, Status::Warning),
            (14.9, 0.01, Status::Warning),
            (-15.1, 0.01, Status::Failed),
            // The difference may be due to the network.
            (1.5, 1.0, Status::Ok),
        ] {
            assert_eq!(judge(&Ok(Clock { ahead, uncertainty })).status, status, "{ahead}");
        }
        let message = judge(&Ok(Clock { ahead: -1.25, uncertainty: 0.0004 })).message;
        assert_eq!(message, "the server's is 1.250 s behind this machine's (+/- 0.000 s)");
    }
}
