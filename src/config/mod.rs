//! Options and environment -> a checked [`Config`], with the defaults.
#![forbid(unsafe_code)]

mod database;
mod limits;
pub mod warning;

use serde::Serialize;

pub use self::database::{Database, Location, Variable};
pub use self::limits::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONNECTIONS, LimitOptions, Limits, MOST_CONNECTIONS};
use crate::config::warning::{SECRET_BYTES, Warning};
use crate::cookie::CookieName;
use crate::crypto::{Issuer, Secret};
use crate::error::Error;
use crate::sensitive::Sensitive;
use crate::store::RowExpiry;

const COOKIE_NAME: &str = "authjs.session-token";
const SECURE_COOKIE_NAME: &str = "__Secure-authjs.session-token";

/// Newest first (`@auth/core` `lib/utils/env.js`); NextAuth v4's name last.
const SECRET_VARIABLES: [&str; 5] =
    ["AUTH_SECRET_3", "AUTH_SECRET_2", "AUTH_SECRET_1", "AUTH_SECRET", "NEXTAUTH_SECRET"];
const URL_VARIABLES: [&str; 2] = ["AUTH_URL", "NEXTAUTH_URL"];

/// The options of `new AuthBridge(options)`; what is `None` comes from the environment.
#[derive(Clone, Default)]
pub struct Options {
    pub secret: Option<Vec<Sensitive>>,
    pub cookie_name: Option<Vec<CookieOption>>,
    pub secure_cookie: Option<bool>,
    pub database_url: Option<Sensitive>,
    pub tls_ca: Option<Vec<String>>,
    pub prepared_statements: Option<bool>,
    pub sharded: Option<bool>,
    pub ignore_expires_at: Option<bool>,
    pub limits: LimitOptions,
}

/// One name of the option `cookieName`.
#[derive(Clone)]
pub struct CookieOption {
    pub name: String,
    /// `authjs` or `next-auth-v4`; by the name where it is `None`.
    pub issuer: Option<String>,
}

pub trait Environment {
    /// The value of a variable, which may be empty; `None` where it is not set.
    fn value(&self, name: &str) -> Option<Sensitive>;

    /// The same, but an empty variable counts as not set.
    fn variable(&self, name: &str) -> Option<Sensitive> {
        self.value(name).filter(|value| !value.is_empty())
    }
}

/// All that a bridge needs, checked.
#[derive(Debug)]
pub struct Config {
    /// Newest first; at least one.
    pub secrets: Vec<Secret>,
    /// In order of preference, secure ones first; at least one.
    pub cookies: Vec<SessionCookie>,
    pub database: Database,
    pub row_expiry: RowExpiry,
    pub limits: Limits,
    /// What works, but hardly as it was meant.
    pub warnings: Vec<Warning>,
}

/// A cookie that can hold a session.
#[derive(Clone, Debug)]
pub struct SessionCookie {
    pub name: CookieName,
    pub issuer: Issuer,
}

impl SessionCookie {
    /// `None` when `name` can't be a cookie's name.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = CookieName::new(name)?;
        let issuer = Issuer::of(&name);
        Some(Self { name, issuer })
    }
}

impl Config {
    pub fn new(mut options: Options, environment: &impl Environment) -> Result<Self, Error> {
        let cookies = cookies(&options, environment)?;
        let from_environment = options.secret.is_none();
        let secrets = secrets(options.secret.take(), environment)?;
        let database = Database::new(&mut options, environment)?;
        let limits = Limits::new(options.limits)?;
        let warnings = warnings(&secrets, from_environment, &cookies, environment);
        Ok(Self {
            cookies,
            secrets,
            warnings,
            database,
            limits,
            row_expiry: match options.ignore_expires_at {
                Some(true) => RowExpiry::Ignored,
                Some(false) | None => RowExpiry::Checked,
            },
        })
    }
}

/// The cookies that count, in order of preference.
pub fn cookies(options: &Options, environment: &impl Environment) -> Result<Vec<SessionCookie>, Error> {
    let default = |name: &str| SessionCookie::by_name(name).expect("the default names are valid");
    if let Some(names) = &options.cookie_name {
        if options.secure_cookie.is_some() {
            return Err(Error::config(
                "secureCookie",
                "chooses between the default names, so it can't stand beside cookieName; leave one of the two out",
            ));
        }
        return named_cookies(names);
    }
    let secure = match options.secure_cookie {
        Some(secure) => Some(secure),
        None => url_is_https(environment)?,
    };
    let production = is_production(environment);
    Ok(match secure {
        Some(false) => vec![default(COOKIE_NAME)],
        None if !production => vec![default(SECURE_COOKIE_NAME), default(COOKIE_NAME)],
        Some(true) | None => vec![default(SECURE_COOKIE_NAME)],
    })
}

