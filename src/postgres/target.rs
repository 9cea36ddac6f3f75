//! Connection URL or `PG*` variables -> where and how to connect.
#![forbid(unsafe_code)]

use percent_encoding::percent_decode_str;
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{self, Mistake};
use crate::config::{Database, PgVariables, STEP_LIMIT};
use crate::error::Error;

pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeTlsConnector,
}

impl Target {
    pub(super) fn new(database: &Database) -> Result<Self, Error> {
        let (mut config, (ssl_mode, tls)) = match database {
            Database::Url { url, from } => from_url(url, from)?,
            Database::Variables(variables) => from_variables(variables)?,
        };
        config.ssl_mode(ssl_mode);
        if config.get_tcp_user_timeout().is_none() {
            // A peer that vanished is noticed before the kernel's default of a quarter of an hour.
            config.tcp_user_timeout(STEP_LIMIT);
        }
        if config.get_application_name().is_none() {
            config.application_name("authjs-bridge");
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        Ok(Self { config, tls })
    }

    /// The hosts and their ports.
    pub(super) fn address(&self) -> String {
        let ports = self.config.get_ports();
        let port = |index| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let names = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<_> = names.enumerate().map(|(index, name)| format!("{name}:{}", port(index))).collect();
        hosts.join(", ")
    }
}

fn from_url(url: &str, from: &str) -> Result<(tokio_postgres::Config, (SslMode, MakeTlsConnector)), Error> {
    let problem = |problem: &str| Error::config(from, problem);
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(problem("must begin with postgres:// or postgresql://"));
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    // With a raw @ or ? in the password, a part of it would be taken for the host or for a
    // parameter, and end in a message.
    if base.matches('@').count() > 1 || query.contains('@') {
        return Err(problem(
            "holds an @ or ? that is not percent-encoded; write %40 for an @ and %3F for a ? \
             in user, password and parameters",
        ));
    }
    let (tls_parameters, rest): (Vec<_>, Vec<_>) = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .partition(|parameter| tls::PARAMETERS.contains(&name_and_value(parameter).0));
    let config = format!("{base}?{}", rest.join("&"))
        .parse()
        .map_err(|cause: tokio_postgres::Error| problem(&describe(&cause)))?;
    let tls_parameter = |name| {
        tls_parameters
            .iter()
            .map(|parameter| name_and_value(parameter))
            .rfind(|(key, _)| *key == name)
            .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let [mode, root_cert] = tls::PARAMETERS.map(tls_parameter);
    let tls = tls::connector(mode.as_deref(), root_cert)
        .map_err(|Mistake { parameter, problem: cause }| problem(&format!("{parameter} {cause}")))?;
    Ok((config, tls))
}

fn from_variables(variables: &PgVariables) -> Result<(tokio_postgres::Config, (SslMode, MakeTlsConnector)), Error> {
    let mut config = tokio_postgres::Config::new();
    for host in variables.host.iter().flat_map(|hosts| hosts.split(',')) {
        config.host(host);
    }
    for port in variables.port.iter().flat_map(|ports| ports.split(',')) {
        config.port(port.parse().map_err(|_| Error::config("PGPORT", "is not a port number"))?);
    }
    if let Some(user) = &variables.user {
        config.user(user);
    }
    if let Some(password) = &variables.password {
        config.password(password.as_bytes());
    }
    if let Some(database) = &variables.database {
        config.dbname(database);
    }
    let ports = config.get_ports().len();
    if ports > 1 && ports != config.get_hosts().len() {
        return Err(Error::config("PGPORT", "must hold one port, or one for each host of PGHOST"));
    }
    let tls = tls::connector(variables.ssl_mode.as_deref(), variables.ssl_root_cert.clone())
        .map_err(|Mistake { parameter, problem }| Error::config(format!("PG{}", parameter.to_uppercase()), problem))?;
    Ok((config, tls))
}

fn name_and_value(parameter: &str) -> (&str, &str) {
    parameter.split_once('=').unwrap_or((parameter, ""))
}

/// tokio-postgres names the parameter, not its value.
fn describe(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("is not a connection URL: {cause}"),
        None => "is not a connection URL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_url(url: &str) -> Result<Target, Error> {
        Target::new(&Database::Url { url: url.to_owned().into(), from: "DATABASE_URL" })
    }

    #[test]
    fn urls() {
        for (url, address, user, database, mode) in [
            ("postgres://u:p@h/d", "h:5432", "u", "d", SslMode::Prefer),
            ("postgresql://u@h:6543/d?sslmode=disable", "h:6543", "u", "d", SslMode::Disable),
            ("postgres://u@h/d?sslmode=verify-full&connect_timeout=3", "h:5432", "u", "d", SslMode::Require),
            ("postgres://u@h/d?sslrootcert=system", "h:5432", "u", "d", SslMode::Require),
            ("postgres://u:a%40b%3F@h/d", "h:5432", "u", "d", SslMode::Prefer),
            ("postgres://u@[::1]:1/d", "::1:1", "u", "d", SslMode::Prefer),
            ("postgres://u@/d?host=%2Frun%2Fpg", "/run/pg:5432", "u", "d", SslMode::Prefer),
            ("postgres://u@a:1,b:2/d", "a:1, b:2", "u", "d", SslMode::Prefer),
            ("postgres://u@/d", "localhost:5432", "u", "d", SslMode::Prefer),
        ] {
            let target = from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(target.address(), address, "{url}");
            assert_eq!(target.config.get_user(), Some(user), "{url}");
            assert_eq!(target.config.get_dbname(), Some(database), "{url}");
            assert_eq!(target.config.get_ssl_mode(), mode, "{url}");
            assert_eq!(target.config.get_application_name(), Some("authjs-bridge"));
        }
    }

    #[test]
    fn mistakes_in_a_url_name_what_is_wrong_and_leak_no_password() {
        for (url, part) in [
            ("", "postgres://"),
            ("mysql://u:hunter2@h/d", "postgres://"),
            ("postgres://u:hun@ter2@h/d", "%40"),
            ("postgres://u:hun?ter2=1@h/d", "%3F"),
            ("postgres://u:hunter2@h:port/d", "port"),
            ("postgres://u:hunter2@h/d?sslmode=on", "sslmode"),
            ("postgres://u:hunter2@h/d?sslmode=require&sslrootcert=system", "sslmode"),
            ("postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=/nowhere", "sslrootcert"),
            ("postgres://u:hunter2@h/d?colour=blue", "colour"),
        ] {
            let error = from_url(url).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert_eq!(error.code(), "ERR_AUTH_BRIDGE_CONFIG", "{url}");
            let message = error.to_string();
            assert!(message.starts_with("DATABASE_URL: "), "{message}");
            assert!(message.contains(part), "{message}");
            for secret in ["hunter2", "hun", "ter2"] {
                assert!(!message.contains(secret), "{message}");
            }
        }
    }

    #[test]
    fn variables_are_read_as_libpq_reads_them() {
        let all = PgVariables {
            host: Some("h".to_owned()),
            port: Some("6543".to_owned()),
            user: Some("u".to_owned()),
            password: Some("p@?".to_owned().into()),
            database: Some("d".to_owned()),
            ssl_mode: Some("verify-full".to_owned()),
            ssl_root_cert: None,
        };
        let target = |variables| Target::new(&Database::Variables(Box::new(variables)));
        let full = target(all.clone()).expect("is complete");
        assert_eq!(full.address(), "h:6543");
        assert_eq!(full.config.get_password(), Some(b"p@?".as_slice()));
        assert_eq!(full.config.get_ssl_mode(), SslMode::Require);

        let user_only = PgVariables { user: Some("u".to_owned()), ..PgVariables::default() };
        assert_eq!(target(user_only).expect("is enough").address(), "localhost:5432");

        for (variables, name) in [
            (PgVariables { port: Some("x".to_owned()), ..all.clone() }, "PGPORT"),
            (PgVariables { port: Some("1,2".to_owned()), ..all.clone() }, "PGPORT"),
            (PgVariables { ssl_mode: Some("on".to_owned()), ..all.clone() }, "PGSSLMODE"),
            (PgVariables { ssl_root_cert: Some("/nowhere".to_owned()), ..all }, "PGSSLROOTCERT"),
        ] {
            let error = target(variables).err().expect("is a mistake");
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
        }
    }
}
