//! Bridges with the same database options share a pool. So no further connections are opened when the module is loaded
//! again, by a worker thread or by Next.js in development.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool::managed::Object;

use super::caches::{add_cache, each_cache};
use super::connect::Connector;
use super::password::PasswordSources;
use super::pool::Postgres;
use super::query::Found;
use super::url::check;
use crate::config::warning::Warning;
use crate::config::{Database, Environment, Limits, Password, PasswordSource};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::{Id, IdTypes};
use crate::store::{
    Deadline, Deleted, Deletion, ListedSession, ListenerStatus, ManagedStore, NewSession, Owner, PoolStatus,
    Revocation, Scope, SessionCache, SessionEnd, SessionKey, SessionRecord, SessionStore, Slide, Started, Wanted,
    WhenFull,
};

static OPEN: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    database: Database,
    limits: Limits,
    postgres: Arc<Postgres>,
    /// How many [`SharedPostgres`] are not closed.
    users: usize,
}

/// A write that ends sessions. When it is dropped, all caches forget them.
struct Ending<'e> {
    postgres: &'e Postgres,
    scope: Scope,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Some,
    None,
    /// The call was given up, or its answer was lost.
    Unknown,
}

impl<'e> Ending<'e> {
    fn begin(postgres: &'e Postgres, scope: Scope) -> Self {
        Self { postgres, scope, ended: Ended::Unknown }
    }

    fn end<T>(mut self, result: Result<T, Error>, count: impl FnOnce(&T) -> u64) -> Result<T, Error> {
        self.ended = match &result {
            Ok(value) if count(value) > 0 => Ended::Some,
            Err(Error::OutcomeUnknown(_)) => Ended::Unknown,
            Ok(_) | Err(_) => Ended::None,
        };
        result
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let is_exact = self.postgres.id_types().are_exact();
        let doubt = (self.ended == Ended::Unknown).then(|| self.postgres.end_of_doubt());
        each_cache(|cache| {
            cache.forget(&self.scope, is_exact, self.ended != Ended::None);
            doubt.into_iter().for_each(|end| cache.doubt_until(end));
        });
    }
}

/// A reference to a shared pool. When the last one is closed or dropped, the connections are closed.
pub struct SharedPostgres {
    postgres: Arc<Postgres>,
    password: Option<Arc<dyn PasswordSource>>,
    is_closed: AtomicBool,
}

redacted!(SharedPostgres);

impl SharedPostgres {
    /// Doesn't connect yet: the first lookup does.
    pub fn new(database: &Database, limits: &Limits, environment: &impl Environment) -> Result<Self, Error> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter_mut().find(|entry| entry.database == *database && entry.limits == *limits);
        let postgres = match known {
            Some(entry) => {
                entry.users += 1;
                Arc::clone(&entry.postgres)
            }
            None => {
                let postgres = Arc::new(Postgres::new(database, limits, environment)?);
                if let Some(cache) = &postgres.cache {
                    add_cache(cache);
                }
                let (database, limits) = (database.clone(), *limits);
                open.push(Entry { database, limits, postgres: Arc::clone(&postgres), users: 1 });
                postgres
            }
        };
        let password = match &database.password {
            Some(Password::Function(source)) => Some(Arc::clone(source)),
            _ => None,
        };
        let shared = Self { postgres, password, is_closed: AtomicBool::new(false) };
        shared.with_password(PasswordSources::add);
        Ok(shared)
    }

    /// Tells both, the pool and the listener, of the function that gives the password.
    fn with_password(&self, tell: fn(&PasswordSources, &Arc<dyn PasswordSource>)) {
        let Some(source) = &self.password else { return };
        tell(self.postgres.password_sources(), source);
        if let Some(listener) = self.postgres.listener() {
            tell(listener.password_sources(), source);
        }
    }

    /// # Errors
    /// If the options about the database are wrong, whatever the environment adds to them. Opens no file.
    pub fn check(options: &Database) -> Result<(), Error> {
        check(options)
    }

    /// Likely mistakes in the connection parameters.
    pub fn warnings(&self) -> &[Warning] {
        &self.postgres.warnings
    }

    /// Why no notifications come, if that lasts. The developer is to be told of it, once.
    pub fn not_listening(&self) -> Option<Warning> {
        let why = self.postgres.listener()?.untold_problem()?;
        Some(Warning::NotListening { why })
    }

    /// How long a session is kept depends on when it ends.
    fn forget_slid(&self, cache: &SessionCache, wanted: &[Wanted], found: &[Found]) {
        let is_exact = self.postgres.id_types().are_exact();
        for (Wanted { lookup, .. }, found) in wanted.iter().zip(found) {
            if matches!(found, Ok(Some(SessionRecord { slide: Slide::Done(_), .. }))) {
                cache.forget(&Scope::One { key: lookup.key.clone(), user_id: None }, is_exact, false);
            }
        }
    }

    fn release(&self) {
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.with_password(PasswordSources::remove);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = open.iter().position(|entry| Arc::ptr_eq(&entry.postgres, &self.postgres)) else {
            return;
        };
        open[index].users -= 1;
        if open[index].users == 0 {
            open.swap_remove(index).postgres.close();
        }
    }
}

