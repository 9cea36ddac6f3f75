//! When a session is due to be slid and its token to be issued anew, and for how long.
#![forbid(unsafe_code)]

use super::read::CLOCK_TOLERANCE;
use crate::store::{Identity, Lifetime};

/// Ages in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rolling {
    /// How long a session lives after it was last slid. If `None`, its token and its row say.
    pub max_age: Option<u32>,
    /// How old a token may become until it is issued anew.
    pub update_age: u32,
}

impl Default for Rolling {
    fn default() -> Self {
        Self { max_age: None, update_age: 300 }
    }
}

impl Rolling {
    /// 400 days: no browser keeps a cookie for longer (RFC 6265bis section 5.5).
    pub const MAX_AGE: u32 = 400 * 24 * 60 * 60;
    /// As Auth.js has it: 30 days.
    pub const DEFAULT_MAX_AGE: u32 = 30 * 24 * 60 * 60;

    /// `now` is in seconds since 1970.
    pub fn is_due(&self, identity: &Identity, now: u64) -> bool {
        let age = now as f64 - identity.rolled_at;
        let limit = self.update_age.min(self.lifetime(identity, now).seconds / 2);
        age < -CLOCK_TOLERANCE || age.max(0.0) >= f64::from(limit)
    }

    /// How long the session is to live from `now` on. A token that doesn't say when it was issued counts from now.
    pub fn lifetime(&self, identity: &Identity, now: u64) -> Lifetime {
        let Identity { issued_at, token_expires_at, .. } = *identity;
        let issued_at = if issued_at.is_finite() { issued_at } else { now as f64 };
        // NaN becomes one second.
        let of_token = || (token_expires_at - issued_at).max(1.0).clamp(1.0, f64::from(Self::MAX_AGE)) as u32;
        Lifetime { seconds: self.max_age.unwrap_or_else(of_token), is_bounded_by_row: self.max_age.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fake::identity;

    const NOW: u64 = 1_700_000_000;
    const DAY: f64 = 86_400.0;

    /// Times are relative to [`NOW`].
    fn token(issued_at: f64, expires_at: f64, rolled_at: f64) -> Identity {
        let now = NOW as f64;
        Identity {
            issued_at: now + issued_at,
            token_expires_at: now + expires_at,
            rolled_at: now + rolled_at,
            ..identity(1, 1)
        }
    }

    #[test]
    fn when_a_token_is_due() {
        const NEVER: f64 = f64::NEG_INFINITY;
        for (case, update_age, max_age, expires_at, rolled_at, expected) in [
            ("never rolled", 300, None, DAY, NEVER, true),
            ("rolled just now", 300, None, DAY, 0.0, false),
            ("almost", 300, None, DAY, -299.0, false),
            ("old enough", 300, None, DAY, -300.0, true),
            ("half of a short lifetime", 300, None, 100.0, -49.0, false),
            ("half of a short lifetime is over", 300, None, 100.0, -50.0, true),
            ("half of the option", 300, Some(60), DAY, -30.0, true),
            ("a long option", 300, Some(600), 10.0, -30.0, false),
            ("at each call", 0, None, DAY, 0.0, true),
            ("at each call, clocks differ", 0, None, DAY, 10.0, true),
            ("clocks differ", 300, None, DAY, 15.0, false),
            ("in the future", 300, None, DAY, 16.0, true),
            ("in the far future", 300, None, DAY, f64::INFINITY, true),
            ("a lifetime of a second", 300, None, 1.0, 0.0, true),
        ] {
            let rolling = Rolling { max_age, update_age };
            assert_eq!(rolling.is_due(&token(0.0, expires_at, rolled_at), NOW), expected, "{case}");
        }
    }

    #[test]
    fn how_long_a_session_lives() {
        for (case, max_age, issued_at, expires_at, expected) in [
            ("as the token says", None, -10.0, 90.0, 100),
            ("as the option says", Some(7), -10.0, 90.0, 7),
            ("no iat", None, f64::NEG_INFINITY, 90.0, 90),
            ("fractions", None, 0.5, 3.0, 2),
            ("expired within the tolerance", None, -20.0, -10.0, 10),
            ("iat after exp", None, 90.0, 10.0, 1),
            ("for ever", None, 0.0, f64::INFINITY, 400 * 86_400),
            ("both infinite", None, f64::INFINITY, f64::INFINITY, 400 * 86_400),
        ] {
            let lifetime = Rolling { max_age, update_age: 300 }.lifetime(&token(issued_at, expires_at, 0.0), NOW);
            assert_eq!((lifetime.seconds, lifetime.is_bounded_by_row), (expected, max_age.is_none()), "{case}");
        }
    }
}
