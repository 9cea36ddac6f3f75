//! A connection parameter, and the types that its value can have.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::config::is_quoted;
use crate::error::Error;
use crate::sensitive::Sensitive;

/// Replaces a name that can't be shown in a message.
const UNNAMED: &str = "a parameter";
/// A longer name is not shown in a message.
const MAX_NAME_BYTES: usize = 40;

const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// A name, a value, and where the developer has set it.
#[derive(Clone)]
pub(in crate::postgres) struct Parameter {
    pub(in crate::postgres) name: String,
    pub(in crate::postgres) value: Sensitive,
    pub(in crate::postgres) origin: Origin,
}

#[derive(Clone, Copy)]
pub(in crate::postgres) enum Origin {
    Url {
        /// The option or variable that holds the URL.
        from: &'static str,
        /// Whether the name can be shown: it can't be part of the password.
        is_name_safe: bool,
    },
    Variable(&'static str),
}

impl Parameter {
    /// Whether it decides what libpq's parameter `name` decides.
    pub(super) fn sets(&self, name: &str) -> bool {
        let same = match self.name.as_str() {
            "username" => "user",
            "database" => "dbname",
            "ssl" => "sslmode",
            "sslaccept" if self.value.trim() == "strict" => "sslmode",
            own => own,
        };
        same == name
    }

    /// The option or variable that holds it.
    pub(super) fn source(&self) -> &'static str {
        match self.origin {
            Origin::Url { from, .. } => from,
            Origin::Variable(name) => name,
        }
    }

    /// An error that names the parameter, without its value.
    pub(in crate::postgres) fn error(&self, problem: impl AsRef<str>) -> Error {
        let problem = problem.as_ref();
        match self.origin {
            Origin::Url { from, is_name_safe } => {
                let name = if is_name_safe { self.shown_name() } else { UNNAMED };
                Error::config(from, format!("{name} {problem}"))
            }
            Origin::Variable(name) => Error::config(name, problem),
        }
    }

    /// For an unknown name that may be part of the password.
    pub(super) fn unknown_error(&self) -> Error {
        self.error(
            "is unknown, or has no value; if it is part of the password, write %26 for an & and %3F for a ? there",
        )
    }

    pub(super) fn is_name_safe(&self) -> bool {
        !matches!(self.origin, Origin::Url { is_name_safe: false, .. })
    }

    /// The text after a stray `?` or `&` can be part of the password.
    pub(super) fn shown_name(&self) -> &str {
        let is_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'.' || byte == b'-';
        if self.name.len() <= MAX_NAME_BYTES && self.name.bytes().all(is_name) { &self.name } else { UNNAMED }
    }

    /// The items of a comma-separated list.
    pub(in crate::postgres) fn list(&self) -> Vec<&str> {
        self.value.split(',').map(str::trim).collect()
    }

    pub(in crate::postgres) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Error> {
        let found = choices.iter().find(|(name, _)| *name == self.value.trim());
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let quotes = if is_quoted(&self.value) { ", without quotes around it" } else { "" };
            self.error(format!("must be one of {}{quotes}", names.join(", ")))
        })
    }

    pub(in crate::postgres) fn boolean(&self) -> Result<bool, Error> {
        self.choice(&[("true", true), ("false", false), ("1", true), ("0", false)])
    }

    pub(in crate::postgres) fn number<T: std::str::FromStr>(&self) -> Result<T, Error> {
        self.value.trim().parse().map_err(|_| self.error("must be a whole number"))
    }

    /// `None` for zero or less, which means the default.
    pub(in crate::postgres) fn seconds(&self) -> Result<Option<Duration>, Error> {
        let seconds: i32 = self.number()?;
        Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
    }

    /// Whole seconds, or numbers with units as Go writes them: `90s`, `1h30m`.
    pub(in crate::postgres) fn duration(&self) -> Result<Duration, Error> {
        let text = self.value.trim();
        let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
        let duration = seconds.or_else(|| duration_with_units(text));
        duration.ok_or_else(|| self.error("must be a time in seconds, or one with a unit, such as 30m"))
    }

    /// The name of one PostgreSQL schema; `None` if it is empty.
    pub(in crate::postgres) fn schema(&self) -> Result<Option<String>, Error> {
        match self.value.trim() {
            "" => Ok(None),
            name if name.contains([',', '"', ';', '=']) => Err(self.error("must be the name of one schema")),
            name => Ok(Some(name.to_owned())),
        }
    }
}

fn duration_with_units(mut text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    loop {
        let unit = text.find(|character: char| character != '.' && !character.is_ascii_digit())?;
        let (number, rest) = text.split_at(unit);
        let next = rest.find(|character: char| character == '.' || character.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(next);
        let (_, unit_seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * unit_seconds;
        text = rest;
        if text.is_empty() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
    }
}
