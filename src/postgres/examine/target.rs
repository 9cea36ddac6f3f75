//! Where the database is, without the password, so that the doctor can show it.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use serde::Serialize;

use super::super::tls::Verify;
use super::super::url::{Host, Target};

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
    /// The PostgreSQL schema of the tables; `None` if the search path decides.
    pub schema: Option<String>,
}

impl TargetFacts {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            variables: target.sources.clone(),
            unknown_parameters: target.unknown.clone(),
            hosts: target.address(),
            user: target.config.get_user().map(str::to_owned),
            database: target.config.get_dbname().map(str::to_owned),
            is_local: target.hosts.iter().all(is_local),
            verify: target.tls.verify,
            prepared_statements: target.prepared_statements,
            schema: target.schema.sessions.namespace.clone(),
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
