//! What the environment says, as `authjs-bridge doctor` shows it: names and lengths, no secret. Each
//! part for itself, so that one mistake hides no other.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::{
    Environment, Options, SECRET_VARIABLES, URL_VARIABLES, cookies, first_set, is_production, secrets, warnings,
};
use crate::config::warning::Warning;
use crate::error::Error;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// In the order in which they count.
    secrets: Result<Vec<NamedSecret>, Error>,
    cookies: Result<CookieChoice, Error>,
    is_production: bool,
    /// Of the secrets.
    warnings: Vec<Warning>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct NamedSecret {
    variable: &'static str,
    bytes: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct CookieChoice {
    names: Vec<String>,
    because: Because,
}

/// Why these names count.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Because {
    /// The app's own URL says whether it is https.
    Url {
        variable: &'static str,
    },
    Production,
    /// Nothing says which; the request does.
    Nothing,
}

impl Report {
    pub fn new(environment: &impl Environment) -> Self {
        let secrets = secrets(None, environment);
        let cookies = cookies(&Options::default(), environment);
        let warnings =
            warnings(secrets.as_deref().unwrap_or_default(), true, cookies.as_deref().unwrap_or_default(), environment);
        Self {
            secrets: secrets.map(|_| named_secrets(environment)),
            cookies: cookies.map(|cookies| CookieChoice {
                names: cookies.into_iter().map(|cookie| cookie.name.as_str().to_owned()).collect(),
                because: because(environment),
            }),
            is_production: is_production(environment),
            warnings,
        }
    }
}

fn named_secrets(environment: &impl Environment) -> Vec<NamedSecret> {
    let named = |variable| Some(NamedSecret { variable, bytes: environment.variable(variable)?.len() });
    SECRET_VARIABLES.into_iter().filter_map(named).collect()
}

fn because(environment: &impl Environment) -> Because {
    match first_set(URL_VARIABLES, environment) {
        Some((variable, _)) => Because::Url { variable },
        None if is_production(environment) => Because::Production,
        None => Because::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Variables;
    use super::*;

    #[test]
    fn each_mistake_is_told_beside_the_others() {
        let report = Report::new(&Variables(&[("AUTH_URL", "ftp://a.example")]));
        let name = |error: Error| error.to_string().split(':').next().map(str::to_owned);
        assert_eq!(report.secrets.err().and_then(name).as_deref(), Some("secret"));
        assert_eq!(report.cookies.err().and_then(name).as_deref(), Some("AUTH_URL"));
    }

    #[test]
    fn secrets_by_name_and_length() {
        let report =
            Report::new(&Variables(&[("NEXTAUTH_SECRET", "hunter2"), ("AUTH_SECRET_1", "ä"), ("AUTH_SECRET", "")]));
        let expected = [("AUTH_SECRET_1", 2), ("NEXTAUTH_SECRET", 7)];
        let json = serde_json::to_string(&report).expect("serialises");
        let named = expected.map(|(variable, bytes)| NamedSecret { variable, bytes });
        assert_eq!(report.secrets.as_deref(), Ok(&named[..]));
        let codes: Vec<_> = report.warnings.iter().map(Warning::code).collect();
        assert_eq!(codes, ["AUTH_BRIDGE_SHORT_SECRET", "AUTH_BRIDGE_SHORT_SECRET", "AUTH_BRIDGE_EMPTY_SECRET"]);
        assert!(!json.contains("hunter2"), "{json}");
    }

    #[test]
    fn why_a_cookie_counts() {
        for (variables, because) in [
            (&[("NEXTAUTH_URL", "https://a.example")] as &[_], Because::Url { variable: "NEXTAUTH_URL" }),
            (&[("NODE_ENV", "production"), ("AUTH_URL", "http://a")], Because::Url { variable: "AUTH_URL" }),
            (&[("NODE_ENV", "production")], Because::Production),
            (&[], Because::Nothing),
        ] {
            let report = Report::new(&Variables(variables));
            assert_eq!(report.cookies.map(|choice| choice.because), Ok(because), "{variables:?}");
        }
    }
}
