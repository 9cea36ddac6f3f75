//! Makes the connections of the pool: which host, which address, with TLS or without.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use postgres_openssl::MakeTlsConnector;
use rand::seq::SliceRandom;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::cancel::{Endpoint, cancel};
use super::fault::{describe, is_refused_login, is_refused_without_tls, with_advice};
use super::url::{Host, SessionKind, Target};
use crate::error::Error;
use crate::redacted::redacted;

/// Who waits for a connection is told of this step.
const STEP: &str = "connecting to the database";

pub struct Connector {
    target: Target,
    /// Connections made before this are not used any more.
    distrusted: Mutex<Option<Instant>>,
    connects: AtomicU64,
    failures: AtomicU64,
}

/// A connection, and where it leads to.
pub struct Connection {
    pub(super) client: ClientWrapper,
    pub(super) endpoint: Endpoint,
    /// The one that the server took.
    pub(super) mode: SslMode,
}

redacted!(Connector, Connection);

/// Why one attempt, at one address, gave no connection.
enum Failure {
    Timeout,
    /// The server or the network says no.
    Refused(tokio_postgres::Error),
    /// The name has no address.
    Unknown(std::io::Error),
    /// It is a server, but not of the kind that is wanted.
    OtherKind(&'static str),
}

impl Connector {
    pub(super) fn new(target: Target) -> Self {
        Self { target, distrusted: Mutex::new(None), connects: AtomicU64::new(0), failures: AtomicU64::new(0) }
    }

    /// Tells the server to end what it does for `connection`.
    pub(super) async fn cancel(&self, connection: &Connection) {
        let Connection { client, endpoint, .. } = connection;
        // Whether it worked or not, the connection is not used any more.
        let _ = cancel(client.cancel_token(), endpoint.clone(), self.tls()).await;
    }

    fn tls(&self) -> MakeTlsConnector {
        self.target.tls.connector()
    }

    /// Connections that were made, and attempts that made none.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.connects.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    /// From now on only connections are used that are not made yet.
    pub(super) fn distrust_all(&self) {
        *self.distrusted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn trusts(&self, made: Instant) -> bool {
        let distrusted = *self.distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        distrusted.is_none_or(|until| made > until)
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        match self.target.session {
            // Any will do if there is no standby.
            SessionKind::PreferStandby => match self.connect_to_any_host(SessionKind::Standby).await {
                Err(_) => self.connect_to_any_host(SessionKind::Any).await,
                connected => connected,
            },
            kind => self.connect_to_any_host(kind).await,
        }
    }

    /// The first that will do. The others are not tried where the password is wrong, as in libpq.
    async fn connect_to_any_host(&self, kind: SessionKind) -> Result<Connection, Error> {
        let mut failures = Vec::new();
        'hosts: for host in self.in_order(self.target.hosts.iter().collect()) {
            let addresses = match self.addresses(host).await {
                Ok(addresses) => self.in_order(addresses),
                Err(failure) => {
                    failures.push((host, failure));
                    continue;
                }
            };
            for address in addresses {
                match self.connect_to(host, address, kind).await {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => {
                        let is_final = matches!(&failure, Failure::Refused(cause) if is_refused_login(cause));
                        failures.push((host, failure));
                        if is_final {
                            break 'hosts;
                        }
                    }
                }
            }
        }
        Err(self.error(&failures))
    }

    fn in_order<T>(&self, mut items: Vec<T>) -> Vec<T> {
        if self.target.shuffled {
            items.shuffle(&mut rand::rng());
        }
        items
    }

