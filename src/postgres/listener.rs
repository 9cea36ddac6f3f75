//! Listens for what other processes, or SQL, end: one connection for each database, whatever else the options of bridges are.
//!
//! A notification only ever makes caches forget, whoever sends it. One can be lost with the connection; so all is forgotten when it is
//! lost, and when there is one again.
#![forbid(unsafe_code)]

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::select;
use rand::random;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::Notification;

use super::age::Fitness;
use super::caches::each_cache;
use super::connect::{Connection, Connector};
use super::fault::describe;
use super::notification::{CHANNEL, Change};
use super::password::PasswordSources;
use super::url::Target;
use crate::config::warning::Warning;
use crate::config::{Database, Environment, Limits};
use crate::error::Error;
use crate::panics::catch_panic_async;
use crate::redacted::redacted;
use crate::store::{ListenerStatus, SessionCache};

/// How often the server must answer on the connection: one that is dead is as silent as one on which nothing happens.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// PostgreSQL throws away what all have read when it computes this. Without it, a queue that was full once can stay so.
const CHECK: &str = "SELECT pg_catalog.pg_notification_queue_usage()";
/// How long to wait after the first failure. Each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// From so many failures in a row on, the developer is told.
const TELLING_FAILURES: u32 = 3;

static LISTENERS: Mutex<Vec<(Database, Weak<Listener>)>> = Mutex::new(Vec::new());

/// Listens from its `start` until it is dropped.
pub(super) struct Listener {
    task: OnceLock<AbortHandle>,
    listening: Arc<Listening>,
}

struct Listening {
    connector: Connector,
    /// The most time for one answer.
    limit: Duration,
    state: Mutex<State>,
}

redacted!(Listener);

#[derive(Default)]
struct State {
    is_listening: bool,
    notifications: u64,
    failures: u64,
    failures_in_a_row: u32,
    problem: Option<String>,
    is_told: bool,
    /// A notification that is to come through, and whom to tell of it.
    trial: Option<(String, oneshot::Sender<()>)>,
}