impl Drop for SharedPostgres {
    fn drop(&mut self) {
        self.release();
    }
}

impl SessionStore for SharedPostgres {
    type Connection = Object<Connector>;

    fn max_connections(&self) -> usize {
        self.postgres.max_connections
    }

    async fn connect(&self) -> Result<Object<Connector>, Error> {
        self.postgres.connection().await
    }

    fn has_idle(&self) -> bool {
        self.postgres.has_idle()
    }

    fn id_types(&self) -> IdTypes {
        self.postgres.id_types()
    }

    async fn find(&self, connection: Object<Connector>, wanted: &[Wanted]) -> Vec<Found> {
        if let Some(listener) = self.postgres.listener() {
            listener.start();
        }
        let found = self.postgres.find(connection, wanted).await;
        if wanted.iter().any(|wanted| wanted.slide.is_some()) {
            each_cache(|cache| self.forget_slid(cache, wanted, &found));
        }
        found
    }

    async fn find_end(&self, key: &SessionKey) -> Result<Option<SessionEnd>, Error> {
        self.postgres.find_end(key).await
    }

    fn cache(&self) -> Option<&SessionCache> {
        self.postgres.cache.as_deref()
    }

    fn listener(&self) -> Option<ListenerStatus> {
        self.postgres.listener().map(|listener| listener.status())
    }

    fn status(&self) -> PoolStatus {
        self.postgres.status()
    }

    fn close(&self) {
        self.release();
    }
}

impl ManagedStore for SharedPostgres {
    async fn create(&self, new: &NewSession, end: &Deadline) -> Result<Started, Error> {
        let revokes_oldest = new.limit.is_some_and(|limit| limit.when_full == WhenFull::RevokeOldest);
        if !revokes_oldest {
            return self.postgres.create(new, end).await;
        }
        let ending = Ending::begin(&self.postgres, Scope::User { owner: new.owner.clone(), kept: None });
        ending.end(self.postgres.create(new, end).await, |started| match started {
            Started::Created { revoked, .. } => *revoked,
            Started::Full => 0,
        })
    }

    async fn list(&self, owner: &Owner, current: Option<&Id>, end: &Deadline) -> Result<Vec<ListedSession>, Error> {
        self.postgres.list(owner, current, end).await
    }

    async fn revoke(&self, revocation: &Revocation, end: &Deadline) -> Result<u64, Error> {
        let ending = Ending::begin(&self.postgres, revocation.scope.clone());
        ending.end(self.postgres.revoke(revocation, end).await, |ended| *ended)
    }

    async fn delete_ended(&self, deletion: &Deletion, end: &Deadline) -> Result<Deleted, Error> {
        self.postgres.delete_ended(deletion, end).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FakeEnvironment, Location};

    fn open(url: &str) -> SharedPostgres {
        let location = Location::of_url(url.to_owned().into(), "databaseUrl");
        SharedPostgres::new(&Database::at(location), &Limits::default(), &FakeEnvironment(&[])).expect("is a URL")
    }

    #[test]
    fn the_pool_is_closed_with_its_last_user() {
        let [first, second, other] = ["one", "one", "two"].map(|name| open(&format!("postgres://shared-{name}/d")));
        assert!(Arc::ptr_eq(&first.postgres, &second.postgres));
        assert!(!Arc::ptr_eq(&first.postgres, &other.postgres));
        first.close();
        first.close();
        drop(first);
        assert!(!second.postgres.pool.is_closed(), "it is still in use");
        let postgres = Arc::clone(&second.postgres);
        drop(second);
        assert!(postgres.pool.is_closed());
        let anew = open("postgres://shared-one/d");
        assert!(!Arc::ptr_eq(&anew.postgres, &postgres));
        assert!(!anew.postgres.pool.is_closed());
    }
}
