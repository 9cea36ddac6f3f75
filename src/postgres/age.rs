//! How old connections are: which are used, which have to answer a probe first, and which are replaced.
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What was idle for longer has to answer a probe: a router in between may have forgotten it without a word.
const PROBED_AFTER: Duration = Duration::from_secs(60);
/// A connection lives for a random part less than the longest lifetime, at most this one, so that connections that were
/// opened together don't end together.
const JITTER: f64 = 0.1;

/// A point in time by two clocks. The monotonic one stands still while the process is frozen, and the other one can be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// By the clock that says longer.
    fn since(self, earlier: Self) -> Duration {
        let by_wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        self.monotonic.saturating_duration_since(earlier.monotonic).max(by_wall)
    }
}

/// The age of one connection.
#[derive(Debug)]
pub(super) struct Age {
    opened: Moment,
    /// When the server last answered on it.
    answered: Moment,
    /// `None` for no end.
    lifetime: Option<Duration>,
}

impl Age {
    pub(super) fn new(max_lifetime: Option<Duration>) -> Self {
        let now = Moment::now();
        let lifetime = max_lifetime.map(|max| max.mul_f64(1.0 - JITTER * rand::random::<f64>()));
        Self { opened: now, answered: now, lifetime }
    }

    /// The server has just answered.
    pub(super) fn answered(&mut self) {
        self.answered = Moment::now();
    }

    pub(super) fn idle(&self, now: Moment) -> Duration {
        now.since(self.answered)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    Usable,
    /// Usable if it answers a probe.
    Doubtful,
    Unusable,
}

/// What is known about all connections of a pool.
pub(super) struct Trust {
    probed_after: Duration,
    marks: Mutex<Marks>,
}

/// Connections are doubtful or unusable whose time is not after the mark.
#[derive(Default)]
struct Marks {
    /// Unusable is what was opened until then.
    replaced: Option<Instant>,
    /// Unusable is what has last answered until then.
    lost: Option<Instant>,
    /// Doubtful is what has last answered until then.
    doubted: Option<Instant>,
}

impl Trust {
    pub(super) fn new(idle_timeout: Option<Duration>) -> Self {
        let probed_after = idle_timeout.unwrap_or(PROBED_AFTER).min(PROBED_AFTER);
        Self { probed_after, marks: Mutex::default() }
    }

    /// From now on only connections that are opened after this are used.
    pub(super) fn replace_all(&self) {
        self.marks().replaced = Some(Instant::now());
    }

    /// A query was not answered in time. The network may be at fault, so each connection must answer before it is used
    /// again.
    pub(super) fn doubt_all(&self) {
        self.marks().doubted = Some(Instant::now());
    }

    /// A connection of this age does not answer, so those that were idle for longer won't either.
    pub(super) fn lose(&self, age: &Age) {
        let mut marks = self.marks();
        marks.lost = marks.lost.max(Some(age.answered.monotonic));
    }

    pub(super) fn fitness(&self, age: &Age, now: Moment) -> Fitness {
        let Marks { replaced, lost, doubted } = *self.marks();
        let (opened, answered) = (Some(age.opened.monotonic), Some(age.answered.monotonic));
        if age.lifetime.is_some_and(|lifetime| now.since(age.opened) >= lifetime)
            || opened <= replaced
            || answered <= lost
        {
            return Fitness::Unusable;
        }
        if age.idle(now) >= self.probed_after || answered <= doubted { Fitness::Doubtful } else { Fitness::Usable }
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        // A poisoned lock is harmless here: each change is a single assignment.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// `now` after time has passed by each clock.
    fn later(monotonic: Duration, wall: Duration) -> Moment {
        let now = Moment::now();
        Moment { monotonic: now.monotonic + monotonic, wall: now.wall + wall }
    }

    #[test]
    fn age_counts_by_the_clock_that_says_longer() {
        let age = Age::new(Some(60 * MINUTE));
        let trust = Trust::new(None);
        let second = Duration::from_secs(1);
        for (case, now, expected) in [
            ("new", later(Duration::ZERO, Duration::ZERO), Fitness::Usable),
            ("idle for less than a minute", later(MINUTE - second, MINUTE - second), Fitness::Usable),
            ("idle for a minute", later(MINUTE, MINUTE), Fitness::Doubtful),
            ("frozen for a minute", later(Duration::ZERO, MINUTE), Fitness::Doubtful),
            (
                "the wall clock was set back",
                Moment { wall: SystemTime::UNIX_EPOCH, ..later(second, second) },
                Fitness::Usable,
            ),
            (
                "idle, and the wall clock was set back",
                Moment { wall: SystemTime::UNIX_EPOCH, ..later(MINUTE, second) },
                Fitness::Doubtful,
            ),
            ("not quite as old as the jitter lets it become", later(53 * MINUTE, 53 * MINUTE), Fitness::Doubtful),
            ("too old", later(60 * MINUTE, 60 * MINUTE), Fitness::Unusable),
            ("too old by the wall clock", later(Duration::ZERO, 60 * MINUTE), Fitness::Unusable),
        ] {
            assert_eq!(trust.fitness(&age, now), expected, "{case}");
        }
    }

    #[test]
    fn connections_that_were_opened_together_do_not_end_together() {
        let lifetimes: Vec<_> = (0..100).map(|_| Age::new(Some(100 * MINUTE)).lifetime.expect("is set")).collect();
        assert!(lifetimes.iter().all(|lifetime| (90 * MINUTE..=100 * MINUTE).contains(lifetime)), "{lifetimes:?}");
        let distinct: std::collections::HashSet<_> = lifetimes.iter().collect();
        assert!(distinct.len() > 90, "{distinct:?}");
    }

    #[test]
    fn limits_that_are_off_or_short() {
        let day = later(24 * 60 * MINUTE, 24 * 60 * MINUTE);
        let without_end = Age::new(None);
        assert_eq!(
            Trust::new(None).fitness(&without_end, day),
            Fitness::Doubtful,
            "it is probed for ever, never too old"
        );
        let second = Duration::from_secs(1);
        assert_eq!(Trust::new(Some(second)).fitness(&without_end, later(second, second)), Fitness::Doubtful);
        assert_eq!(Trust::new(Some(2 * MINUTE)).fitness(&without_end, later(MINUTE, MINUTE)), Fitness::Doubtful);
    }

    #[test]
    fn marks_count_for_connections_that_have_not_answered_since() {
        let trust = Trust::new(None);
        let fitness = |age: &Age| trust.fitness(age, Moment::now());
        let ticking = || std::thread::sleep(Duration::from_millis(2));
        let (older, mut newer) = (Age::new(None), Age::new(None));
        ticking();
        trust.doubt_all();
        ticking();
        newer.answered();
        assert_eq!([fitness(&older), fitness(&newer)], [Fitness::Doubtful, Fitness::Usable]);
        trust.lose(&older);
        assert_eq!([fitness(&older), fitness(&newer)], [Fitness::Unusable, Fitness::Usable]);
        trust.replace_all();
        ticking();
        newer.answered();
        assert_eq!(fitness(&newer), Fitness::Unusable, "whatever it has answered");
        assert_eq!(fitness(&Age::new(None)), Fitness::Usable);
    }
}
