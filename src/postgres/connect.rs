//! Opens the connections of the pool: chooses host, address and TLS mode.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use rand::seq::SliceRandom;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, Notification, SimpleQueryMessage, SimpleQueryRow};

use super::age::{Age, Fitness, Moment, Trust};
use super::cancel::{Endpoint, cancel};
use super::fault::{describe, is_login_refused, may_accept_other_tls_mode, with_pooler_advice};
use super::rest::Rest;
use super::url::{Host, SessionAttrs, Target};
use crate::error::Error;
use crate::redacted::redacted;
use crate::sensitive::Sensitive;

/// How many notifications may wait for their receiver.
const MAX_UNREAD: usize = 64;
/// The name of this step in timeout errors.
const STEP: &str = "connecting to the database";

pub struct Connector {
    target: Target,
    pub(super) trust: Trust,
    connects: AtomicU64,
    failures: AtomicU64,
}

/// A connection, and the server that it leads to.
pub struct Connection {
    pub(super) client: ClientWrapper,
    pub(super) endpoint: Endpoint,
    /// The TLS mode that the server accepted.
    pub(super) mode: SslMode,
    pub(super) age: Age,
    pub(super) slides: Rest,
    /// What the server sends by itself, until the connection ends. Only of a listener.
    pub(super) notifications: Option<mpsc::Receiver<Notification>>,
}

redacted!(Connector, Connection);

/// Why one attempt to connect to one address failed.
enum Failure {
    /// It took longer than this.
    Timeout(Duration),
    /// The server or the network refused the connection.
    Refused(tokio_postgres::Error),
    /// The host name can't be resolved.
    UnknownHost(std::io::Error),
    /// The server doesn't match `target_session_attrs`.
    WrongSessionAttrs(&'static str),
    /// The app's function gave no password.
    NoPassword(Error),
}

impl Connector {
    pub(super) fn new(target: Target) -> Self {
        let trust = Trust::new(target.idle_timeout);
        Self { target, trust, connects: AtomicU64::new(0), failures: AtomicU64::new(0) }
    }

    /// Asks the server to cancel the running query of `connection`.
    pub(super) async fn cancel(&self, connection: &Connection) {
        let Connection { client, endpoint, .. } = connection;
        // The connection is closed afterwards, whether this worked or not.
        let _ = cancel(client.cancel_token(), endpoint.clone(), &self.target.tls.encryption).await;
    }

    /// How many attempts to connect succeeded, and how many failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.connects.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    pub(super) fn fitness(&self, connection: &Connection) -> Fitness {
        if connection.client.is_closed() {
            return Fitness::Unusable;
        }
        self.trust.fitness(&connection.age, Moment::now())
    }

    /// Whether the server answers on `connection`.
    async fn probe(&self, connection: &mut Connection) -> bool {
        let answer = timeout(self.target.probe_timeout, connection.client.check_connection()).await;
        let answers = matches!(answer, Ok(Ok(())));
        if answers {
            connection.age.answered();
        } else {
            self.trust.lose(&connection.age);
        }
        answers
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// All attempts together take no longer than `connecting_timeout`, which is shared out among what is still to be
    /// tried. So hosts that don't answer leave time for the others.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        let end = Instant::now() + self.target.connecting_timeout;
        match self.target.session_attrs {
            // If there is no standby, any server is accepted.
            SessionAttrs::PreferStandby => match self.connect_to_any_host(SessionAttrs::Standby, share(end, 2)).await {
                Err(_) => self.connect_to_any_host(SessionAttrs::Any, end).await,
                connected => connected,
            },
            attrs => self.connect_to_any_host(attrs, end).await,
        }
    }

    /// Connects to the first host that accepts. As in libpq, the others are not tried after a wrong password.
    async fn connect_to_any_host(&self, attrs: SessionAttrs, end: Instant) -> Result<Connection, Error> {
        let mut failures = Vec::new();
        let hosts = self.ordered(self.target.hosts.iter().collect());
        'hosts: for (index, host) in hosts.iter().enumerate() {
            let end = share(end, hosts.len() - index);
            let addresses = match self.addresses(host, end).await {
                Ok(addresses) => self.ordered(addresses),
                Err(failure) => {
                    failures.push((*host, failure));
                    continue;
                }
            };
            for (index, address) in addresses.iter().enumerate() {
                match self.connect_to(host, *address, attrs, share(end, addresses.len() - index)).await {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => {
                        let is_final = match &failure {
                            Failure::Refused(cause) => is_login_refused(cause),
                            Failure::NoPassword(_) => true,
                            _ => false,
                        };
                        failures.push((*host, failure));
                        if is_final {
                            break 'hosts;
                        }
                    }
                }
            }
        }
        Err(self.error(&failures))
    }

    fn ordered<T>(&self, mut items: Vec<T>) -> Vec<T> {
        if self.target.shuffled {
            items.shuffle(&mut rand::rng());
        }
        items
    }

    /// `None` is a Unix socket.
    async fn addresses(&self, host: &Host, end: Instant) -> Result<Vec<Option<IpAddr>>, Failure> {
        if host.is_socket() || host.address.is_some() {
            return Ok(vec![host.address]);
        }
        let limit = self.limit(end);
        match timeout(limit, tokio::net::lookup_host((host.name.as_str(), host.port))).await {
            Err(_elapsed) => Err(Failure::Timeout(limit)),
            Ok(Err(cause)) => Err(Failure::UnknownHost(cause)),
            Ok(Ok(addresses)) => Ok(addresses.map(|address| Some(address.ip())).collect()),
        }
    }

    /// The time limit of an attempt that has to end then.
    fn limit(&self, end: Instant) -> Duration {
        self.target.connect_timeout.min(end.saturating_duration_since(Instant::now()))
    }
}

