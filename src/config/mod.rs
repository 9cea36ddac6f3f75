//! Options and environment variables -> a validated [`Config`], with the defaults filled in.
#![forbid(unsafe_code)]

mod attributes;
mod cookies;
mod database;
mod environment;
mod limits;
mod password;
mod rolling;
mod schema;
mod secrets;
pub mod warning;

pub use self::attributes::CookieAttributes;
use self::attributes::cookies_with_attributes;
use self::cookies::plain_cookie;
pub use self::cookies::{CookieOption, SessionCookie, ignored_cookie, session_cookies};
pub use self::database::{Database, DatabaseUrl, Location, Variable};
#[cfg(test)]
pub(crate) use self::environment::FakeEnvironment;
use self::environment::NoVariables;
pub use self::environment::{
    Environment, Recorder, Snapshot, app_url_variable, is_development, is_production, is_quoted,
};
pub use self::limits::{
    CacheLimits, DEFAULT_CONNECT_TIMEOUT, DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_LIFETIME,
    LimitOptions, Limits, MAX_CONNECTIONS,
};
pub use self::password::{Password, PasswordSource};
pub use self::rolling::age;
pub use self::schema::TableOptions;
pub use self::secrets::{NamedSecret, Sealing, Secrets, named_secrets, secret_warnings};
use self::secrets::{empty_secret, secret_mistakes, secrets};
use self::warning::Warning;
use crate::claims::Rolling;
use crate::cookie::{Attributes, CookieName};
use crate::error::Error;
use crate::sensitive::Sensitive;

/// The variable with the options of the bridge of the module's own functions.
pub const OPTIONS_VARIABLE: &str = "AUTH_BRIDGE_OPTIONS";

/// The options of `new AuthBridge(options)`. If one is `None`, the environment or the default is used.
#[derive(Clone, Default)]
pub struct Options {
    /// Whether they are those of [`OPTIONS_VARIABLE`].
    pub are_in_variable: bool,
    pub secret: Option<Vec<Sensitive>>,
    pub cookie_name: Option<Vec<CookieOption>>,
    pub secure_cookie: Option<bool>,
    pub database_url: Option<Sensitive>,
    pub password: Option<Password>,
    pub tls_ca: Option<Vec<String>>,
    pub prepared_statements: Option<bool>,
    pub sharded: Option<bool>,
    pub ignore_expires_at: Option<bool>,
    pub tables: Option<TableOptions>,
    pub multi_tenant: Option<bool>,
    pub user_check: Option<String>,
    pub extra_claims: Option<Vec<String>>,
    pub fresh_claims: Option<Vec<String>>,
    pub expires: Option<bool>,
    pub max_age: Option<f64>,
    pub absolute_max_age: Option<f64>,
    pub update_age: Option<f64>,
    pub cookie: Option<CookieAttributes>,
    pub migrate_cookies: Option<bool>,
    pub listen: Option<bool>,
    pub listen_url: Option<Sensitive>,
    pub limits: LimitOptions,
}

impl Options {
    /// Checks what the options say, without the environment that may complete them. Returns what they say of the database.
    pub fn check(&self) -> Result<Database, Error> {
        attributes::check(self, &session_cookies(self, &NoVariables)?)?;
        if let Some(list) = &self.secret {
            secrets(Some(list.clone()), &NoVariables)?;
        }
        Limits::new(self.limits)?;
        rolling::rolling(self)?;
        rolling::migrates_cookies(self)?;
        Database::of_options(self)
    }
}

/// The validated configuration of a bridge.
#[derive(Debug)]
pub struct Config {
    pub secrets: Secrets,
    /// In order of preference, secure ones first; at least one.
    pub cookies: Vec<(SessionCookie, Attributes)>,
    /// A cookie that Auth.js may have set, but that doesn't count.
    pub ignored_cookie: Option<CookieName>,
    pub database: Database,
    pub rolling: Rolling,
    /// Whether sessions of other cookies are moved to the first one.
    pub migrates_cookies: bool,
    pub limits: Limits,
    /// Likely mistakes that don't keep the bridge from working.
    pub warnings: Vec<Warning>,
}

impl Config {
    pub fn new(mut options: Options, environment: &impl Environment) -> Result<Self, Error> {
        let cookies = cookies_with_attributes(&options, environment)?;
        let ignored_cookie = ignored_cookie(&options, environment);
        let secrets_are_from_environment = options.secret.is_none();
        let secrets = secrets(options.secret.take(), environment)?;
        let database = Database::new(&options, environment)?;
        let limits = Limits::new(options.limits)?;
        let rolling = rolling::rolling(&options)?;
        let empty_secret = if secrets_are_from_environment { empty_secret(environment) } else { None };
        let warnings =
            secret_mistakes(&secrets.list).chain(empty_secret).chain(plain_cookie(&cookies, environment)).collect();
        Ok(Self {
            cookies,
            ignored_cookie,
            secrets,
            warnings,
            database,
            rolling,
            migrates_cookies: rolling::migrates_cookies(&options)?,
            limits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Options {
        let option = |name: &&str| CookieOption { name: (*name).to_owned(), issuer: None };
        Options { cookie_name: Some(names.iter().map(option).collect()), ..Options::default() }
    }

    #[test]
    fn errors_name_the_option_or_variable() {
        let with = |options: Options, variables| match Config::new(options, &FakeEnvironment(variables))
            .expect_err("is wrong")
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
            (Options { password: Some(Password::Text(Sensitive::default())), ..secrets(&["a"]) }, URL, "password"),
            (authorities(&[]), URL, "tls.ca"),
            (authorities(&["/etc/ca.pem"]), URL, "tls.ca"),
        ] {
            assert_eq!(with(options, variables), expected);
        }
    }

    /// What only the environment can complete is no mistake of the options.
    #[test]
    fn options_are_checked_without_the_environment() {
        let limits = LimitOptions { max_waiting: Some(0.5), ..LimitOptions::default() };
        let secret = |secret: &str| Options { secret: Some(vec![secret.to_owned().into()]), ..Options::default() };
        for (options, expected) in [
            (Options::default(), None),
            (secret("s"), None),
            (named(&["sid"]), None),
            (secret(""), Some("secret")),
            (named(&["a b"]), Some("cookieName")),
            (Options { secure_cookie: Some(true), ..named(&["a"]) }, Some("secureCookie")),
            (Options { tls_ca: Some(vec!["ca.pem".to_owned()]), ..Options::default() }, Some("tls.ca")),
            (Options { limits, ..Options::default() }, Some("maxWaiting")),
        ] {
            let name = options.check().err().map(|error| error.to_string().split(':').next().unwrap_or("").to_owned());
            assert_eq!(name.as_deref(), expected);
        }
    }

    #[test]
    fn warnings_of_each_configuration() {
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
            let config = Config::new(options, &FakeEnvironment(variables)).expect("is complete");
            assert_eq!(config.warnings, expected);
        }
    }

    #[test]
    fn debug_shows_neither_secret_nor_password() {
        let environment = FakeEnvironment(&[("AUTH_SECRET", "hunter2"), ("DATABASE_URL", "postgres://u:hunter2@h/d")]);
        let config = Config::new(Options::default(), &environment).expect("is complete");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
