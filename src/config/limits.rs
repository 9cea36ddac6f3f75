//! The limits that an app can set: names, ranges and defaults.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::error::Error;

/// The longest timeout that can be set.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest `maxLifetime` and `idleTimeout` that can be set: a week.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The highest `maxConnections` that can be set.
pub const MAX_CONNECTIONS: usize = 1000;
/// The highest `maxWaiting` that can be set.
const MAX_WAITING: usize = 1_000_000;
/// The highest `maxStaleness` that can be set: an hour.
const MAX_STALENESS: Duration = Duration::from_secs(60 * 60);
/// The highest `maxCached` that can be set.
const MAX_CACHED: usize = 1_000_000;

pub const DEFAULT_MAX_CONNECTIONS: usize = 10;
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_QUERY_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(10);
pub const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_MAX_WAITING: usize = 10_000;
const DEFAULT_MAX_CACHED: usize = 10_000;

/// The options as JavaScript passes them: times in milliseconds, and `None` for the default.
#[derive(Clone, Copy, Default)]
pub struct LimitOptions {
    pub connect_timeout: Option<f64>,
    pub query_timeout: Option<f64>,
    pub call_timeout: Option<f64>,
    pub max_connections: Option<f64>,
    pub max_lifetime: Option<f64>,
    pub idle_timeout: Option<f64>,
    pub max_waiting: Option<f64>,
    pub max_staleness: Option<f64>,
    pub max_cached: Option<f64>,
}

/// The validated limits of one bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most time for one attempt to connect to one address. If `None`, the URL or else the default decides.
    pub connect_timeout: Option<Duration>,
    /// The most time for one query.
    pub query_timeout: Duration,
    /// The most time for a call as a whole.
    pub call_timeout: Duration,
    /// The most connections. If `None`, the URL or else the default decides.
    pub max_connections: Option<usize>,
    /// For how long a connection is used; zero for no end. If `None`, the URL or else the default decides.
    pub max_lifetime: Option<Duration>,
    /// After which time an idle connection is closed; zero for never. If `None`, the URL or else the default decides.
    pub idle_timeout: Option<Duration>,
    /// The most calls that wait for a query; further calls are rejected.
    pub max_waiting: usize,
    /// `None` if each call asks the database.
    pub cache: Option<CacheLimits>,
}

/// For how long answers of the database serve later calls, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    pub max_staleness: Duration,
    pub max_cached: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: None,
            query_timeout: DEFAULT_QUERY_TIMEOUT,
            call_timeout: DEFAULT_CALL_TIMEOUT,
            max_connections: None,
            max_lifetime: None,
            idle_timeout: None,
            max_waiting: DEFAULT_MAX_WAITING,
            cache: None,
        }
    }
}

impl Limits {
    pub fn new(options: LimitOptions) -> Result<Self, Error> {
        let default = Self::default();
        let max_staleness = milliseconds("maxStaleness", options.max_staleness, Duration::ZERO, MAX_STALENESS)?;
        let max_cached = count("maxCached", options.max_cached, MAX_CACHED)?.unwrap_or(DEFAULT_MAX_CACHED);
        let max_staleness = max_staleness.filter(|duration| !duration.is_zero());
        Ok(Self {
            cache: max_staleness.map(|max_staleness| CacheLimits { max_staleness, max_cached }),
            connect_timeout: timeout("connectTimeout", options.connect_timeout)?,
            query_timeout: timeout("queryTimeout", options.query_timeout)?.unwrap_or(default.query_timeout),
            call_timeout: timeout("callTimeout", options.call_timeout)?.unwrap_or(default.call_timeout),
            max_connections: count("maxConnections", options.max_connections, MAX_CONNECTIONS)?,
            max_lifetime: milliseconds("maxLifetime", options.max_lifetime, Duration::ZERO, MAX_AGE)?,
            idle_timeout: milliseconds("idleTimeout", options.idle_timeout, Duration::ZERO, MAX_AGE)?,
            max_waiting: count("maxWaiting", options.max_waiting, MAX_WAITING)?.unwrap_or(default.max_waiting),
        })
    }
}

