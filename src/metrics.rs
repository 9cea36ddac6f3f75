//! Counters and histograms of a bridge. A call costs a few atomic additions.
#![forbid(unsafe_code)]

use std::array;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::outcome::{Outcome, Status};
use crate::store::{CacheStatus, ListenerStatus, PoolStatus};

#[derive(Debug)]
pub struct Metrics {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    /// How long calls took that queried the database, in microseconds.
    latency: Histogram,
    /// How many different sessions each query was for.
    batches: Histogram,
    /// Calls whose request had sessions of different users.
    several_users: AtomicU64,
    rolls: [AtomicU64; Roll::ALL.len()],
    writes: [AtomicU64; Write::ALL.len()],
    /// Sign-outs that could not end their session.
    failed_sign_outs: AtomicU64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Created,
    Revoked,
    Deleted,
}

impl Write {
    const ALL: [Self; 3] = [Self::Created, Self::Revoked, Self::Deleted];
}

/// What became of a token that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roll {
    Issued,
    /// Another transaction held its row.
    Held,
    /// The database doesn't slide rows.
    Refused,
    /// The new token would have been too large.
    TooLarge,
}

impl Roll {
    const ALL: [Self; 4] = [Self::Issued, Self::Held, Self::Refused, Self::TooLarge];
}

impl Default for Metrics {
    fn default() -> Self {
        let outcomes = array::from_fn(|_| AtomicU64::default());
        Self {
            outcomes,
            latency: Histogram::default(),
            batches: Histogram::default(),
            several_users: AtomicU64::default(),
            rolls: array::from_fn(|_| AtomicU64::default()),
            writes: array::from_fn(|_| AtomicU64::default()),
            failed_sign_outs: AtomicU64::default(),
        }
    }
}

impl Metrics {
    pub fn count(&self, outcome: Outcome) {
        add(&self.outcomes[outcome as usize], 1);
    }

    pub fn count_several_users(&self) {
        add(&self.several_users, 1);
    }

    pub fn count_roll(&self, roll: Roll) {
        add(&self.rolls[roll as usize], 1);
    }

    pub fn count_written(&self, write: Write, sessions: u64) {
        add(&self.writes[write as usize], sessions);
    }

    pub fn count_failed_sign_out(&self) {
        add(&self.failed_sign_outs, 1);
    }

    pub fn count_latency(&self, latency: Duration) {
        self.latency.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn count_batch(&self, sessions: usize) {
        self.batches.record(sessions as u64);
    }

    /// `pending` is the number of calls without an outcome yet.
    pub fn snapshot(
        &self,
        pending: usize,
        pool: PoolStatus,
        cache: CacheStatus,
        listener: Option<ListenerStatus>,
    ) -> Stats {
        let by_name = |status| -> BTreeMap<_, _> {
            let of_status = |outcome: &Outcome| outcome.is_counted() && outcome.status() == status;
            let count = |outcome| (Outcome::name(outcome), self.outcomes[outcome as usize].load(Ordering::Relaxed));
            Outcome::ALL.into_iter().filter(of_status).map(count).collect()
        };
        let (reasons, errors) = (by_name(Status::Unauthenticated), by_name(Status::Unavailable));
        Stats {
            calls: Calls {
                authenticated: by_name(Status::Authenticated).values().sum(),
                unauthenticated: reasons.values().sum(),
                failed: errors.values().sum(),
                pending,
            },
            reasons,
            errors,
            latency: self.latency.snapshot(|microseconds| microseconds as f64 / 1000.0),
            batches: self.batches.snapshot(|sessions| sessions as f64),
            several_users: self.several_users.load(Ordering::Relaxed),
            rolls: {
                let [issued, held, refused, too_large] =
                    Roll::ALL.map(|roll| self.rolls[roll as usize].load(Ordering::Relaxed));
                Rolls { issued, held, refused, too_large }
            },
            sessions: {
                let [created, revoked, deleted] =
                    Write::ALL.map(|write| self.writes[write as usize].load(Ordering::Relaxed));
                Written { created, revoked, deleted }
            },
            failed_sign_outs: self.failed_sign_outs.load(Ordering::Relaxed),
            cache,
            listener,
            pool,
        }
    }
}

fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

/// Serialises to `BridgeStats` of `index.d.ts`.
#[derive(Debug, Serialize)]
pub struct Stats {
    pub calls: Calls,
    pub reasons: BTreeMap<&'static str, u64>,
    pub errors: BTreeMap<&'static str, u64>,
    pub latency: Distribution,
    pub batches: Distribution,
    #[serde(rename = "severalUsers")]
    pub several_users: u64,
    pub rolls: Rolls,
    pub sessions: Written,
    #[serde(rename = "failedSignOuts")]
    pub failed_sign_outs: u64,
    pub cache: CacheStatus,
    pub listener: Option<ListenerStatus>,
    pub pool: PoolStatus,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Calls {
    pub authenticated: u64,
    pub unauthenticated: u64,
    pub failed: u64,
    pub pending: usize,
}

/// How often each [`Roll`] was.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rolls {
    pub issued: u64,
    pub held: u64,
    pub refused: u64,
    pub too_large: u64,
}

/// How many sessions each [`Write`] was for.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    pub created: u64,
    pub revoked: u64,
    pub deleted: u64,
}

