//! What the fuzz target of database URLs looks at.
#![forbid(unsafe_code)]

use super::tls::policy;
use super::url::{Host, Settings};
use crate::config::Location;
use crate::error::Error;

/// What a URL says, as far as another one can say the same.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadUrl {
    /// With their ports.
    pub hosts: Vec<(String, u16)>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub dbname: Option<String>,
    /// The hosts as messages show them.
    pub address: String,
}

/// Reads `url` as a bridge does that is given it, but opens no file of certificates.
pub fn read_url(url: &str) -> Result<ReadUrl, Error> {
    let settings = Settings::of(&Location::Url { url: url.to_owned().into(), from: "databaseUrl" })?;
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