impl Listener {
    /// That of the database, which is made if there is none. Doesn't connect yet.
    pub(super) fn of(database: &Database, limits: &Limits, environment: &impl Environment) -> Result<Arc<Self>, Error> {
        let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|(_, listener)| listener.strong_count() > 0);
        let mut known = listeners.iter().filter(|(known, _)| known == database);
        if let Some(listener) = known.find_map(|(_, listener)| listener.upgrade()) {
            return Ok(listener);
        }
        let target = Target::notifying(database, limits, environment)?;
        let (connector, limit) = (Connector::new(target), limits.query_timeout);
        let listening = Listening { connector, limit, state: Mutex::default() };
        let listener = Arc::new(Self { task: OnceLock::new(), listening: Arc::new(listening) });
        listeners.push((database.clone(), Arc::downgrade(&listener)));
        Ok(listener)
    }

    /// Whether notifications come through, on connections for this alone.
    pub(super) async fn try_out(&self) -> Result<(), String> {
        self.listening.listen(true).await
    }

    /// To be called before the first answer is kept, on the runtime's thread.
    pub(super) fn start(&self) {
        self.task.get_or_init(|| tokio::spawn(Arc::clone(&self.listening).run()).abort_handle());
    }

    pub(super) fn password_sources(&self) -> &PasswordSources {
        &self.listening.connector.target().passwords
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        self.listening.connector.target().warnings()
    }

    pub(super) fn status(&self) -> ListenerStatus {
        let State { is_listening, notifications, failures, ref problem, .. } = *self.listening.state();
        ListenerStatus { listening: is_listening, notifications, failures, problem: problem.clone() }
    }

    /// Why no notifications come, if that lasts. Only once, since each call asks.
    pub(super) fn untold_problem(&self) -> Option<String> {
        let mut state = self.listening.state();
        if state.is_told || state.failures_in_a_row < TELLING_FAILURES {
            return None;
        }
        let problem = state.problem.clone();
        state.is_told = problem.is_some();
        problem
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Listening {
    async fn run(self: Arc<Self>) {
        loop {
            let ended = catch_panic_async(async { Ok(self.listen(false).await) }).await;
            let failures = self.ended(ended.unwrap_or_else(|error| Err(error.to_string())));
            sleep(pause(failures)).await;
        }
    }

    /// Ends without an error when the connection is to be replaced, or at once if it is for a trial only.
    async fn listen(&self, is_trial: bool) -> Result<(), String> {
        let mut connection = self.connector.connect().await.map_err(|error| error.to_string())?;
        let notifications = connection.notifications.take();
        let speaking = pin!(async {
            self.run_on(&connection, &format!("LISTEN {CHANNEL}")).await?;
            self.notify().await?;
            if is_trial { Ok(()) } else { self.keep(&connection).await }
        });
        let hearing = pin!(self.hear(notifications));
        select(speaking, hearing).await.factor_first().0
    }

    async fn keep(&self, connection: &Connection) -> Result<(), String> {
        self.begun();
        loop {
            sleep(CHECK_INTERVAL).await;
            self.run_on(connection, CHECK).await?;
            self.state().failures_in_a_row = 0;
            if self.connector.fitness(connection) == Fitness::Unusable {
                return Ok(());
            }
        }
    }

    /// Sends a notification from another connection, and waits for it. Behind a pooler in transaction mode none does.
    async fn notify(&self) -> Result<(), String> {
        let other = self.connector.connect().await.map_err(|error| error.to_string())?;
        let name = format!("{:032x}", random::<u128>());
        let trial = Change::trial(&name);
        let (sender, comes) = oneshot::channel();
        self.state().trial = Some((name, sender));
        self.run_on(&other, &format!("SELECT pg_catalog.pg_notify('{CHANNEL}', '{trial}')")).await?;
        match timeout(self.limit, comes).await {
            Ok(Ok(())) => Ok(()),
            _ => Err("they don't come through, as behind a pooler in transaction mode; let the option listenUrl lead past it, to \
                      the server itself"
                .to_owned()),
        }
    }

    async fn run_on(&self, connection: &Connection, sql: &str) -> Result<(), String> {
        match timeout(self.limit, connection.client.batch_execute(sql)).await {
            Ok(answer) => answer.map_err(|error| describe(&error)),
            Err(_elapsed) => Err(format!("no answer within {} ms", self.limit.as_millis())),
        }
    }

    async fn hear(&self, notifications: Option<mpsc::Receiver<Notification>>) -> Result<(), String> {
        let Some(mut notifications) = notifications else {
            return Err("the connection sends no notifications".to_owned());
        };
        while let Some(notification) = notifications.recv().await {
            let change = Change::read(notification.payload());
            match &change {
                Change::Trial(name) => {
                    self.passed(name);
                    continue;
                }
                Change::Any => each_cache(SessionCache::forget_all),
                Change::Some(scopes) => each_cache(|cache| scopes.iter().for_each(|scope| cache.forget_named(scope))),
            }
            self.state().notifications += 1;
        }
        Err("the connection was lost".to_owned())
    }

    /// Those of other processes come, too.
    fn passed(&self, name: &str) {
        if let Some((_, sender)) = self.state().trial.take_if(|(own, _)| own == name) {
            // Whoever waited may have given up.
            let _ = sender.send(());
        }
    }

    fn begun(&self) {
        let mut state = self.state();
        (state.is_listening, state.problem) = (true, None);
        drop(state);
        // What was asked before may have ended without a notification.
        each_cache(SessionCache::forget_all);
    }

    /// Returns how often it failed in a row.
    fn ended(&self, how: Result<(), String>) -> u32 {
        let mut state = self.state();
        let had_begun = std::mem::take(&mut state.is_listening);
        if let Err(problem) = how {
            state.failures += 1;
            state.failures_in_a_row += 1;
            state.problem = Some(problem);
        }
        let failures = state.failures_in_a_row;
        drop(state);
        if had_begun {
            each_cache(SessionCache::forget_all);
        }
        failures
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is harmless: each field says something of its own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random, so that the processes of an app don't all connect at once after an outage.
fn pause(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + random::<f64>() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        assert_eq!(pause(0), Duration::ZERO);
        for (failures, longest) in [(1, FIRST_PAUSE), (2, FIRST_PAUSE * 2), (9, FIRST_PAUSE * 256), (10, LONGEST_PAUSE)]
        {
            for _ in 0..20 {
                assert!((longest / 2..=longest).contains(&pause(failures)), "{failures}");
            }
        }
        assert!(pause(u32::MAX) <= LONGEST_PAUSE);
    }
}
