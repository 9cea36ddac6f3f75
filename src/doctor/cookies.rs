//! Which session cookie counts, and why.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::check::Check;
use crate::config::{self, Environment, Options};
use crate::error::Error;

pub(super) const ID: &str = "cookies";

pub(super) fn check(environment: &impl Environment) -> Check {
    judge(ask(environment), config::is_production(environment))
}

#[derive(Serialize)]
struct Choice {
    /// The preferred one first.
    names: Vec<String>,
    because: Reason,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Reason {
    /// The app's own URL says whether it is https.
    Url {
        variable: &'static str,
    },
    Production,
    /// Nothing says which. A request has one of the two.
    Nothing,
}

fn ask(environment: &impl Environment) -> Result<Choice, Error> {
    let cookies = config::session_cookies(&Options::default(), environment)?;
    Ok(Choice {
        names: cookies.into_iter().map(|cookie| cookie.name.as_str().to_owned()).collect(),
        because: match config::app_url_variable(environment) {
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
            let advice = "Set AUTH_URL to the address of the app, with https:// in production.";
            return Check::failed(ID, error.to_string(), advice);
        }
    };
    let name = |index: usize| choice.names.get(index).map_or("", String::as_str);
    let message = match choice.because {
        Reason::Url { variable } => format!("{}, by the scheme of {variable}", name(0)),
        Reason::Production => format!("{}, since NODE_ENV is production and {UNSET}", name(0)),
        Reason::Nothing => format!("{} if a request has it, else {}, since {UNSET}", name(0), name(1)),
    };
    let is_plain = choice.names.iter().all(|name| !name.starts_with("__Secure-"));
    let check = match choice.because {
        Reason::Url { variable } if is_production && is_plain => Check::warning(
            ID,
            format!("{message}, in production"),
            format!(
                "Set {variable} to the https:// address of the app, unless it has none: over https another cookie counts."
            ),
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
    fn which_cookie_counts_and_why() {
        const PRODUCTION: (&str, &str) = ("NODE_ENV", "production");
        for (variables, status, message) in [
            (
                &[] as &[_],
                Status::Ok,
                "__Secure-authjs.session-token if a request has it, else authjs.session-token, since neither AUTH_URL nor \
                 NEXTAUTH_URL is set",
            ),
            (
                &[PRODUCTION],
                Status::Ok,
                "__Secure-authjs.session-token, since NODE_ENV is production and neither AUTH_URL nor NEXTAUTH_URL is set",
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
            let check = check(&FakeEnvironment(variables));
            assert_eq!((check.status, check.message.as_str()), (status, message), "{variables:?}");
        }
    }
}
