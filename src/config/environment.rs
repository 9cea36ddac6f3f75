//! The environment variables that the configuration is read from.
#![forbid(unsafe_code)]

use crate::error::Error;
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

/// Whether `NODE_ENV` is `production`.
pub fn is_production(environment: &impl Environment) -> bool {
    environment.variable("NODE_ENV").is_some_and(|value| value.as_str() == "production")
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
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("https") => Ok(Some(true)),
        Some("http") => Ok(Some(false)),
        _ => Err(Error::config(name, "must begin with https:// or http://")),
    }
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
