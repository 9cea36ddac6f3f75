//! Which database to use, and how: the options and variables as they are written. [`crate::postgres`] parses
//! them.
#![forbid(unsafe_code)]

use super::environment::first_set;
use super::schema::schema;
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
/// The URL of the first that is set is used. The first is for this package alone: other clients may not know a parameter that
/// this one needs, such as `schema`.
const URL_VARIABLES: [&str; 2] = ["AUTH_BRIDGE_DATABASE_URL", "DATABASE_URL"];

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
    /// Where to listen for what others end; `None` if nobody listens.
    pub listen: Option<Location>,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Location {
    pub url: Option<DatabaseUrl>,
    /// They set what the URL leaves open, or everything if there is none.
    pub variables: Vec<Variable>,
}

/// A connection URL.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    pub text: Sensitive,
    /// The option or variable that holds it.
    pub from: &'static str,
}

/// One of libpq's environment variables that is set.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// The connection parameter that it sets.
    pub parameter: &'static str,
    pub value: Sensitive,
}

redacted!(Database, DatabaseUrl, Location, Variable);

impl Database {
    pub fn new(options: &Options, environment: &impl Environment) -> Result<Self, Error> {
        let database = Self::of_options(options)?;
        Ok(Self {
            location: database.location.complete(environment)?,
            listen: database.listen.map(|location| location.complete(environment)).transpose()?,
            extra_ca: environment.variable("NODE_EXTRA_CA_CERTS").map(|path| path.as_str().to_owned()),
            ..database
        })
    }

    /// What the options alone say.
    pub(super) fn of_options(options: &Options) -> Result<Self, Error> {
        let [database_url, listen_url] = match options.are_in_variable {
            true => ["databaseUrl in AUTH_BRIDGE_OPTIONS", "listenUrl in AUTH_BRIDGE_OPTIONS"],
            false => ["databaseUrl", "listenUrl"],
        };
        let location = options.database_url.clone().map(|url| Location::of_url(url, database_url)).unwrap_or_default();
        let listen = match (listens(options)?, &options.listen_url) {
            (false, _) => None,
            (true, None) => Some(location.clone()),
            (true, Some(url)) => Some(Location::of_url(url.clone(), listen_url)),
        };
        Ok(Self {
            password: password(options.password.clone())?,
            ca: authorities(options.tls_ca.as_deref())?,
            prepared_statements: options.prepared_statements,
            sharded: options.sharded.unwrap_or(false),
            schema: schema(options)?,
            listen,
            ..Self::at(location)
        })
    }

    /// The database to listen to. It is the same one for bridges that differ in nothing but their tables and statements.
    pub fn listened(&self) -> Option<Self> {
        let database = Self::at(self.listen.clone()?);
        Some(Self {
            password: self.password.clone(),
            ca: self.ca.clone(),
            extra_ca: self.extra_ca.clone(),
            // So no setting is sent that a pooler refuses.
            prepared_statements: Some(false),
            ..database
        })
    }

    /// Whether notifications may come from another server than the answers.
    pub fn listens_elsewhere(&self) -> bool {
        self.listen.as_ref().is_some_and(|location| *location != self.location)
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
            listen: None,
        }
    }
}

impl Location {
    /// Only this URL, without the environment.
    pub fn of_url(text: Sensitive, from: &'static str) -> Self {
        Self { url: Some(DatabaseUrl { text, from }), variables: Vec::new() }
    }

    /// Adds what the environment says.
    fn complete(self, environment: &impl Environment) -> Result<Self, Error> {
        let of_variable = || first_set(URL_VARIABLES, environment).map(|(from, text)| DatabaseUrl { text, from });
        let url = self.url.or_else(of_variable);
        if url.is_none() && REQUIRED_VARIABLES.iter().all(|name| environment.variable(name).is_none()) {
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
        Ok(Self { url, variables: set.collect() })
    }
}

fn listens(options: &Options) -> Result<bool, Error> {
    if options.listen != Some(true) {
        return match options.listen_url {
            Some(_) => Err(Error::config("listenUrl", "has no effect without listen: true")),
            None => Ok(false),
        };
    }
    if options.sharded == Some(true) {
        return Err(Error::config("listen", "can't be used with sharded: notifications come from one server alone"));
    }
    if options.limits.max_staleness.is_none_or(|staleness| staleness == 0.0) {
        return Err(Error::config(
            "listen",
            "has no effect without maxStaleness; set that to how long a revoked session may live if its notification is lost",
        ));
    }
    Ok(true)
}

fn password(option: Option<Password>) -> Result<Option<Password>, Error> {
    match option {
        Some(Password::Text(text)) if text.is_empty() || text.contains('\0') => {
            Err(Error::config("password", "must not be empty or contain a NUL character"))
        }
        option => Ok(option),
    }
}

/// All certificates as one PEM text. In a variable, PEM often has `\n` for its line breaks, or the quotes of a line of a `.env`
/// file around it; neither can be part of PEM.
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
    let plain = |text: &String| text.replace("\\r", "").replace("\\n", "\n").replace(['"', '\''], "");
    Ok(Some(texts.iter().map(plain).collect::<Vec<_>>().join("\n")))
}

#[cfg(test)]
mod tests {
    use super::super::environment::FakeEnvironment;
    use super::*;

    #[test]
    fn the_option_is_used_before_the_url_variables_and_the_others_beside_them() {
        const HOST: (&str, &str, &str) = ("PGHOST", "host", "h");
        const USER: (&str, &str, &str) = ("PGUSER", "user", "u");
        const MODE: (&str, &str, &str) = ("PGSSLMODE", "sslmode", "require");
        for (option, variables, url, others) in [
            (
                Some("postgres://a"),
                &[("DATABASE_URL", "b")] as &[_],
                Some(("databaseUrl", "postgres://a")),
                &[] as &[_],
            ),
            (
                None,
                &[("DATABASE_URL", "b"), ("AUTH_BRIDGE_DATABASE_URL", "c")],
                Some(("AUTH_BRIDGE_DATABASE_URL", "c")),
                &[],
            ),
            (None, &[("DATABASE_URL", "b"), ("AUTH_BRIDGE_DATABASE_URL", "")], Some(("DATABASE_URL", "b")), &[]),
            (None, &[("PGHOST", "h"), ("DATABASE_URL", "b")], Some(("DATABASE_URL", "b")), &[HOST]),
            (Some("a"), &[("PGSSLMODE", "require")], Some(("databaseUrl", "a")), &[MODE]),
            (
                None,
                &[("DATABASE_URL", ""), ("PGSSLMODE", "require"), ("PGPORT", ""), ("PGUSER", "u")],
                None,
                &[USER, MODE],
            ),
        ] {
            let expected = Location {
                url: url.map(|(from, url)| DatabaseUrl { text: url.to_owned().into(), from }),
                variables: others
                    .iter()
                    .map(|&(name, parameter, value)| Variable { name, parameter, value: value.to_owned().into() })
                    .collect(),
            };
            let options = Options { database_url: option.map(|url| url.to_owned().into()), ..Options::default() };
            let database = Database::new(&options, &FakeEnvironment(variables)).expect("is complete");
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
            (Some(vec!["\"-----BEGIN CERTIFICATE-----\\r\\nMII\\n\""]), Some(format!("{PEM}\nMII\n"))),
        ] {
            let tls_ca = option.map(|texts| texts.into_iter().map(str::to_owned).collect());
            let options = Options { tls_ca, ..Options::default() };
            let database = Database::new(&options, &FakeEnvironment(&[("DATABASE_URL", "postgres://h")]));
            assert_eq!(database.expect("is complete").ca, expected);
        }
    }
}
