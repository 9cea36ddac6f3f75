//! The options about how long sessions live, and about the cookies that are set.
#![forbid(unsafe_code)]

use super::Options;
use super::limits::whole_number;
use crate::claims::Rolling;
use crate::error::Error;

/// Ten years.
const MAX_ABSOLUTE_AGE: u32 = 10 * 365 * 24 * 60 * 60;

pub(super) fn rolling(options: &Options) -> Result<Rolling, Error> {
    let default = Rolling::default();
    Ok(Rolling {
        max_age: options.max_age.map(|value| age("maxAge", value)).transpose()?,
        update_age: match options.update_age {
            Some(value) => seconds("updateAge", value, 0, Rolling::MAX_AGE)?,
            None => default.update_age,
        },
    })
}

pub(super) fn migrates_cookies(options: &Options) -> Result<bool, Error> {
    let migrates = options.migrate_cookies.unwrap_or(false);
    if migrates && options.cookie_name.as_ref().is_none_or(|names| names.len() < 2) {
        return Err(Error::config("migrateCookies", "needs several names in cookieName, the new one first"));
    }
    Ok(migrates)
}

pub(super) fn absolute_max_age(options: &Options) -> Result<Option<u32>, Error> {
    options.absolute_max_age.map(|value| seconds("absoluteMaxAge", value, 1, MAX_ABSOLUTE_AGE)).transpose()
}

/// How long a session lives from now on, in seconds.
pub fn age(name: &str, value: f64) -> Result<u32, Error> {
    seconds(name, value, 1, Rolling::MAX_AGE)
}

fn seconds(name: &str, value: f64, min: u32, max: u32) -> Result<u32, Error> {
    let problem = || Error::config(name, format!("must be a whole number of seconds from {min} to {max}"));
    whole_number(value, min as usize, max as usize).map(|seconds| seconds as u32).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_in_and_out_of_range() {
        let options = |value: f64| Options {
            max_age: Some(value),
            update_age: Some(value),
            absolute_max_age: Some(value),
            ..Options::default()
        };
        for (value, expected) in [
            (0.0, [false, true, false]),
            (1.0, [true, true, true]),
            (1.5, [false; 3]),
            (-1.0, [false; 3]),
            (f64::NAN, [false; 3]),
            (34_560_000.0, [true, true, true]),
            (34_560_001.0, [false, false, true]),
            (1e12, [false; 3]),
        ] {
            let all = options(value);
            let max_age = rolling(&Options { update_age: None, ..all.clone() });
            let update_age = rolling(&Options { max_age: None, ..all.clone() });
            let found = [max_age.is_ok(), update_age.is_ok(), absolute_max_age(&all).is_ok()];
            assert_eq!(found, expected, "{value}");
        }
        let default = rolling(&Options::default()).expect("is valid");
        assert_eq!((default.max_age, default.update_age), (None, 300));
        let error = rolling(&options(0.0)).expect_err("is too short");
        assert_eq!(error.to_string(), "maxAge: must be a whole number of seconds from 1 to 34560000");
    }
}
