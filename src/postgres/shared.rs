//! Bridges with the same database options share a pool. So no further connections are opened when the module is loaded
//! again, by a worker thread or by Next.js in development.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool::managed::Object;

use super::connect::Connector;
use super::pool::Postgres;
use super::query::Found;
use super::url::check;
use crate::config::warning::Warning;
use crate::config::{Database, Environment, Limits, Password, PasswordSource};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::{Id, IdTypes};
use crate::store::{
    Deadline, Deleted, Deletion, ListedSession, ManagedStore, NewSession, Owner, PoolStatus, Revocation, Scope,
    SessionCache, SessionEnd, SessionKey, SessionStore, Started, Wanted,
};

static OPEN: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    database: Database,
    limits: Limits,
    postgres: Arc<Postgres>,
    /// How many [`SharedPostgres`] are not closed.
    users: usize,
}

/// Forgets sessions when it is dropped, in all caches of the process: when a write has ended, and also when it was given up, since it
/// may have been done all the same.
struct Forgetting<'s>(&'s Scope);

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().for_each(|entry| entry.postgres.forget(self.0));
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
                let (database, limits) = (database.clone(), *limits);
                open.push(Entry { database, limits, postgres: Arc::clone(&postgres), users: 1 });
                postgres
            }
        };
        let password = match &database.password {
            Some(Password::Function(source)) => Some(Arc::clone(source)),
            _ => None,
        };
        if let Some(source) = &password {
            postgres.password_sources().add(Arc::clone(source));
        }
        Ok(Self { postgres, password, is_closed: AtomicBool::new(false) })
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

    fn release(&self) {
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Some(source) = &self.password {
            self.postgres.password_sources().remove(source);
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = open.iter().position(|entry| Arc::ptr_eq(&entry.postgres, &self.postgres)) else {
            return;
        };
        open[index].users -= 1;
        if open[index].users == 0 {
            open.swap_remove(index).postgres.pool.close();
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
        self.postgres.find(connection, wanted).await
    }

    async fn find_end(&self, key: &SessionKey) -> Result<Option<SessionEnd>, Error> {
        self.postgres.find_end(key).await
    }

    fn cache(&self) -> Option<&SessionCache> {
        self.postgres.cache.as_ref()
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
        // Of the others of this user some may be ended for it.
        let scope = new.limit.map(|_| Scope::User { owner: new.owner.clone(), kept: None });
        let _forgetting = scope.as_ref().map(Forgetting);
        self.postgres.create(new, end).await
    }

    async fn list(&self, owner: &Owner, current: Option<&Id>, end: &Deadline) -> Result<Vec<ListedSession>, Error> {
        self.postgres.list(owner, current, end).await
    }

    async fn revoke(&self, revocation: &Revocation, end: &Deadline) -> Result<u64, Error> {
        let _forgetting = Forgetting(&revocation.scope);
        self.postgres.revoke(revocation, end).await
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