/// The variable that holds the app's own URL, if one does.
pub fn url_variable(environment: &impl Environment) -> Option<&'static str> {
    first_set(URL_VARIABLES, environment).map(|(variable, _)| variable)
}

fn named_cookies(names: &[CookieOption]) -> Result<Vec<SessionCookie>, Error> {
    let problem = |problem: &str| Error::config("cookieName", problem);
    let mut cookies = names
        .iter()
        .map(|CookieOption { name, issuer }| {
            let by_name = SessionCookie::by_name(name).ok_or_else(|| {
                problem("is not a cookie's name, which is 1 to 256 letters, digits and !#$%&'*+-.^_`|~")
            })?;
            let issuer = match issuer.as_deref() {
                None => by_name.issuer,
                Some("authjs") => Issuer::AuthJs,
                Some("next-auth-v4") => Issuer::NextAuth4,
                Some(_) => return Err(problem("has an issuer that is neither authjs nor next-auth-v4")),
            };
            Ok(SessionCookie { issuer, ..by_name })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if cookies.is_empty() {
        return Err(problem("is an empty list"));
    }
    // A plain cookie can be set by whoever is between browser and server, so it never goes first.
    cookies.sort_by_key(|cookie| !cookie.name.is_secure());
    Ok(cookies)
}

fn warnings(
    secrets: &[Secret],
    from_environment: bool,
    cookies: &[SessionCookie],
    environment: &impl Environment,
) -> Vec<Warning> {
    let mut warnings: Vec<_> = secrets.iter().enumerate().filter_map(short_secret).collect();
    if from_environment && empty_secret(environment) {
        warnings.push(Warning::EmptySecret);
    }
    if !cookies.is_empty() && plain_cookie(cookies, environment) {
        warnings.push(Warning::PlainCookie);
    }
    warnings
}

fn short_secret((index, secret): (usize, &Secret)) -> Option<Warning> {
    let bytes = secret.bytes();
    (bytes < SECRET_BYTES).then_some(Warning::ShortSecret { index, bytes })
}

fn empty_secret(environment: &impl Environment) -> bool {
    environment.value("AUTH_SECRET").is_some_and(|value| value.is_empty())
        && environment.variable("NEXTAUTH_SECRET").is_some()
}

/// An `AUTH_URL` that can't be read is a mistake only where the cookie's name comes from it.
fn plain_cookie(cookies: &[SessionCookie], environment: &impl Environment) -> bool {
    is_production(environment)
        && cookies.iter().any(|cookie| !cookie.name.is_secure())
        && matches!(url_is_https(environment), Ok(Some(true)))
}

/// Whether `NODE_ENV` says so.
pub fn is_production(environment: &impl Environment) -> bool {
    environment.variable("NODE_ENV").is_some_and(|value| value.as_str() == "production")
}

/// Whether the app's own URL says https; `None` when no variable holds it.
fn url_is_https(environment: &impl Environment) -> Result<Option<bool>, Error> {
    let Some((name, url)) = first_set(URL_VARIABLES, environment) else {
        return Ok(None);
    };
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("https") => Ok(Some(true)),
        Some("http") => Ok(Some(false)),
        _ => Err(Error::config(name, "must begin with https:// or http://")),
    }
}

fn secrets(option: Option<Vec<Sensitive>>, environment: &impl Environment) -> Result<Vec<Secret>, Error> {
    let secrets = match option {
        Some(secrets) => secrets
            .into_iter()
            .map(|secret| {
                Secret::new(secret)
                    .ok_or_else(|| Error::config("secret", "is an empty string; pass what AUTH_SECRET holds"))
            })
            .collect::<Result<Vec<_>, _>>()?,
        None => SECRET_VARIABLES.into_iter().filter_map(|name| Secret::new(environment.variable(name)?)).collect(),
    };
    if secrets.is_empty() {
        return Err(Error::config(
            "secret",
            "there is none; set the environment variable AUTH_SECRET, or pass the option secret",
        ));
    }
    Ok(secrets)
}

/// A secret of the environment, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedSecret {
    pub variable: &'static str,
    pub bytes: usize,
}

/// In the order in which they count.
pub fn named_secrets(environment: &impl Environment) -> Vec<NamedSecret> {
    let named = |variable| Some(NamedSecret { variable, bytes: environment.variable(variable)?.len() });
    SECRET_VARIABLES.into_iter().filter_map(named).collect()
}

