//! Which session cookie is accepted, and why.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::check::Check;
use crate::config::{self, Environment, OPTIONS_VARIABLE, Options};
use crate::error::Error;

pub(super) const ID: &str = "cookies";

pub(super) fn check(options: &Options, environment: &impl Environment) -> Check {
    judge(query(options, environment), config::is_production(environment))
}

#[derive(Serialize)]
struct Choice {
    /// In order of preference.
    names: Vec<String>,
    because: Reason,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Reason {
    /// `cookieName` or `secureCookie` in the variable with the options.
    Options,
    /// The scheme of the app's own URL decides.
    Url {
        variable: &'static str,
    },
    Production,
    /// Neither variable is set. Both cookies are accepted.
    Nothing,
}

fn query(options: &Options, environment: &impl Environment) -> Result<Choice, Error> {
    let cookies = config::session_cookies(options, environment)?;
    let is_chosen = options.cookie_name.is_some() || options.secure_cookie.is_some();
    Ok(Choice {
        names: cookies.into_iter().map(|cookie| cookie.name.as_str().to_owned()).collect(),
        because: match config::app_url_variable(environment) {
            _ if is_chosen => Reason::Options,
            Some(variable) => Reason::Url { variable },
            None if config::is_production(environment) => Reason::Production,
            None => Reason::Nothing,
        },
    })
}

fn judge(choice: Result<Choice, Error>, is_production: bool) -> Check {
    const UNSET: &str = "neither AUTH_URL nor NEXTAUTH_URL is set";
    let choice = match choice {
        Ok(choice) => choice,
        Err(error) => {
            let advice = "Set AUTH_URL to the URL of the app, with https:// in production.";
            return Check::failed(ID, error.to_string(), advice);
        }
    };
    let name = |index: usize| choice.names.get(index).map_or("", String::as_str);
    let message = match choice.because {
        Reason::Options => format!("{}, by {OPTIONS_VARIABLE}", choice.names.join(", ")),
        Reason::Url { variable } => format!("{}, by the scheme of {variable}", name(0)),
        Reason::Production => format!("{}, since NODE_ENV is production and {UNSET}", name(0)),
        Reason::Nothing => {
            format!(
                "{} if a request has it, else {}, since {UNSET}; in production the first alone counts",
                name(0),
                name(1)
            )
        }
    };
    let is_plain = choice.names.iter().all(|name| !name.starts_with("__Secure-"));
    let check = match choice.because {
        Reason::Url { variable } if is_production && is_plain => Check::warning(
            ID,
            format!("{message}, in production"),
            format!(
                "If the app is served over https, set {variable} to its https:// URL: Auth.js uses the __Secure- cookie then."
            ),
        ),
        Reason::Production => Check::warning(
            ID,
            format!("{message}; the cookie that Auth.js sets over http doesn't count"),
            "Set AUTH_URL to the URL of the app.",
        ),
        _ => Check::ok(ID, message),
    };
    check.with_details(&choice)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use crate::config::FakeEnvironment;

    #[test]
    fn accepted_cookies_and_the_reason() {
        const PRODUCTION: (&str, &str) = ("NODE_ENV", "production");
        for (variables, status, message) in [
            (
                &[] as &[_],
                Status::Ok,
                "__Secure-authjs.session-token if a request has it, else authjs.session-token, since neither AUTH_URL nor \
                 NEXTAUTH_URL is set; in production the first alone counts",
            ),
            (
                &[PRODUCTION],
                Status::Warning,
                "__Secure-authjs.session-token, since NODE_ENV is production and neither AUTH_URL nor NEXTAUTH_URL is set; \
                 the cookie that Auth.js sets over http doesn't count",
            ),
            (
                &[PRODUCTION, ("NEXTAUTH_URL", "https://a.example")],
                Status::Ok,
                "__Secure-authjs.session-token, by the scheme of NEXTAUTH_URL",
            ),
            (&[("AUTH_URL", "http://a")], Status::Ok, "authjs.session-token, by the scheme of AUTH_URL"),
            (
                &[PRODUCTION, ("AUTH_URL", "http://a")],
                Status::Warning,
                "authjs.session-token, by the scheme of AUTH_URL, in production",
            ),
            (&[("AUTH_URL", "ftp://a")], Status::Failed, "AUTH_URL: must begin with https:// or http://"),
        ] {
            let check = check(&Options::default(), &FakeEnvironment(variables));
            assert_eq!((check.status, check.message.as_str()), (status, message), "{variables:?}");
        }
        let options = Options { secure_cookie: Some(false), ..Options::default() };
        let check = check(&options, &FakeEnvironment(&[PRODUCTION]));
        let expected = (Status::Ok, "authjs.session-token, by AUTH_BRIDGE_OPTIONS");
        assert_eq!((check.status, check.message.as_str()), expected);
    }
}
