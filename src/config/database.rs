//! Where the database is, and how it is to be asked: what options and environment say of it, not
//! read yet; [`crate::postgres`] does that.
#![forbid(unsafe_code)]

use super::{Environment, Options, first_set};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::Schema;
use crate::sensitive::Sensitive;

/// libpq's environment variables and the connection parameters that they stand for (PostgreSQL
/// documentation, sections "Parameter Key Words" and "Environment Variables" of libpq).
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
/// One of these must be set where there is no URL.
const DECISIVE: [&str; 5] = ["PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE", "PGSERVICE"];

/// Redacted in `Debug`, since it holds the password. Equal ones mean the same connections.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    pub location: Location,
    /// PEM certificates of the authorities to trust, and no others.
    pub ca: Option<String>,
    /// Whether statements are prepared; `None` where the URL or the default decides.
    pub prepared_statements: Option<bool>,
    /// Whether each query must be about one tenant.
    pub sharded: bool,
    pub schema: Schema,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A connection URL, and the option or variable that it came from.
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
    /// The name of the same in a URL.
    pub parameter: &'static str,
    pub value: Sensitive,
}

redacted!(Database, Location, Variable);

impl Database {
    pub fn new(options: &mut Options, environment: &impl Environment) -> Result<Self, Error> {
        Ok(Self {
            location: location(options.database_url.take(), environment)?,
            ca: authorities(options.tls_ca.as_deref())?,
            prepared_statements: options.prepared_statements,
            sharded: options.sharded.unwrap_or(false),
            schema: Schema::new(None),
        })
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
    if DECISIVE.iter().all(|name| environment.variable(name).is_none()) {
        return Err(Error::config(
            "databaseUrl",
            "there is none; set the environment variable DATABASE_URL (or PGHOST, PGUSER, \
             PGDATABASE, ...), or pass the option databaseUrl",
        ));
    }
    let set = VARIABLES.into_iter().filter_map(|(name, parameter)| {
        let value = environment.variable(name)?;
        Some(Variable { name, parameter, value })
    });
    Ok(Location::Variables(set.collect()))
}

/// One PEM text of all certificates.
fn authorities(option: Option<&[String]>) -> Result<Option<String>, Error> {
    let Some(texts) = option else {
        return Ok(None);
    };
    let is_pem = |text: &String| text.contains("-----BEGIN CERTIFICATE-----");
    if texts.is_empty() || !texts.iter().all(is_pem) {
        return Err(Error::config(
            "tls.ca",
            "must hold certificates as PEM, beginning with -----BEGIN CERTIFICATE-----; a path goes into the \
             parameter sslrootcert of the URL",
        ));
    }
    Ok(Some(texts.join("\n")))
}
