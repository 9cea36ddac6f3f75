//! The connection parameters. [`Settings::set`] applies each; others are ignored or refused. docs/configuration.md has the
//! same tables for users.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslNegotiation};

use super::SessionAttrs;
use super::hosts::HostParameters;
use super::misspelled::meant_by;
use super::parse::parameters;
use crate::config::{Location, MAX_CONNECTIONS};
use crate::error::Error;
use crate::postgres::tls::TlsParameters;
use crate::postgres::url::parameter::Parameter;

/// A lost peer is detected after about a minute instead of two hours.
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// Parameters of libpq and other clients for features that this package doesn't have, or has its own options for.
pub(super) const IGNORED: [&str; 23] = [
    "charset",
    "client_encoding",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "idle_in_transaction_session_timeout",
    "krbsrvname",
    "lock_timeout",
    "pool_max_conn_lifetime_jitter",
    "pool_min_conns",
    "pool_mode",
    "pool_timeout",
    "query_timeout",
    "socket_timeout",
    "sslcompression",
    "sslsni",
    "statement_timeout",
    "supa",
    "timezone",
    "uselibpqcompat",
    "max_pipeline",
    "fetch_types",
    // TablePlus; `tlsmode` in another spelling is refused.
    "tLSMode",
];
/// Parameters of libpq that are refused: they ask for features that this package doesn't have, and ignoring them would be
/// unsafe.
pub(super) const UNSUPPORTED: [&str; 11] = [
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "ssl_max_protocol_version",
    "sslpassword",
    "sslidentity",
];

/// The settings of all parameters that were applied.
pub(in crate::postgres) struct Settings {
    /// The options and variables that the parameters come from.
    pub(super) sources: Vec<&'static str>,
    /// The names of unknown parameters, as they can be shown.
    pub(super) unknown: Vec<String>,
    pub(in crate::postgres) config: Config,
    pub(in crate::postgres) hosts: HostParameters,
    pub(super) fallback_application_name: Option<String>,
    pub(super) shuffled: bool,
    pub(super) session_attrs: SessionAttrs,
    pub(in crate::postgres) tls: TlsParameters,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) max_connections: Option<usize>,
    /// Zero for no limit.
    pub(super) max_lifetime: Option<Duration>,
    /// Zero for no limit.
    pub(super) idle_timeout: Option<Duration>,
    /// Set by the parameters that turn prepared statements off.
    pub(super) unnamed_statements: bool,
    pub(super) schema: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut config = Config::new();
        config
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
        Self {
            sources: Vec::new(),
            unknown: Vec::new(),
            config,
            hosts: HostParameters::default(),
            fallback_application_name: None,
            shuffled: false,
            session_attrs: SessionAttrs::default(),
            tls: TlsParameters::default(),
            connect_timeout: None,
            max_connections: None,
            max_lifetime: None,
            idle_timeout: None,
            unnamed_statements: false,
            schema: None,
        }
    }
}

impl Settings {
    pub(in crate::postgres) fn of(location: &Location) -> Result<Self, Error> {
        let mut settings = Self::default();
        settings.sources.extend(location.url.as_ref().map(|url| url.from));
        for parameter in parameters(location)? {
            settings.set(&parameter)?;
            if !settings.sources.contains(&parameter.source()) {
                settings.sources.push(parameter.source());
            }
        }
        Ok(settings)
    }

