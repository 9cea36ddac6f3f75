//! The environment variables that the configuration is read from.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::error::Error;
use crate::redacted::redacted;
use crate::sensitive::Sensitive;

const APP_URL_VARIABLES: [&str; 2] = ["AUTH_URL", "NEXTAUTH_URL"];

pub trait Environment {
    /// The value of a variable, which may be empty; `None` if it is not set.
    fn value(&self, name: &str) -> Option<Sensitive>;

    /// The same, but an empty variable is treated as not set.
    fn variable(&self, name: &str) -> Option<Sensitive> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// The authorities that Node.js comes with, as PEM certificates; empty if it has none.
    fn root_certificates(&self) -> String {
        String::new()
    }
}

/// No variable is set.
pub(super) struct NoVariables;

impl Environment for NoVariables {
    fn value(&self, _name: &str) -> Option<Sensitive> {
        None
    }
}

/// Notes which variables were read.
pub struct Recorder<E> {
    environment: E,
    read: RefCell<BTreeMap<String, Option<Sensitive>>>,
}

/// The values of variables at one time.
pub struct Snapshot(BTreeMap<String, Option<Sensitive>>);

redacted!(Snapshot);

impl<E: Environment> Recorder<E> {
    pub fn new(environment: E) -> Self {
        Self { environment, read: RefCell::default() }
    }

    pub fn finish(self) -> Snapshot {
        Snapshot(self.read.into_inner())
    }
}

impl<E: Environment> Environment for Recorder<E> {
    fn value(&self, name: &str) -> Option<Sensitive> {
        let value = self.environment.value(name);
        self.read.borrow_mut().insert(name.to_owned(), value.clone());
        value
    }

    fn root_certificates(&self) -> String {
        self.environment.root_certificates()
    }
}

impl Snapshot {
    /// Whether `environment` still has these values.
    pub fn is_of(&self, environment: &impl Environment) -> bool {
        self.0.iter().all(|(name, value)| environment.value(name) == *value)
    }
}

/// Whether `NODE_ENV` is `development`, as under `next dev`.
pub fn is_development(environment: &impl Environment) -> bool {
    node_env_is("development", environment)
}

/// Whether `NODE_ENV` is `production`.
pub fn is_production(environment: &impl Environment) -> bool {
    node_env_is("production", environment)
}

/// On Windows, `set NODE_ENV=production && next start` sets it with the blank.
fn node_env_is(mode: &str, environment: &impl Environment) -> bool {
    environment.variable("NODE_ENV").is_some_and(|value| value.trim() == mode)
}

/// The variable that holds the app's own URL; `None` if none is set.
pub fn app_url_variable(environment: &impl Environment) -> Option<&'static str> {
    first_set(APP_URL_VARIABLES, environment).map(|(variable, _)| variable)
}

/// Whether the scheme of the app's own URL is https; `None` if no variable holds the URL.
pub(super) fn app_url_is_https(environment: &impl Environment) -> Result<Option<bool>, Error> {
    let Some((name, url)) = first_set(APP_URL_VARIABLES, environment) else {
        return Ok(None);
    };
    let scheme = url.trim().split_once("://").map(|(scheme, _)| scheme);
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("https") => Ok(Some(true)),
        Some("http") => Ok(Some(false)),
        _ if is_quoted(&url) => {
            Err(Error::config(name, "must begin with https:// or http://, without quotes around it"))
        }
        _ => Err(Error::config(name, "must begin with https:// or http://")),
    }
}

/// Some tools keep the quotes of a line of a `.env` file, such as `docker run --env-file`.
pub fn is_quoted(value: &str) -> bool {
    value.trim_start().starts_with(['"', '\''])
}

/// The first of these variables that is set, and its value.
pub(super) fn first_set<const N: usize>(
    names: [&'static str; N],
    environment: &impl Environment,
) -> Option<(&'static str, Sensitive)> {
    names.into_iter().find_map(|name| Some((name, environment.variable(name)?)))
}

/// An environment with these variables, for unit tests.
#[cfg(test)]
pub(crate) struct FakeEnvironment(pub(crate) &'static [(&'static str, &'static str)]);

#[cfg(test)]
impl Environment for FakeEnvironment {
    fn value(&self, name: &str) -> Option<Sensitive> {
        Some(self.0.iter().find(|(key, _)| *key == name)?.1.to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_variable_that_was_read_is_noticed() {
        let recorder = Recorder::new(FakeEnvironment(&[("AUTH_SECRET", "a"), ("PGHOST", ""), ("OTHER", "x")]));
        for name in ["AUTH_SECRET", "PGHOST", "AUTH_URL", "AUTH_SECRET"] {
            recorder.variable(name);
        }
        let snapshot = recorder.finish();
        for (variables, expected) in [
            (&[("AUTH_SECRET", "a"), ("PGHOST", "")] as &'static [_], true),
            (&[("AUTH_SECRET", "a"), ("PGHOST", ""), ("OTHER", "y")], true),
            (&[("AUTH_SECRET", "b"), ("PGHOST", "")], false),
            (&[("AUTH_SECRET", "a")], false),
            (&[("AUTH_SECRET", "a"), ("PGHOST", ""), ("AUTH_URL", "https://a")], false),
        ] {
            assert_eq!(snapshot.is_of(&FakeEnvironment(variables)), expected, "{variables:?}");
        }
        assert_eq!(format!("{snapshot:?}"), "Snapshot(..)");
    }
}
