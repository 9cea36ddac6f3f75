//! Where the database is, without the password, so that the doctor can show it.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use serde::Serialize;

use super::super::tls::Verify;
use super::super::url::{Host, Target};
use crate::schema::Schema;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetFacts {
    /// The options and variables that this is configured with.
    pub variables: Vec<&'static str>,
    /// The names of unknown parameters, which are ignored.
    pub unknown_parameters: Vec<String>,
    /// Names and ports.
    pub hosts: String,
    pub user: Option<String>,
    pub database: Option<String>,
    /// Whether all hosts are this machine.
    pub is_local: bool,
    pub verify: Verify,
    pub prepared_statements: bool,
    /// The PostgreSQL schema that the URL names, for tables that the options put into none.
    pub schema: Option<String>,
    /// The tables as the options name them.
    #[serde(skip)]
    pub configured: Schema,
}

impl TargetFacts {
    pub(super) fn new(target: &Target, configured: &Schema) -> Self {
        Self {
            variables: target.sources.clone(),
            unknown_parameters: target.unknown.clone(),
            hosts: target.address(),
            user: target.config.get_user().map(str::to_owned),
            database: target.config.get_dbname().map(str::to_owned),
            is_local: target.hosts.iter().all(is_local),
            verify: target.tls.verify,
            prepared_statements: target.prepared_statements,
            schema: target.namespace.clone(),
            configured: configured.clone(),
        }
    }

    /// The option or variable that holds the URL; `None` if libpq's variables say it all.
    pub fn url(&self) -> Option<&'static str> {
        self.variables.first().copied().filter(|source| !source.starts_with("PG"))
    }

    /// The option or variable that holds a URL for this package alone; `None` if there is none. `DATABASE_URL` is that of other
    /// clients, too, which would follow a change.
    pub fn own_url(&self) -> Option<&'static str> {
        self.url().filter(|source| *source != "DATABASE_URL")
    }

    /// The command that connects psql to this database.
    pub fn psql(&self) -> String {
        match self.url() {
            None => "psql".to_owned(),
            Some(variable) if variable.ends_with("DATABASE_URL") => format!("psql \"${variable}\""),
            Some(_) => "psql 'postgres://...'".to_owned(),
        }
    }
}

/// Whether the host is this machine, so that no data is sent over the network.
fn is_local(host: &Host) -> bool {
    let address = host.address.or_else(|| host.name.parse::<IpAddr>().ok());
    host.is_socket() || address.map_or(host.name == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_and_sockets_are_local() {
        for (name, address, expected) in [
            ("localhost", None, true),
            ("127.0.0.1", None, true),
            ("127.1.2.3", None, true),
            ("::1", None, true),
            ("/var/run/postgresql", None, true),
            ("database", Some("127.0.0.1"), true),
            ("localhost", Some("10.0.0.1"), false),
            ("localhost.example.com", None, false),
            ("10.0.0.1", None, false),
            ("database", None, false),
        ] {
            let address = address.map(|address| address.parse().expect("an address"));
            assert_eq!(is_local(&Host { name: name.to_owned(), address, port: 5432 }), expected, "{name} {address:?}");
        }
    }
}
