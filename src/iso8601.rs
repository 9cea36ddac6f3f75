//! Times as `Date.prototype.toISOString` writes them.
#![forbid(unsafe_code)]

use time::OffsetDateTime;

/// The last time that RFC 3339 can name.
pub const LAST: &str = "9999-12-31T23:59:59.999Z";

/// `seconds` since 1970, rounded to ms; `None` outside of the years 0 to 9999.
pub fn date_time(seconds: f64) -> Option<String> {
    if seconds.is_nan() {
        return None;
    }
    let nanoseconds = ((seconds * 1000.0).round() as i128).saturating_mul(1_000_000);
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().filter(|time| time.year() >= 0)?;
    let (hour, minute, second, millisecond) = time.to_hms_milli();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"))
}

/// The date alone.
pub fn date(seconds: f64) -> Option<String> {
    Some(date_time(seconds)?.split_once('T')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date_to_iso_string() {
        for (seconds, expected) in [
            (0.0, Some("1970-01-01T00:00:00.000Z")),
            (1_700_000_000.5, Some("2023-11-14T22:13:20.500Z")),
            (1_700_000_000.999_6, Some("2023-11-14T22:13:21.000Z")),
            (-0.001, Some("1969-12-31T23:59:59.999Z")),
            (253_402_300_799.999, Some(LAST)),
            (253_402_300_800.0, None),
            (-62_167_219_201.0, None),
            (f64::INFINITY, None),
            (f64::NAN, None),
            (f64::NEG_INFINITY, None),
        ] {
            assert_eq!(date_time(seconds).as_deref(), expected, "{seconds}");
        }
        assert_eq!(date(1_700_000_000.0).as_deref(), Some("2023-11-14"));
    }
}
