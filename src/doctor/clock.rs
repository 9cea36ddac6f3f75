//! How far the server's clock is from this machine's.
#![forbid(unsafe_code)]

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::check::Check;
use crate::claims::CLOCK_TOLERANCE;
use crate::postgres::{Answer, Examiner};

pub(super) const ID: &str = "clock";

const NOTICEABLE_SECONDS: f64 = 1.0;
const ROUND_TRIPS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clock {
    /// In seconds; negative where the server's is behind.
    ahead: f64,
    /// It may be more or less by so much.
    uncertainty: f64,
}

/// The answer that came quickest, which tells the most.
pub(super) async fn ask(examiner: &Examiner<'_>) -> Answer<Clock> {
    let mut closest = ask_once(examiner).await?;
    for _ in 1..ROUND_TRIPS {
        let clock = ask_once(examiner).await?;
        if clock.uncertainty < closest.uncertainty {
            closest = clock;
        }
    }
    Ok(closest)
}

async fn ask_once(examiner: &Examiner<'_>) -> Answer<Clock> {
    const SQL: &str = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8";
    let before = SystemTime::now();
    let shown = examiner.row("asking for the time", SQL, &[], |row| row.try_get(0)).await?;
    Ok(Clock::between(since_1970(before), shown, since_1970(SystemTime::now())))
}

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or_else(|early| -early.duration().as_secs_f64(), |time| time.as_secs_f64())
}

impl Clock {
    /// From what the server's clock showed between two moments of ours.
    fn between(before: f64, shown: f64, after: f64) -> Self {
        Self { ahead: shown - (before + after) / 2.0, uncertainty: (after - before) / 2.0 }
    }
}

pub(super) fn judge(clock: &Answer<Clock>) -> Check {
    let clock = match clock {
        Ok(clock) => clock,
        Err(unanswered) => return Check::unanswered(ID, unanswered),
    };
    let Clock { ahead, uncertainty } = clock;
    let direction = if *ahead < 0.0 { "behind" } else { "ahead of" };
    let message =
        format!("the server's is {:.3} s {direction} this machine's (give or take {uncertainty:.3} s)", ahead.abs());
    let advice = format!(
        "Set both clocks by NTP. A token's times are judged by this machine's, with {CLOCK_TOLERANCE} s of tolerance;\n\
         expires_at of a session by the server's. Where they differ, sessions end too soon or too late."
    );
    // At least so much.
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
    fn the_clock_is_read_in_the_middle_of_the_round_trip() {
        for (shown, ahead) in [(101.0, 0.0), (111.0, 10.0), (81.0, -20.0)] {
            assert_eq!(Clock::between(100.0, shown, 102.0), Clock { ahead, uncertainty: 1.0 });
        }
    }

    #[test]
    fn how_far_is_too_far() {
        for (ahead, uncertainty, status) in [
            (0.9, 0.01, Status::Ok),
            (-1.1, 0.01, Status::Warning),
            (14.9, 0.01, Status::Warning),
            (-15.1, 0.01, Status::Failed),
            // The network may have made the distance.
            (1.5, 1.0, Status::Ok),
        ] {
            assert_eq!(judge(&Ok(Clock { ahead, uncertainty })).status, status, "{ahead}");
        }
        let message = judge(&Ok(Clock { ahead: -1.25, uncertainty: 0.0004 })).message;
        assert_eq!(message, "the server's is 1.250 s behind this machine's (give or take 0.000 s)");
    }
}
