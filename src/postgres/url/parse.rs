//! Connection URL and environment variables -> connection parameters with libpq's names.
//!
//! `postgres://user:password@host:port,host:port/dbname?name=value&...` (PostgreSQL documentation, chapter "libpq",
//! section "Connection URIs"). No message shows a value, since any part of a malformed URL can be the password.
#![forbid(unsafe_code)]

use std::mem;

use percent_encoding::percent_decode_str;
use zeroize::{Zeroize, Zeroizing};

use super::parameter::{Origin, Parameter};
use crate::config::{DatabaseUrl, Location, Variable, is_quoted};
use crate::error::Error;
use crate::sensitive::Sensitive;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// If a name occurs twice, the later parameter replaces the earlier one. As in libpq, a variable counts only if the URL
/// doesn't set the same.
pub(in crate::postgres) fn parameters(location: &Location) -> Result<Vec<Parameter>, Error> {
    let mut parameters = match &location.url {
        Some(DatabaseUrl { text, from }) => Url { from }.parse(text.trim())?,
        None => Vec::new(),
    };
    let is_open = |variable: &&Variable| !parameters.iter().any(|parameter| parameter.sets(variable.parameter));
    let filled: Vec<_> = location.variables.iter().filter(is_open).map(parameter_of).collect();
    parameters.extend(filled);
    Ok(parameters)
}

fn parameter_of(variable: &Variable) -> Parameter {
    Parameter {
        name: variable.parameter.to_owned(),
        value: variable.value.clone(),
        origin: Origin::Variable(variable.name),
    }
}

struct Url {
    from: &'static str,
}

impl Url {
    fn parse(&self, url: &str) -> Result<Vec<Parameter>, Error> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| self.error(&wrong_scheme(url)))?;
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        // With a raw @ or ? in the password, part of it would be parsed as the host or as a parameter, and be shown in a
        // message.
        if base.matches('@').count() > 1 || query.contains(['@', '?']) {
            return Err(self.error(
                "contains an @ or ? that is not percent-encoded; write %40 for an @ and %3F for a ? \
                 in user, password and parameters",
            ));
        }
        let (credentials, location) = base.split_once('@').unwrap_or(("", base));
        // Otherwise the rest would be parsed as part of a value, and an sslmode in it would be ignored.
        if location.contains(['&', ';']) || query.contains(';') {
            return Err(self.error(
                "must have one ? before its parameters and & between them; write %3B for a ; and %26 for an & in values",
            ));
        }
        let (hosts, database) = location.split_once('/').unwrap_or((location, ""));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (names, ports) = self.split_hosts(hosts)?;

        let mut parameters = Vec::new();
        for (name, value) in
            [("user", user), ("password", password), ("host", &names), ("port", &ports), ("dbname", database)]
        {
            if !value.is_empty() {
                parameters.push(self.parameter(name, value, true)?);
            }
        }
        // A password can contain a raw ? or &, and the text after it looks like a parameter.
        let mut may_be_password = credentials.is_empty() && base.contains(':');
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_name_safe = !may_be_password && pair.contains('=');
            parameters.push(self.parameter(name, value, is_name_safe)?);
            may_be_password |= parameters.last().is_some_and(|parameter| parameter.name == "password");
        }
        refuse_contradictions(&parameters)?;
        Ok(parameters)
    }

    /// The values of the parameters `host` and `port`: comma-separated lists.
    fn split_hosts(&self, hosts: &str) -> Result<(String, String), Error> {
        let mut names = Vec::new();
        let mut ports = Vec::new();
        for host in hosts.split(',') {
            let (name, port) = match host.strip_prefix('[') {
                Some(rest) => rest
                    .split_once(']')
                    .and_then(|(name, port)| Some((name, if port.is_empty() { "" } else { port.strip_prefix(':')? })))
                    .ok_or_else(|| self.error("has an IPv6 address without its closing bracket"))?,
                None if host.matches(':').count() > 1 => {
                    return Err(self.error("has more than one : after a host; write an IPv6 address in brackets"));
                }
                None => host.split_once(':').unwrap_or((host, "")),
            };
            names.push(name);
            ports.push(port);
        }
        let list =
            |items: Vec<&str>| if items.iter().all(|item| item.is_empty()) { String::new() } else { items.join(",") };
        Ok((list(names), list(ports)))
    }

    fn parameter(&self, name: &str, value: &str, is_name_safe: bool) -> Result<Parameter, Error> {
        let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
        let parameter = |value| Parameter { name, value, origin: Origin::Url { from: self.from, is_name_safe } };
        match decode(value) {
            Some(value) => Ok(parameter(value)),
            None => Err(parameter(Sensitive::default()).error("is not UTF-8 when it is percent-decoded")),
        }
    }

    fn error(&self, problem: &str) -> Error {
        Error::config(self.from, problem)
    }
}

/// The later of two parameters counts, but must not weaken what an earlier one says about TLS.
fn refuse_contradictions(parameters: &[Parameter]) -> Result<(), Error> {
    let is_about_tls =
        |parameter: &&Parameter| parameter.name.starts_with("ssl") || parameter.name == "channel_binding";
    for (index, later) in parameters.iter().enumerate().filter(|(_, parameter)| is_about_tls(parameter)) {
        if parameters[..index].iter().any(|earlier| earlier.name == later.name && earlier.value != later.value) {
            return Err(later.error("is given twice, with different values; remove one of them"));
        }
    }
    Ok(())
}

fn wrong_scheme(url: &str) -> String {
    let expected = "must begin with postgres:// or postgresql://";
    if url.starts_with("prisma") {
        return format!("{expected}; use the URL of the database itself, not that of Prisma's proxy");
    }
    if is_quoted(url) {
        return format!("{expected}, without quotes around it");
    }
    expected.to_owned()
}

/// `None` if the bytes are not UTF-8; they are wiped then.
fn decode(value: &str) -> Option<Sensitive> {
    // With enough capacity, so that no copy is left when the buffer grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
    bytes.extend(percent_decode_str(value));
    String::from_utf8(mem::take(&mut *bytes)).map(Sensitive::from).map_err(|error| error.into_bytes().zeroize()).ok()
}
