//! The hosts to connect to, with addresses and ports.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use crate::error::Error;
use crate::postgres::url::parameter::Parameter;

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 5432;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::postgres) struct Host {
    /// A name, an IP address, or the directory of a Unix socket.
    pub(in crate::postgres) name: String,
    /// From `hostaddr`. If `None`, the name is looked up.
    pub(in crate::postgres) address: Option<IpAddr>,
    pub(in crate::postgres) port: u16,
}

impl Host {
    pub(in crate::postgres) fn is_socket(&self) -> bool {
        is_socket(&self.name)
    }

    /// The host with its port, for messages.
    pub(in crate::postgres) fn describe(&self) -> String {
        let Self { name, port, .. } = self;
        match name {
            _ if self.is_socket() => format!("{name}/.s.PGSQL.{port}"),
            _ if name.contains(':') => format!("[{name}]:{port}"),
            _ => format!("{name}:{port}"),
        }
    }
}

/// Comma-separated lists.
#[derive(Default)]
pub(in crate::postgres) struct HostParameters {
    pub(super) name: Option<Parameter>,
    pub(super) address: Option<Parameter>,
    pub(super) port: Option<Parameter>,
}

impl HostParameters {
    /// Combines names, addresses and ports as libpq does.
    pub(in crate::postgres) fn hosts(&self) -> Result<Vec<Host>, Error> {
        let names = list(self.name.as_ref());
        let addresses = list(self.address.as_ref());
        let ports = list(self.port.as_ref());
        if let Some(host) = &self.name {
            names.iter().try_for_each(|name| check_name(name)).map_err(|problem| host.error(problem))?;
        }
        let count = names.len().max(addresses.len()).max(1);
        if let Some(hostaddr) = &self.address
            && !names.is_empty()
            && names.len() != addresses.len()
        {
            return Err(hostaddr.error("must have one address for each host"));
        }
        if let Some(port) = &self.port
            && ports.len() > 1
            && ports.len() != count
        {
            return Err(port.error("must have one port, or one for each host"));
        }
        (0..count)
            .map(|index| {
                let text = |items: &[&str]| items.get(index).filter(|item| !item.is_empty()).map(ToString::to_string);
                let address = match (&self.address, text(&addresses)) {
                    (Some(hostaddr), Some(_)) if names.get(index).is_some_and(|name| is_socket(name)) => {
                        return Err(hostaddr.error("must be empty for a host that is the directory of a Unix socket"));
                    }
                    (Some(hostaddr), Some(text)) => {
                        Some(text.parse().map_err(|_| hostaddr.error("must be IP addresses"))?)
                    }
                    _ => None,
                };
                let port = match (&self.port, ports.get(index).or(ports.first())) {
                    (Some(parameter), Some(text)) if !text.is_empty() => {
                        let number = text.parse().ok().filter(|port| *port > 0);
                        number.ok_or_else(|| parameter.error("must be a number from 1 to 65535"))?
                    }
                    _ => DEFAULT_PORT,
                };
                let name = text(&names).or(address.map(|address: IpAddr| address.to_string()));
                Ok(Host { name: name.unwrap_or_else(|| DEFAULT_HOST.to_owned()), address, port })
            })
            .collect()
    }
}

fn is_socket(name: &str) -> bool {
    name.starts_with('/')
}

/// Names are shown in messages, and after a mistyped separator part of the password can get into a name.
fn check_name(name: &str) -> Result<(), &'static str> {
    let is_allowed = |character: char| character.is_alphanumeric() || "-._:%".contains(character);
    match is_socket(name) {
        true if !cfg!(unix) => Err("is the directory of a Unix socket, and this system has none"),
        false if !name.chars().all(is_allowed) => Err("contains a character that is not allowed in a host name"),
        _ => Ok(()),
    }
}

fn list(parameter: Option<&Parameter>) -> Vec<&str> {
    parameter.map(Parameter::list).unwrap_or_default()
}
