//! Which database to use, and how: the options and variables as they are written. [`crate::postgres`] parses
//! them.
#![forbid(unsafe_code)]

use super::environment::first_set;
use super::{Environment, Options, Password};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::Schema;
use crate::sensitive::Sensitive;

/// libpq's environment variables and the connection parameters that they set (PostgreSQL documentation,
/// chapter "libpq", sections "Parameter Key Words" and "Environment Variables").
const VARIABLES: [(&str, &str); 25] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGAPPNAME", "application_name"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGOPTIONS", "options"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGSERVICE", "service"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLCERTMODE", "sslcertmode"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];
/// Without a URL, one of these must be set.
const REQUIRED_VARIABLES: [&str; 5] = ["PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE", "PGSERVICE"];

/// Redacted in `Debug`, since it holds the password. Bridges with equal values share connections.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    pub location: Location,
    /// Counts more than that of the location.
    pub password: Option<Password>,
    /// PEM certificates of the only authorities to trust; `None` for those of the URL or the system.
    pub ca: Option<String>,
    /// A PEM file with authorities to trust beside those of the system: `NODE_EXTRA_CA_CERTS`.
    pub extra_ca: Option<String>,
    /// Whether statements are prepared. If `None`, the URL or else the default decides.
    pub prepared_statements: Option<bool>,
    /// Whether each query is limited to one tenant.
    pub sharded: bool,
    pub schema: Schema,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A connection URL, and the option or variable that holds it.
    Url {
        url: Sensitive,
        from: &'static str,
    },
    Variables(Vec<Variable>),
}

/// One of libpq's environment variables that is set.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// The connection parameter that it sets.
    pub parameter: &'static str,
    pub value: Sensitive,
}

redacted!(Database, Location, Variable);

impl Database {
    pub fn new(options: &mut Options, environment: &impl Environment) -> Result<Self, Error> {
        Ok(Self {
            password: password(options.password.take())?,
            ca: authorities(options.tls_ca.as_deref())?,
            extra_ca: environment.variable("NODE_EXTRA_CA_CERTS").map(|path| path.as_str().to_owned()),
            prepared_statements: options.prepared_statements,
            sharded: options.sharded.unwrap_or(false),
            ..Self::at(location(options.database_url.take(), environment)?)
        })
    }

    /// The database at `location`, with the defaults for all else.
    pub fn at(location: Location) -> Self {
        Self {
            location,
            password: None,
            ca: None,
            extra_ca: None,
            prepared_statements: None,
            sharded: false,
            schema: Schema::new(None),
        }
    }
}

fn location(option: Option<Sensitive>, environment: &impl Environment) -> Result<Location, Error> {
    let url = match option {
        Some(url) => Some(("databaseUrl", url)),
        None => first_set(["DATABASE_URL"], environment),
    };
    if let Some((from, url)) = url {
        return Ok(Location::Url { url, from });
    }
    if REQUIRED_VARIABLES.iter().all(|name| environment.variable(name).is_none()) {
        return Err(Error::config(
            "databaseUrl",
            "is missing; set the environment variable DATABASE_URL (or PGHOST, PGUSER, \
             PGDATABASE, ...), or pass the option databaseUrl",
        ));
    }
    let set = VARIABLES.into_iter().filter_map(|(name, parameter)| {
        let value = environment.variable(name)?;
        Some(Variable { name, parameter, value })
    });
    Ok(Location::Variables(set.collect()))
}

fn password(option: Option<Password>) -> Result<Option<Password>, Error> {
    match option {
        Some(Password::Text(text)) if text.is_empty() || text.contains('\0') => {
            Err(Error::config("password", "must not be empty or contain a NUL character"))
        }
        option => Ok(option),
    }
}

/// All certificates as one PEM text.
fn authorities(option: Option<&[String]>) -> Result<Option<String>, Error> {
    let Some(texts) = option else {
        return Ok(None);
    };
    let is_pem = |text: &String| text.contains("-----BEGIN CERTIFICATE-----");
    if texts.is_empty() || !texts.iter().all(is_pem) {
        return Err(Error::config(
            "tls.ca",
            "must hold certificates as PEM text, beginning with -----BEGIN CERTIFICATE-----; to name a file, set \
             sslrootcert in the URL instead",
        ));
    }
    Ok(Some(texts.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::super::environment::FakeEnvironment;
    use super::*;

    #[test]
    fn the_option_is_used_before_the_url_variable_and_that_before_the_others() {
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
            let database = Database::new(&mut options, &FakeEnvironment(variables)).expect("is complete");
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
            let database = Database::new(&mut options, &FakeEnvironment(&[("DATABASE_URL", "postgres://h")]));
            assert_eq!(database.expect("is complete").ca, expected);
        }
    }
}