fn timeout(name: &str, value: Option<f64>) -> Result<Option<Duration>, Error> {
    milliseconds(name, value, Duration::from_millis(1), MAX_TIMEOUT)
}

fn milliseconds(name: &str, value: Option<f64>, min: Duration, max: Duration) -> Result<Option<Duration>, Error> {
    let (min, max) = (min.as_millis() as usize, max.as_millis() as usize);
    let problem = || Error::config(name, format!("must be a whole number of milliseconds from {min} to {max}"));
    value.map(|value| Ok(Duration::from_millis(whole_number(value, min, max).ok_or_else(problem)? as u64))).transpose()
}

fn count(name: &str, value: Option<f64>, max: usize) -> Result<Option<usize>, Error> {
    let problem = || Error::config(name, format!("must be a whole number from 1 to {max}"));
    value.map(|value| whole_number(value, 1, max).ok_or_else(problem)).transpose()
}

pub(super) fn whole_number(value: f64, min: usize, max: usize) -> Option<usize> {
    ((min as f64..=max as f64).contains(&value) && value.fract() == 0.0).then_some(value as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_and_out_of_range() {
        for value in [0.0, -1.0, 0.5, 1.5, f64::NAN, f64::INFINITY, 1e12] {
            for (options, name) in [
                (LimitOptions { connect_timeout: Some(value), ..LimitOptions::default() }, "connectTimeout: "),
                (LimitOptions { query_timeout: Some(value), ..LimitOptions::default() }, "queryTimeout: "),
                (LimitOptions { call_timeout: Some(value), ..LimitOptions::default() }, "callTimeout: "),
                (LimitOptions { max_connections: Some(value), ..LimitOptions::default() }, "maxConnections: "),
                (LimitOptions { max_waiting: Some(value), ..LimitOptions::default() }, "maxWaiting: "),
                (LimitOptions { max_lifetime: Some(value), ..LimitOptions::default() }, "maxLifetime: "),
                (LimitOptions { idle_timeout: Some(value), ..LimitOptions::default() }, "idleTimeout: "),
                (LimitOptions { max_staleness: Some(value), ..LimitOptions::default() }, "maxStaleness: "),
                (LimitOptions { max_cached: Some(value), ..LimitOptions::default() }, "maxCached: "),
            ] {
                if value == 0.0 && ["maxLifetime: ", "idleTimeout: ", "maxStaleness: "].contains(&name) {
                    assert!(Limits::new(options).is_ok(), "{name}: zero is no limit");
                    continue;
                }
                let error = Limits::new(options).expect_err("is out of range");
                assert!(error.to_string().starts_with(name), "{value}: {error}");
            }
        }
        let options = LimitOptions {
            connect_timeout: Some(1.0),
            query_timeout: Some(600_000.0),
            call_timeout: Some(20.0),
            max_connections: Some(1000.0),
            max_lifetime: Some(0.0),
            idle_timeout: Some(604_800_000.0),
            max_waiting: Some(1.0),
            max_staleness: Some(3_600_000.0),
            max_cached: Some(1_000_000.0),
        };
        let limits = Limits {
            connect_timeout: Some(Duration::from_millis(1)),
            query_timeout: MAX_TIMEOUT,
            call_timeout: Duration::from_millis(20),
            max_connections: Some(1000),
            max_lifetime: Some(Duration::ZERO),
            idle_timeout: Some(MAX_AGE),
            max_waiting: 1,
            cache: Some(CacheLimits { max_staleness: MAX_STALENESS, max_cached: MAX_CACHED }),
        };
        assert_eq!(Limits::new(options), Ok(limits));
        for none in [None, Some(0.0)] {
            let options = LimitOptions { max_staleness: none, ..LimitOptions::default() };
            assert_eq!(Limits::new(options), Ok(Limits::default()));
        }
    }
}