    /// `None` stands for a Unix socket.
    async fn addresses(&self, host: &Host) -> Result<Vec<Option<IpAddr>>, Failure> {
        if host.is_socket() || host.address.is_some() {
            return Ok(vec![host.address]);
        }
        let found =
            timeout(self.target.connect_timeout, tokio::net::lookup_host((host.name.as_str(), host.port))).await;
        match found {
            Err(_elapsed) => Err(Failure::Timeout),
            Ok(Err(cause)) => Err(Failure::Unknown(cause)),
            Ok(Ok(addresses)) => Ok(addresses.map(|address| Some(address.ip())).collect()),
        }
    }
}

impl Connector {
    async fn connect_to(&self, host: &Host, address: Option<IpAddr>, kind: SessionKind) -> Result<Connection, Failure> {
        // TLS is not used through a Unix socket (libpq, `sslmode`).
        let modes = if address.is_none() { &[SslMode::Disable] } else { self.target.tls.modes };
        let mut failure = Failure::Timeout;
        for (index, mode) in modes.iter().enumerate() {
            match timeout(self.target.connect_timeout, self.open(host, address, *mode, kind)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(cause)) => {
                    let is_worth_another = matches!(&cause, Failure::Refused(cause) if is_refused_without_tls(cause));
                    if index == 0 || is_worth_another {
                        failure = cause;
                    }
                    if !is_worth_another {
                        break;
                    }
                }
                Err(_elapsed) => break,
            }
        }
        Err(failure)
    }

    async fn open(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        mode: SslMode,
        kind: SessionKind,
    ) -> Result<Connection, Failure> {
        let mut config = self.target.config.clone();
        config.host(&host.name).port(host.port).ssl_mode(mode);
        if let Some(address) = address {
            config.hostaddr(address);
        }
        let (client, connection) = config.connect(self.tls()).await.map_err(Failure::Refused)?;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer is told of the error, too.
            let _ = connection.await;
        });
        let client = ClientWrapper::new(client, task);
        check_kind(&client, kind).await?;
        Ok(Connection { client, endpoint: Endpoint { host: host.clone(), address }, mode })
    }

    fn error(&self, failures: &[(&Host, Failure)]) -> Error {
        let limit = self.target.connect_timeout;
        if failures.iter().all(|(_, failure)| matches!(failure, Failure::Timeout)) {
            return Error::Timeout { step: STEP, limit };
        }
        let describe = |(host, failure): &(&Host, Failure)| {
            let cause = match failure {
                Failure::Timeout => format!("took longer than {} ms", limit.as_millis()),
                Failure::Refused(cause) => with_advice(describe(cause), cause, self.target.prepared_statements),
                Failure::Unknown(cause) => format!("the name can't be looked up: {cause}"),
                Failure::OtherKind(kind) => (*kind).to_owned(),
            };
            format!("{}: {cause}", host.describe())
        };
        let mut causes: Vec<_> = failures.iter().map(describe).collect();
        // Several addresses of one host mostly say the same.
        causes.dedup();
        Error::Connect(causes.join("; "))
    }
}

/// As libpq finds it out for `target_session_attrs`.
async fn check_kind(client: &Client, kind: SessionKind) -> Result<(), Failure> {
    const QUESTION: &str = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";
    if kind == SessionKind::Any {
        return Ok(());
    }
    let answer = client.simple_query(QUESTION).await.map_err(Failure::Refused)?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((switch(row, 0, ["f", "t"])?, switch(row, 1, ["off", "on"])?)),
        _ => None,
    });
    let (is_standby, is_read_only) = row.ok_or(Failure::OtherKind("does not say whether it is a standby"))?;
    let mismatch = match kind {
        SessionKind::ReadWrite if is_read_only => "is read-only",
        SessionKind::ReadOnly if !is_read_only => "is not read-only",
        SessionKind::Primary if is_standby => "is a standby",
        SessionKind::Standby if !is_standby => "is not a standby",
        _ => return Ok(()),
    };
    Err(Failure::OtherKind(mismatch))
}

fn switch(row: &SimpleQueryRow, index: usize, [off, on]: [&str; 2]) -> Option<bool> {
    let value = row.try_get(index).ok()??;
    (value == off || value == on).then_some(value == on)
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        let connected = self.connect().await;
        let counter = if connected.is_ok() { &self.connects } else { &self.failures };
        counter.fetch_add(1, Ordering::Relaxed);
        connected
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<Error> {
        if connection.client.is_closed() || !self.trusts(metrics.created) {
            return Err(RecycleError::message("closed, or as good as closed"));
        }
        Ok(())
    }
}
