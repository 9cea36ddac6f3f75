//! One connection parameter, and the kinds of values that there are.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::error::Error;
use crate::sensitive::Sensitive;

/// What a parameter is called whose name is not repeated.
const UNNAMED: &str = "a parameter";
/// A longer name of a parameter is not repeated in a message.
const LONGEST_NAME: usize = 40;

/// Its value, and where the developer wrote it.
#[derive(Clone)]
pub(in crate::postgres) struct Parameter {
    pub(in crate::postgres) name: String,
    pub(in crate::postgres) value: Sensitive,
    pub(in crate::postgres) origin: Origin,
}

#[derive(Clone, Copy)]
pub(in crate::postgres) enum Origin {
    /// `is_named` tells that the name can't be a part of the password.
    Url {
        from: &'static str,
        is_named: bool,
    },
    Variable(&'static str),
}

impl Parameter {
    /// What is wrong with the value, without the value.
    pub(in crate::postgres) fn mistake(&self, problem: impl AsRef<str>) -> Error {
        let problem = problem.as_ref();
        match self.origin {
            Origin::Url { from, is_named } => {
                let name = if is_named { self.shown_name() } else { UNNAMED };
                Error::config(from, format!("{name} {problem}"))
            }
            Origin::Variable(name) => Error::config(name, problem),
        }
    }

    pub(in crate::postgres) fn unknown(&self) -> Error {
        self.mistake("is not a parameter that is known here; take it out of the URL, or see docs/configuration.md")
    }

    /// What is behind a stray `?` or `&` can be a part of the password.
    fn shown_name(&self) -> &str {
        let is_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'.' || byte == b'-';
        if self.name.len() <= LONGEST_NAME && self.name.bytes().all(is_name) { &self.name } else { UNNAMED }
    }

    /// The items of a list with commas.
    pub(in crate::postgres) fn list(&self) -> Vec<&str> {
        self.value.split(',').map(str::trim).collect()
    }

    pub(in crate::postgres) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Error> {
        let found = choices.iter().find(|(name, _)| *name == self.value.as_str());
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.mistake(format!("must be one of {}", names.join(", ")))
        })
    }

    pub(in crate::postgres) fn switch(&self) -> Result<bool, Error> {
        self.choice(&[("true", true), ("false", false), ("1", true), ("0", false)])
    }

    pub(in crate::postgres) fn number<T: std::str::FromStr>(&self) -> Result<T, Error> {
        self.value.trim().parse().map_err(|_| self.mistake("must be a whole number"))
    }

    /// `None` where it is zero or less, which stands for the default.
    pub(in crate::postgres) fn seconds(&self) -> Result<Option<Duration>, Error> {
        let seconds: i32 = self.number()?;
        Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
    }

    /// One schema.
    pub(in crate::postgres) fn schema(&self) -> Result<Option<String>, Error> {
        match self.value.trim() {
            "" => Ok(None),
            name if name.contains([',', '"', ';', '=']) => Err(self.mistake("must be the name of one schema")),
            name => Ok(Some(name.to_owned())),
        }
    }
}