#[derive(Debug, Serialize)]
pub struct Distribution {
    pub count: u64,
    pub sum: f64,
    pub max: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    /// Cumulative, as in a Prometheus histogram.
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// The inclusive upper bound.
    pub le: f64,
    /// How many values are at most `le`.
    pub count: u64,
}

/// How many buckets there are between two powers of two (as in HdrHistogram). A quantile is too high by an eighth at most.
const SUB_BUCKETS: usize = 8;
const SUB_BUCKET_BITS: usize = SUB_BUCKETS.ilog2() as usize;
/// Values above 2 to this power are counted in the last bucket.
const MAX_POWER: usize = 28;
const BUCKETS: usize = (MAX_POWER - SUB_BUCKET_BITS + 1) * SUB_BUCKETS;

/// Counts whole numbers from 1 on, in buckets whose width grows with the numbers.
#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU64::default()), sum: AtomicU64::default(), max: AtomicU64::default() }
    }
}

impl Histogram {
    fn record(&self, value: u64) {
        add(&self.buckets[bucket_of(value)], 1);
        add(&self.sum, value);
        self.max.fetch_max(value, Ordering::Relaxed);
    }

    fn snapshot(&self, unit: impl Fn(u64) -> f64) -> Distribution {
        let counts: Vec<_> = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let cumulative: Vec<u64> = counts
            .iter()
            .scan(0, |total, count| {
                *total += count;
                Some(*total)
            })
            .collect();
        let count = cumulative.last().copied().unwrap_or(0);
        let max = self.max.load(Ordering::Relaxed);
        // The upper bound of the bucket that the percentile is in.
        let quantile = |percent: u64| {
            let rank = (count * percent).div_ceil(100);
            let index = cumulative.iter().position(|total| *total >= rank).unwrap_or(0);
            if count == 0 { 0.0 } else { unit(upper_bound(index).min(max)) }
        };
        let powers = cumulative.iter().enumerate().filter(|(index, _)| upper_bound(*index).is_power_of_two());
        Distribution {
            count,
            sum: unit(self.sum.load(Ordering::Relaxed)),
            max: unit(max),
            p50: quantile(50),
            p95: quantile(95),
            p99: quantile(99),
            buckets: powers.map(|(index, total)| Bucket { le: unit(upper_bound(index)), count: *total }).collect(),
        }
    }
}

/// The index of the bucket for a value. The first buckets are for one value each, then there are eight for each
/// power of two.
fn bucket_of(value: u64) -> usize {
    let zero_based = value.saturating_sub(1);
    let Some(power) = zero_based.checked_ilog2().map(|power| power as usize).filter(|power| *power >= SUB_BUCKET_BITS)
    else {
        return zero_based as usize;
    };
    let part = (zero_based >> (power - SUB_BUCKET_BITS)) as usize - SUB_BUCKETS;
    ((power - SUB_BUCKET_BITS + 1) * SUB_BUCKETS + part).min(BUCKETS - 1)
}