/// What the developer is told of them.
pub fn secret_warnings(environment: &impl Environment) -> Vec<Warning> {
    let secrets = secrets(None, environment).unwrap_or_default();
    warnings(&secrets, true, &[], environment)
}

fn first_set<const N: usize>(
    names: [&'static str; N],
    environment: &impl Environment,
) -> Option<(&'static str, Sensitive)> {
    names.into_iter().find_map(|name| Some((name, environment.variable(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Variables(&'static [(&'static str, &'static str)]);

    impl Environment for Variables {
        fn value(&self, name: &str) -> Option<Sensitive> {
            Some(self.0.iter().find(|(key, _)| *key == name)?.1.to_owned().into())
        }
    }

    fn named(names: &[&str]) -> Options {
        let option = |name: &&str| CookieOption { name: (*name).to_owned(), issuer: None };
        Options { cookie_name: Some(names.iter().map(option).collect()), ..Options::default() }
    }

    fn secure(secure: bool) -> Options {
        Options { secure_cookie: Some(secure), ..Options::default() }
    }

    #[test]
    fn which_cookie_counts() {
        const PLAIN: &str = COOKIE_NAME;
        const SECURE: &str = SECURE_COOKIE_NAME;
        for (case, options, variables, expected) in [
            ("nothing set", Options::default(), &[] as &[_], &[SECURE, PLAIN] as &[_]),
            ("production", Options::default(), &[("NODE_ENV", "production")], &[SECURE]),
            ("development", Options::default(), &[("NODE_ENV", "development")], &[SECURE, PLAIN]),
            ("https", Options::default(), &[("AUTH_URL", "https://a.example")], &[SECURE]),
            ("HTTPS", Options::default(), &[("AUTH_URL", "HTTPS://a.example")], &[SECURE]),
            ("http", Options::default(), &[("AUTH_URL", "http://localhost:3000")], &[PLAIN]),
            (
                "http in production",
                Options::default(),
                &[("NODE_ENV", "production"), ("AUTH_URL", "http://localhost")],
                &[PLAIN],
            ),
            ("NEXTAUTH_URL", Options::default(), &[("NEXTAUTH_URL", "https://a.example")], &[SECURE]),
            (
                "AUTH_URL before NEXTAUTH_URL",
                Options::default(),
                &[("NEXTAUTH_URL", "https://a.example"), ("AUTH_URL", "http://a.example")],
                &[PLAIN],
            ),
            (
                "an empty AUTH_URL is none",
                Options::default(),
                &[("NEXTAUTH_URL", "http://a.example"), ("AUTH_URL", "")],
                &[PLAIN],
            ),
            ("secureCookie: true", secure(true), &[("AUTH_URL", "http://a.example")], &[SECURE]),
            ("secureCookie: false", secure(false), &[("NODE_ENV", "production")], &[PLAIN]),
            (
                "cookieName",
                named(&["authjs.session-token.3000"]),
                &[("AUTH_URL", "https://a.example")],
                &["authjs.session-token.3000"],
            ),
        ] {
            let names = cookies(&options, &Variables(variables)).expect(case);
            assert_eq!(names.iter().map(|cookie| cookie.name.as_str()).collect::<Vec<_>>(), expected, "{case}");
        }
    }

    #[test]
    fn names_of_a_list_keep_their_order_but_secure_ones_go_first() {
        let list = named(&["a", "__Secure-b", "c", "__Host-d"]);
        let cookies = cookies(&list, &Variables(&[])).expect("is valid");
        let names: Vec<_> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
        assert_eq!(names, ["__Secure-b", "__Host-d", "a", "c"]);
    }

    #[test]
    fn who_issues_a_cookie() {
        for (name, issuer, expected) in [
            ("authjs.session-token", None, Some(Issuer::AuthJs)),
            ("__Secure-authjs.session-token", None, Some(Issuer::AuthJs)),
            ("next-auth.session-token", None, Some(Issuer::NextAuth4)),
            ("__Secure-next-auth.session-token", None, Some(Issuer::NextAuth4)),
            ("__Host-next-auth.session-token", None, Some(Issuer::AuthJs)),
            ("sid", None, Some(Issuer::AuthJs)),
            ("sid", Some("next-auth-v4"), Some(Issuer::NextAuth4)),
            ("next-auth.session-token", Some("authjs"), Some(Issuer::AuthJs)),
            ("sid", Some("next-auth-v5"), None),
        ] {
            let option = CookieOption { name: name.to_owned(), issuer: issuer.map(str::to_owned) };
            let cookies = named_cookies(&[option]).ok();
            assert_eq!(cookies.map(|cookies| cookies[0].issuer), expected, "{name} {issuer:?}");
        }
    }

    fn secret_texts(option: Option<Vec<&str>>, variables: &'static [(&str, &str)]) -> Vec<String> {
        let option = option.map(|list| list.into_iter().map(|secret| secret.to_owned().into()).collect());
        secrets(option, &Variables(variables))
            .expect("has secrets")
            .iter()
            .map(|secret| secret.reveal().to_owned())
            .collect()
    }

    #[test]
    fn secrets_newest_first() {
        const ALL: &[(&str, &str)] = &[
            ("NEXTAUTH_SECRET", "n"),
            ("AUTH_SECRET", "0"),
            ("AUTH_SECRET_1", "1"),
            ("AUTH_SECRET_2", "2"),
            ("AUTH_SECRET_3", "3"),
        ];
        assert_eq!(secret_texts(None, ALL), ["3", "2", "1", "0", "n"]);
        assert_eq!(secret_texts(Some(vec!["b", "a"]), ALL), ["b", "a"]);
        assert_eq!(secret_texts(None, &[("AUTH_SECRET", ""), ("NEXTAUTH_SECRET", "n")]), ["n"]);
    }

    #[test]
    fn secrets_by_name_and_length() {
        let variables = Variables(&[("NEXTAUTH_SECRET", "hunter2"), ("AUTH_SECRET_1", "ä"), ("AUTH_SECRET", "")]);
        let named = [("AUTH_SECRET_1", 2), ("NEXTAUTH_SECRET", 7)];
        assert_eq!(named_secrets(&variables), named.map(|(variable, bytes)| NamedSecret { variable, bytes }));
        let codes: Vec<_> = secret_warnings(&variables).iter().map(Warning::code).collect();
        assert_eq!(codes, ["AUTH_BRIDGE_SHORT_SECRET", "AUTH_BRIDGE_SHORT_SECRET", "AUTH_BRIDGE_EMPTY_SECRET"]);
    }

    #[test]
    fn where_the_database_is() {
        let url = |from, url: &str| Location::Url { url: url.to_owned().into(), from };
        let variable =
            |(name, parameter, value): (_, _, &str)| Variable { name, parameter, value: value.to_owned().into() };
        for (option, variables, expected) in [
            (Some("postgres://a"), &[("DATABASE_URL", "postgres://b")] as &[_], url("databaseUrl", "postgres://a")),
            (None, &[("PGHOST", "h"), ("DATABASE_URL", "postgres://b")], url("DATABASE_URL", "postgres://b")),
            (
                None,
                &[("DATABASE_URL", ""), ("PGSSLMODE", "require"), ("PGPORT", ""), ("PGUSER", "u")],
                Location::Variables(
                    [("PGUSER", "user", "u"), ("PGSSLMODE", "sslmode", "require")].map(variable).into(),
                ),
            ),
        ] {
            let mut options = Options { database_url: option.map(|url| url.to_owned().into()), ..Options::default() };
            let database = Database::new(&mut options, &Variables(variables)).expect("is complete");
            assert!(database.location == expected, "{option:?} {variables:?}");
        }
    }

    #[test]
    fn certificates_become_one_text() {
        const PEM: &str = "-----BEGIN CERTIFICATE-----";
        for (option, expected) in [
            (None, None),
            (Some(vec![PEM]), Some(PEM.to_owned())),
            (Some(vec![PEM, PEM]), Some(format!("{PEM}\n{PEM}"))),
        ] {
            let tls_ca = option.map(|texts| texts.into_iter().map(str::to_owned).collect());
            let mut options = Options { tls_ca, ..Options::default() };
            let database = Database::new(&mut options, &Variables(&[("DATABASE_URL", "postgres://h")]));
            assert_eq!(database.expect("is complete").ca, expected);
        }
    }

    #[test]
    fn whether_the_expiry_of_rows_counts() {
        for (option, expected) in
            [(None, RowExpiry::Checked), (Some(false), RowExpiry::Checked), (Some(true), RowExpiry::Ignored)]
        {
            let variables = Variables(&[("AUTH_SECRET", "s"), ("DATABASE_URL", "postgres://h")]);
            let options = Options { ignore_expires_at: option, ..Options::default() };
            assert_eq!(Config::new(options, &variables).expect("is complete").row_expiry, expected);
        }
    }

    #[test]
    fn mistakes_name_the_option_or_variable() {
        let with = |options: Options, variables| match Config::new(options, &Variables(variables))
            .expect_err("is a mistake")
        {
            Error::Config { name, .. } => name,
            other => panic!("{other}"),
        };
        let both = Options { secure_cookie: Some(true), ..named(&["a"]) };
        let secrets = |secrets: &[&str]| Options {
            secret: Some(secrets.iter().map(|secret| (*secret).to_owned().into()).collect()),
            ..Options::default()
        };
        let authorities = |texts: &[&str]| Options {
            tls_ca: Some(texts.iter().map(|text| (*text).to_owned()).collect()),
            ..secrets(&["a"])
        };
        const URL: &[(&str, &str)] = &[("DATABASE_URL", "postgres://h")];
        for (options, variables, expected) in [
            (named(&["a b"]), &[] as &[_], "cookieName"),
            (named(&["a", ""]), &[], "cookieName"),
            (named(&[]), &[], "cookieName"),
            (both, &[], "secureCookie"),
            (Options::default(), &[("AUTH_URL", "a.example")], "AUTH_URL"),
            (Options::default(), &[("NEXTAUTH_URL", "ftp://a.example")], "NEXTAUTH_URL"),
            (Options::default(), &[], "secret"),
            (Options::default(), &[("AUTH_SECRET", "")], "secret"),
            (secrets(&[]), &[("AUTH_SECRET", "s")], "secret"),
            (secrets(&["a", ""]), &[], "secret"),
            (secrets(&["a"]), &[], "databaseUrl"),
            (secrets(&["a"]), &[("DATABASE_URL", ""), ("PGPORT", "5432")], "databaseUrl"),
            (authorities(&[]), URL, "tls.ca"),
            (authorities(&["/etc/ca.pem"]), URL, "tls.ca"),
        ] {
            assert_eq!(with(options, variables), expected);
        }
    }

    #[test]
    fn mistakes_that_are_warned_of() {
        const LONG: &str = "a secret that has thirty-two bytes";
        const URL: (&str, &str) = ("DATABASE_URL", "postgres://h/d");
        const PRODUCTION: (&str, &str) = ("NODE_ENV", "production");
        const HTTPS: (&str, &str) = ("AUTH_URL", "https://a.example");
        let option = || Options { secret: Some(vec![LONG.to_owned().into()]), ..Options::default() };
        let none: Vec<Warning> = Vec::new();
        for (options, variables, expected) in [
            (option(), &[URL] as &[_], none.clone()),
            (
                Options { secret: Some(vec![LONG.to_owned().into(), "short".to_owned().into()]), ..Options::default() },
                &[URL],
                vec![Warning::ShortSecret { index: 1, bytes: 5 }],
            ),
            (Options::default(), &[URL, ("AUTH_SECRET", ""), ("NEXTAUTH_SECRET", LONG)], vec![Warning::EmptySecret]),
            (option(), &[URL, ("AUTH_SECRET", ""), ("NEXTAUTH_SECRET", LONG)], none.clone()),
            (Options { secure_cookie: Some(false), ..option() }, &[URL, PRODUCTION, HTTPS], vec![Warning::PlainCookie]),
            (named(&["sid"]), &[URL, PRODUCTION, HTTPS, ("AUTH_SECRET", LONG)], vec![Warning::PlainCookie]),
            (
                named(&["__Secure-sid", "sid"]),
                &[URL, PRODUCTION, HTTPS, ("AUTH_SECRET", LONG)],
                vec![Warning::PlainCookie],
            ),
            (
                named(&["sid"]),
                &[URL, PRODUCTION, ("NEXTAUTH_URL", "https://a.example"), ("AUTH_SECRET", LONG)],
                vec![Warning::PlainCookie],
            ),
            (named(&["__Host-sid", "__Secure-sid"]), &[URL, PRODUCTION, HTTPS, ("AUTH_SECRET", LONG)], none.clone()),
            (Options { secure_cookie: Some(false), ..option() }, &[URL, HTTPS], none.clone()),
            (Options { secure_cookie: Some(false), ..option() }, &[URL, PRODUCTION], none.clone()),
            (named(&["sid"]), &[URL, PRODUCTION, ("AUTH_URL", "?"), ("AUTH_SECRET", LONG)], none.clone()),
            (option(), &[URL, PRODUCTION, HTTPS], none),
        ] {
            let config = Config::new(options, &Variables(variables)).expect("is complete");
            assert_eq!(config.warnings, expected);
        }
    }

    #[test]
    fn debug_shows_neither_secret_nor_password() {
        let variables = Variables(&[("AUTH_SECRET", "hunter2"), ("DATABASE_URL", "postgres://u:hunter2@h/d")]);
        let config = Config::new(Options::default(), &variables).expect("is complete");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
