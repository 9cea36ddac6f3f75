//! Connection parameters -> where and how to connect.
#![forbid(unsafe_code)]

mod hosts;
pub(super) mod parameter;
pub(super) mod parse;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio_postgres::Config;

pub(super) use self::hosts::Host;
pub(super) use self::settings::Settings;
use super::tls::Tls;
use crate::config::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONNECTIONS, Database, Limits};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::Schema;

/// By how much the server's own limit for a query is longer than ours, which ends the query first if
/// the network lets it.
const STATEMENT_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// Where and how to connect. Redacted in `Debug`, since it holds the password.
pub(super) struct Target {
    /// In the order in which they are tried.
    pub(super) hosts: Vec<Host>,
    /// Tried in another order each time.
    pub(super) shuffled: bool,
    pub(super) session: SessionKind,
    pub(super) tls: Tls,
    /// All of a connection but the host and the TLS mode. tokio-postgres has its own copy of the password there, and one
    /// for each attempt to connect, which it doesn't wipe.
    pub(super) config: Config,
    pub(super) connect_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) prepared_statements: bool,
    pub(super) schema: Schema,
}

redacted!(Target);

/// Which servers will do: libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SessionKind {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl Target {
    pub(super) fn new(database: &Database, limits: &Limits) -> Result<Self, Error> {
        let settings = Settings::of(&database.location)?;
        let hosts = settings.hosts.hosts()?;
        let prepared_statements = database.prepared_statements.unwrap_or(!settings.unnamed_statements);
        let mut config = settings.config;
        if config.get_application_name().is_none() {
            config.application_name(settings.fallback_application_name.as_deref().unwrap_or("authjs-bridge"));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(limits.query_timeout);
        }
        if prepared_statements {
            // A pooler would hand such a setting on to others, or refuse it.
            let limit = (limits.query_timeout + STATEMENT_TIMEOUT_MARGIN).as_millis();
            let own = config.get_options().unwrap_or_default();
            config.options(format!("-c statement_timeout={limit} {own}").trim_end());
        }
        Ok(Self {
            tls: Tls::new(settings.tls, database.ca.as_deref())?,
            hosts,
            shuffled: settings.shuffled,
            session: settings.session,
            config,
            connect_timeout: limits.connect_timeout.or(settings.connect_timeout).unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            max_connections: limits.max_connections.or(settings.max_connections).unwrap_or(DEFAULT_MAX_CONNECTIONS),
            prepared_statements,
            schema: database.schema.clone().in_namespace(settings.schema),
        })
    }

    /// The hosts and their ports, for messages.
    pub(super) fn address(&self) -> String {
        self.hosts.iter().map(Host::describe).collect::<Vec<_>>().join(", ")
    }
}