    fn set(&mut self, parameter: &Parameter) -> Result<(), Error> {
        let value = parameter.value.as_str();
        if value.contains('\0') {
            return Err(parameter.error("contains a NUL character"));
        }
        if parameter.name != "password" && TLS_WORDS.iter().any(|word| value.contains(word)) {
            return Err(parameter.error(
                "contains a parameter about TLS, which has no effect there; write ? before the parameters of a URL and & \
                 between them, not percent-encoded",
            ));
        }
        let config = &mut self.config;
        match parameter.name.as_str() {
            "host" => self.hosts.name = Some(parameter.clone()),
            "hostaddr" => self.hosts.address = Some(parameter.clone()),
            "port" => self.hosts.port = Some(parameter.clone()),
            "user" | "username" => drop(config.user(value)),
            "password" => drop(config.password(value)),
            "dbname" | "database" => drop(config.dbname(value)),
            "options" => drop(config.options(value)),
            "application_name" => drop(config.application_name(value)),
            "fallback_application_name" => self.fallback_application_name = Some(value.to_owned()),

            "connect_timeout" => self.connect_timeout = parameter.seconds()?,
            "tcp_user_timeout" => {
                let limit = parameter.number::<u64>()?;
                config.tcp_user_timeout(Duration::from_millis(limit));
            }
            "keepalives" => drop(config.keepalives(parameter.number::<u8>()? != 0)),
            "keepalives_idle" => drop(config.keepalives_idle(parameter.seconds()?.unwrap_or(KEEPALIVE_IDLE))),
            "keepalives_interval" => {
                config.keepalives_interval(parameter.seconds()?.unwrap_or(KEEPALIVE_INTERVAL));
            }
            "keepalives_count" | "keepalives_retries" => drop(config.keepalives_retries(parameter.number()?)),

            "target_session_attrs" => self.session_attrs = parameter.choice(&SESSION_ATTRS)?,
            "load_balance_hosts" => self.shuffled = parameter.choice(&[("disable", false), ("random", true)])?,
            "channel_binding" => drop(config.channel_binding(parameter.choice(&BINDINGS)?)),
            "sslnegotiation" => {
                let negotiation = parameter.choice(&NEGOTIATIONS)?;
                self.tls.direct = negotiation == SslNegotiation::Direct;
                config.ssl_negotiation(negotiation);
            }
            "sslmode" => self.tls.mode = Some(parameter.clone()),
            "ssl" => self.tls.ssl = Some(parameter.clone()),
            "sslaccept" => self.tls.accept = Some(parameter.clone()),
            "sslrootcert" => self.tls.root_cert = Some(parameter.clone()),
            "sslcert" => self.tls.cert = Some(parameter.clone()),
            "sslkey" => self.tls.key = Some(parameter.clone()),
            "ssl_min_protocol_version" => self.tls.min_version = Some(parameter.clone()),

            "connection_limit" | "pool_max_conns" => {
                let limit = parameter.number::<usize>().ok().filter(|limit| (1..=MAX_CONNECTIONS).contains(limit));
                let problem = || parameter.error(format!("must be a whole number from 1 to {MAX_CONNECTIONS}"));
                self.max_connections = Some(limit.ok_or_else(problem)?);
            }
            "max_lifetime" | "max_connection_lifetime" | "pool_max_conn_lifetime" => {
                self.max_lifetime = Some(parameter.duration()?);
            }
            "idle_timeout" | "max_idle_connection_lifetime" | "pool_max_conn_idle_time" => {
                self.idle_timeout = Some(parameter.duration()?);
            }
            "schema" | "search_path" => self.schema = parameter.schema()?,
            "pgbouncer" => self.unnamed_statements |= parameter.boolean()?,
            "prepare" => self.unnamed_statements |= !parameter.boolean()?,
            "statement_cache_size"
            | "statement_cache_capacity"
            | "prepared_statement_cache_size"
            | "prepared_statements_cache_size" => self.unnamed_statements |= parameter.number::<i64>()? == 0,
            "default_query_exec_mode" => {
                self.unnamed_statements |= matches!(value, "exec" | "simple_protocol" | "describe_exec");
            }

            name if IGNORED.contains(&name) => {}
            name if UNSUPPORTED.contains(&name) => return Err(parameter.error("is not supported")),
            name => match meant_by(name) {
                _ if !parameter.is_name_safe() => return Err(parameter.unknown_error()),
                Some(meant) => return Err(parameter.error(format!("is unknown; {meant} is probably meant"))),
                None => self.unknown.push(parameter.shown_name().to_owned()),
            },
        }
        Ok(())
    }
}

/// In the value of another parameter they are lost, such as after a percent-encoded `?`.
const TLS_WORDS: [&str; 5] = ["sslmode=", "ssl=", "sslaccept=", "sslrootcert=", "channel_binding="];

pub(super) const SESSION_ATTRS: [(&str, SessionAttrs); 6] = [
    ("any", SessionAttrs::Any),
    ("read-write", SessionAttrs::ReadWrite),
    ("read-only", SessionAttrs::ReadOnly),
    ("primary", SessionAttrs::Primary),
    ("standby", SessionAttrs::Standby),
    ("prefer-standby", SessionAttrs::PreferStandby),
];
const BINDINGS: [(&str, ChannelBinding); 3] =
    [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)];
const NEGOTIATIONS: [(&str, SslNegotiation); 2] =
    [("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)];