/// The highest value of the bucket at `index`.
fn upper_bound(index: usize) -> u64 {
    let (group, part) = (index / SUB_BUCKETS, index % SUB_BUCKETS);
    match group.checked_sub(1) {
        None => part as u64 + 1,
        Some(shift) => ((SUB_BUCKETS + part + 1) as u64) << shift,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_counted_in_the_first_bucket_whose_upper_bound_it_does_not_exceed(value in 1..1_u64 << MAX_POWER) {
            let index = bucket_of(value);
            prop_assert!(value <= upper_bound(index));
            prop_assert!(index == 0 || value > upper_bound(index - 1));
            prop_assert!(upper_bound(index) as f64 <= value as f64 * 1.125 + 1.0);
        }
    }

    #[test]
    fn values_above_the_last_bound_are_counted_in_the_last_bucket() {
        assert_eq!(bucket_of(0), 0);
        for value in [1 << MAX_POWER, (1 << MAX_POWER) + 1, u64::MAX] {
            assert_eq!(bucket_of(value), BUCKETS - 1, "{value}");
        }
        assert_eq!(upper_bound(BUCKETS - 1), 1 << MAX_POWER);
    }

    #[test]
    fn quantiles_and_buckets() {
        let histogram = Histogram::default();
        let empty = histogram.snapshot(|value| value as f64);
        assert_eq!((empty.count, empty.p50, empty.max), (0, 0.0, 0.0));
        for value in 1..=100 {
            histogram.record(value);
        }
        let distribution = histogram.snapshot(|value| value as f64);
        assert_eq!((distribution.count, distribution.sum, distribution.max), (100, 5050.0, 100.0));
        assert_eq!((distribution.p50, distribution.p95, distribution.p99), (52.0, 96.0, 100.0));
        let cumulative: Vec<_> = distribution.buckets.iter().map(|bucket| (bucket.le, bucket.count)).take(9).collect();
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256].map(|le: u64| (le as f64, le.min(100)));
        assert_eq!(cumulative, expected);
        assert_eq!(distribution.buckets.last(), Some(&Bucket { le: (1_u64 << MAX_POWER) as f64, count: 100 }));
    }

    #[test]
    fn outcomes_are_counted_by_reason_and_code() {
        let metrics = Metrics::default();
        for outcome in [Outcome::Live, Outcome::SessionRevoked, Outcome::NoCookie, Outcome::NoCookie] {
            metrics.count(outcome);
        }
        metrics.count(Outcome::Database);
        metrics.count(Outcome::Closed);
        for roll in [Roll::Issued, Roll::Held, Roll::Held, Roll::TooLarge] {
            metrics.count_roll(roll);
        }
        let stats = metrics.snapshot(7, PoolStatus::default(), CacheStatus::default(), None);
        assert_eq!(stats.calls, Calls { authenticated: 1, unauthenticated: 3, failed: 2, pending: 7 });
        assert_eq!(stats.rolls, Rolls { issued: 1, held: 2, refused: 0, too_large: 1 });
        assert_eq!((stats.reasons["no-cookie"], stats.reasons["session-revoked"]), (2, 1));
        assert_eq!((stats.errors["ERR_AUTH_BRIDGE_DATABASE"], stats.errors["ERR_AUTH_BRIDGE_CLOSED"]), (1, 1));
    }

    #[test]
    fn stats_have_every_counted_outcome_even_if_it_never_occurred() {
        let stats = Metrics::default().snapshot(0, PoolStatus::default(), CacheStatus::default(), None);
        let counted: Vec<_> = Outcome::ALL.into_iter().filter(|outcome| outcome.is_counted()).collect();
        assert_eq!(stats.reasons.len() + stats.errors.len() + 1, counted.len());
        assert!(!stats.reasons.contains_key("chunk-gap"), "only explainSession looks for it");
    }
}