impl Connector {
    async fn connect_to(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        attrs: SessionAttrs,
        end: Instant,
    ) -> Result<Connection, Failure> {
        // As in libpq, TLS is not used over a Unix socket.
        let modes = if address.is_none() { &[SslMode::Disable] } else { self.target.tls.modes };
        let password = self.target.passwords.password(self.limit(end)).await.map_err(Failure::NoPassword)?;
        let limit = self.limit(end);
        let end = Instant::now() + limit;
        let mut failure = Failure::Timeout(limit);
        for (index, mode) in modes.iter().enumerate() {
            match timeout_at(end, self.open(host, address, *mode, attrs, password.as_ref())).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(cause)) => {
                    let may_retry = matches!(&cause, Failure::Refused(cause) if may_accept_other_tls_mode(cause));
                    if index == 0 || may_retry {
                        failure = cause;
                    }
                    if !may_retry {
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
        attrs: SessionAttrs,
        password: Option<&Sensitive>,
    ) -> Result<Connection, Failure> {
        let mut config = self.target.config.clone();
        if let Some(password) = password {
            config.password(password.as_str());
        }
        config.host(&host.name).port(host.port).ssl_mode(mode);
        if let Some(address) = address {
            config.hostaddr(address);
        }
        let (client, mut connection) =
            config.connect(self.target.tls.encryption.clone()).await.map_err(Failure::Refused)?;
        let (sender, notifications) = mpsc::channel(MAX_UNREAD);
        let task = tokio::spawn(async move {
            // The queries on the connection get an error as well.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message {
                    // Nobody receives those that come without having been asked for, as a pooler can pass them on.
                    let _ = sender.send(notification).await;
                }
            }
        });
        let client = ClientWrapper::new(client, task);
        check_session_attrs(&client, attrs).await?;
        let age = Age::new(self.target.max_lifetime);
        Ok(Connection {
            client,
            endpoint: Endpoint { host: host.clone(), address },
            mode,
            age,
            slides: Rest::default(),
            notifications: (attrs == SessionAttrs::Notifying).then_some(notifications),
        })
    }

    fn error(&self, failures: &[(&Host, Failure)]) -> Error {
        let timeouts = failures.iter().map(|(_, failure)| match failure {
            Failure::Timeout(limit) => Some(*limit),
            _ => None,
        });
        if let Some(limit) = timeouts.sum() {
            return Error::Timeout { step: STEP, limit };
        }
        if let Some((_, Failure::NoPassword(error))) = failures.last() {
            return error.clone();
        }
        let describe = |(host, failure): &(&Host, Failure)| {
            let cause = match failure {
                Failure::Timeout(limit) => format!("took longer than {} ms", limit.as_millis()),
                Failure::Refused(cause) => with_pooler_advice(describe(cause), cause, self.target.prepared_statements),
                Failure::UnknownHost(cause) => format!("the name can't be looked up: {cause}"),
                Failure::WrongSessionAttrs(mismatch) => (*mismatch).to_owned(),
                Failure::NoPassword(error) => error.to_string(),
            };
            format!("{}: {cause}", host.describe())
        };
        let mut causes: Vec<_> = failures.iter().map(describe).collect();
        // Several addresses of one host often fail in the same way.
        causes.dedup();
        Error::Connect(causes.join("; "))
    }
}

/// When the next of several attempts has to end, so that all together end at `end`.
fn share(end: Instant, attempts: usize) -> Instant {
    let now = Instant::now();
    now + end.saturating_duration_since(now) / u32::try_from(attempts).unwrap_or(u32::MAX)
}

/// Checks the same two settings as libpq for `target_session_attrs`.
async fn check_session_attrs(client: &Client, attrs: SessionAttrs) -> Result<(), Failure> {
    const SQL: &str = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";
    if attrs == SessionAttrs::Any {
        return Ok(());
    }
    let answer = client.simple_query(SQL).await.map_err(Failure::Refused)?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((boolean(row, 0, ["f", "t"])?, boolean(row, 1, ["off", "on"])?)),
        _ => None,
    });
    let (is_standby, is_read_only) = row.ok_or(Failure::WrongSessionAttrs("does not say whether it is a standby"))?;
    let mismatch = match attrs {
        SessionAttrs::ReadWrite if is_read_only => "is read-only",
        SessionAttrs::ReadOnly if !is_read_only => "is not read-only",
        SessionAttrs::Primary if is_standby => "is a standby",
        SessionAttrs::Standby if !is_standby => "is not a standby",
        SessionAttrs::Notifying if is_standby => {
            "is a standby, which sends no notifications; let the option listenUrl lead to the primary"
        }
        _ => return Ok(()),
    };
    Err(Failure::WrongSessionAttrs(mismatch))
}

fn boolean(row: &SimpleQueryRow, index: usize, [off, on]: [&str; 2]) -> Option<bool> {
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

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        match self.fitness(connection) {
            Fitness::Usable => Ok(()),
            Fitness::Doubtful if self.probe(connection).await => Ok(()),
            Fitness::Doubtful | Fitness::Unusable => {
                Err(RecycleError::message("closed, too old, or without an answer"))
            }
        }
    }
}
