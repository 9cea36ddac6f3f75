//! Connection parameters -> [`Target`]: where and how to connect.
#![forbid(unsafe_code)]

mod hosts;
mod misspelled;
pub(super) mod parameter;
pub(super) mod parse;
mod settings;
#[cfg(test)]
mod tests;
mod unsupported;

use std::time::Duration;

use tokio_postgres::Config;

pub(super) use self::hosts::Host;
pub(super) use self::settings::Settings;
use super::password::PasswordSources;
use super::tls::Tls;
use crate::config::warning::Warning;
use crate::config::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_LIFETIME, Database,
    Environment, Limits, Password,
};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::Schema;

/// How much longer the server's `statement_timeout` is than the client's limit. Normally the client cancels the query
/// first; the server does so if the cancel request doesn't reach it.
const STATEMENT_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// The most time for the answer to a probe, which takes one round trip.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How much of a call's time a probe may take: the rest is for a new connection and the query.
const PROBE_SHARE: f64 = 0.25;
/// How much of a call's time connecting may take: the rest is for the query.
const CONNECTING_SHARE: f64 = 0.9;

/// Where and how to connect. Redacted in `Debug`, since it holds the password.
pub(super) struct Target {
    /// The options and variables that this is configured with.
    pub(super) sources: Vec<&'static str>,
    /// The names of the URL's parameters that are unknown, and ignored.
    pub(super) unknown: Vec<String>,
    /// In the order of the parameters.
    pub(super) hosts: Vec<Host>,
    /// Whether hosts and addresses are tried in random order.
    pub(super) shuffled: bool,
    pub(super) session_attrs: SessionAttrs,
    pub(super) tls: Tls,
    /// Everything but the host and the TLS mode. tokio-postgres keeps copies of the password, here and for each attempt
    /// to connect, and doesn't wipe them.
    pub(super) config: Config,
    /// Empty if the password is a text.
    pub(super) passwords: PasswordSources,
    /// The most time for one attempt to connect to one address.
    pub(super) connect_timeout: Duration,
    /// The most time for all attempts that are made for one connection.
    pub(super) connecting_timeout: Duration,
    /// The most time for a connection to show that it is alive.
    pub(super) probe_timeout: Duration,
    /// For how long a connection is used; `None` for no end.
    pub(super) max_lifetime: Option<Duration>,
    /// After which time an idle connection is closed, unless it is the last one; `None` for never.
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_connections: usize,
    pub(super) prepared_statements: bool,
    /// The PostgreSQL schema that the URL names, for tables that the options put into none.
    pub(super) namespace: Option<String>,
    pub(super) schema: Schema,
}

redacted!(Target);

/// Which servers are accepted: libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SessionAttrs {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
    /// Those that send notifications: no parameter has this value.
    Notifying,
}

impl SessionAttrs {
    /// Whether no standby is accepted.
    pub(super) fn are_of_primary(self) -> bool {
        matches!(self, Self::ReadWrite | Self::Primary | Self::Notifying)
    }
}

/// Checks what the options say, without the variables and files that may complete them.
pub(super) fn check(options: &Database) -> Result<(), Error> {
    let Database { location, listen, ca, .. } = options;
    for location in [location].into_iter().chain(listen) {
        let settings = Settings::of(location)?;
        settings.hosts.hosts()?;
        settings.tls.check(ca.as_deref())?;
    }
    Ok(())
}

impl Target {
    pub(super) fn new(database: &Database, limits: &Limits, environment: &impl Environment) -> Result<Self, Error> {
        let settings = Settings::of(&database.location)?;
        let hosts = settings.hosts.hosts()?;
        let prepared_statements = database.prepared_statements.unwrap_or(!settings.unnamed_statements);
        let mut config = settings.config;
        if let Some(Password::Text(text)) = &database.password {
            config.password(text.as_str());
        }
        if config.get_application_name().is_none() {
            config.application_name(settings.fallback_application_name.as_deref().unwrap_or("authjs-bridge"));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(limits.query_timeout);
        }
        if prepared_statements {
            // Without prepared statements there may be a pooler, which would share such a setting with other clients, or
            // refuse it.
            let limit = (limits.query_timeout + STATEMENT_TIMEOUT_MARGIN).as_millis();
            let own = config.get_options().unwrap_or_default();
            config.options(format!("-c statement_timeout={limit} {own}").trim_end());
        }
        Ok(Self {
            tls: Tls::new(settings.tls, database, environment)?,
            sources: settings.sources,
            unknown: settings.unknown,
            hosts,
            shuffled: settings.shuffled,
            session_attrs: settings.session_attrs,
            config,
            passwords: PasswordSources::default(),
            connect_timeout: limits.connect_timeout.or(settings.connect_timeout).unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            probe_timeout: limits.call_timeout.mul_f64(PROBE_SHARE).min(PROBE_TIMEOUT),
            max_lifetime: limit_unless_zero(limits.max_lifetime.or(settings.max_lifetime), DEFAULT_MAX_LIFETIME),
            idle_timeout: limit_unless_zero(limits.idle_timeout.or(settings.idle_timeout), DEFAULT_IDLE_TIMEOUT),
            connecting_timeout: limits.call_timeout.mul_f64(CONNECTING_SHARE),
            max_connections: limits.max_connections.or(settings.max_connections).unwrap_or(DEFAULT_MAX_CONNECTIONS),
            prepared_statements,
            schema: database.schema.clone().in_namespace(settings.schema.clone()),
            namespace: settings.schema,
        })
    }

    /// For connections on which notifications are received.
    pub(super) fn notifying(
        database: &Database,
        limits: &Limits,
        environment: &impl Environment,
    ) -> Result<Self, Error> {
        Ok(Self { session_attrs: SessionAttrs::Notifying, ..Self::new(database, limits, environment)? })
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let from = self.sources.first().filter(|_| !self.unknown.is_empty());
        from.map(|from| Warning::UnknownParameters { from, names: self.unknown.clone() }).into_iter().collect()
    }

    /// The hosts and their ports, for messages.
    pub(super) fn address(&self) -> String {
        self.hosts.iter().map(Host::describe).collect::<Vec<_>>().join(", ")
    }
}

fn limit_unless_zero(set: Option<Duration>, default: Duration) -> Option<Duration> {
    Some(set.unwrap_or(default)).filter(|limit| !limit.is_zero())
}
