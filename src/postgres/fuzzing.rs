//! Parsed URLs, for the fuzz target of database URLs.
#![forbid(unsafe_code)]

use super::tls::policy;
use super::url::{Host, Settings};
use crate::config::Location;
use crate::error::Error;

/// The parts of a URL that can be written in another way.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadUrl {
    /// Names and ports.
    pub hosts: Vec<(String, u16)>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub dbname: Option<String>,
    /// The hosts as messages show them.
    pub address: String,
}

/// Parses `url` as a bridge does, but opens no certificate files.
pub fn read_url(url: &str) -> Result<ReadUrl, Error> {
    let settings = Settings::of(&Location::of_url(url.to_owned().into(), "databaseUrl"))?;
    let hosts = settings.hosts.hosts()?;
    policy(&settings.tls, false)?;
    let password = settings.config.get_password();
    Ok(ReadUrl {
        address: hosts.iter().map(Host::describe).collect::<Vec<_>>().join(", "),
        hosts: hosts.into_iter().map(|host| (host.name, host.port)).collect(),
        user: settings.config.get_user().map(str::to_owned),
        password: password.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        dbname: settings.config.get_dbname().map(str::to_owned),
    })
}
