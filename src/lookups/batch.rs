//! Calls that share one query.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::queue::{Waiting, take_overdue};
use super::responder::{Answer, Responder, deliver};
use super::{Lookups, MAX_BATCH};
use crate::error::Error;
use crate::panics::catch_panic_async;
use crate::store::{SessionKey, SessionRecord, SessionStore, Verdict};

/// If a batch is dropped before all calls are answered, for example by a panic, the rest is rejected. So every promise
/// is settled.
pub(super) struct Batch<S: SessionStore + 'static, R: Responder> {
    lookups: Arc<Lookups<S, R>>,
    calls: Vec<Waiting<R::Call>>,
}

/// The record under each key.
type Found = Vec<Result<Option<SessionRecord>, Error>>;

impl<S: SessionStore + 'static, R: Responder> Batch<S, R> {
    pub(super) fn new(lookups: Arc<Lookups<S, R>>, calls: Vec<Waiting<R::Call>>) -> Self {
        debug_assert!(calls.len() <= MAX_BATCH);
        Self { lookups, calls }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Queries all sessions on `connection` and answers the calls. A call that takes too long is rejected meanwhile;
    /// if no call is left, the query is cancelled.
    pub(super) async fn answer(mut self, connection: S::Connection) {
        let lookups = Arc::clone(&self.lookups);
        let limit = lookups.limits.call_timeout;
        let keys = Keys::of(&self.calls);
        if self.calls.iter().any(|call| call.caller.is_counted()) {
            lookups.metrics.count_batch(keys.unique.len());
        }
        let find = async { Ok(lookups.store.find(connection, &keys.unique).await) };
        let mut find = pin!(catch_panic_async(find));
        let found = loop {
            let Some(first) = self.calls.first() else { return };
            match timeout_at(first.since + limit, &mut find).await {
                Ok(found) => break found,
                Err(_elapsed) => lookups.reject(take_overdue(&mut self.calls, limit), &lookups.call_timeout_error()),
            }
        };
        match found {
            Ok(found) => self.settle(&found, &keys),
            Err(error) => self.reject(&error),
        }
    }

    fn settle(mut self, found: &Found, keys: &Keys) {
        let (lookups, now) = (Arc::clone(&self.lookups), Instant::now());
        // The first calls may have been rejected already.
        let rejected = keys.places.len() - self.calls.len();
        let places = &keys.places[rejected..];
        let answers: Vec<_> =
            self.calls.iter().zip(places).map(|(call, place)| lookups.judge(call, found.get(*place))).collect();
        let counted = std::mem::take(&mut self.calls)
            .into_iter()
            .zip(answers)
            .map(|(call, answer)| (lookups.count(call, now, answer.as_ref().err()), answer));
        deliver(&lookups.responder, counted.collect());
    }

    fn reject(&mut self, error: &Error) {
        self.lookups.reject(std::mem::take(&mut self.calls), error);
    }
}

impl<S: SessionStore + 'static, R: Responder> Drop for Batch<S, R> {
    fn drop(&mut self) {
        if !self.calls.is_empty() {
            self.reject(&Error::Internal("a query ended without an answer".to_owned()));
        }
    }
}

impl<S: SessionStore + 'static, R: Responder> Lookups<S, R> {
    fn judge(&self, call: &Waiting<R::Call>, found: Option<&Result<Option<SessionRecord>, Error>>) -> Answer {
        let record = match found {
            Some(found) => found.clone()?,
            None => return Err(Error::Internal("a session was not queried".to_owned())),
        };
        let verdict = Verdict::new(record, &call.identity.holder, self.row_expiry);
        if call.caller.is_counted() {
            self.metrics.count(verdict.liveness.outcome());
        }
        Ok(verdict)
    }
}

/// The keys of a batch, each once.
struct Keys {
    unique: Vec<SessionKey>,
    /// For each call of the batch, the index of its key in `unique`.
    places: Vec<usize>,
}

impl Keys {
    fn of<Call>(calls: &[Waiting<Call>]) -> Self {
        let mut unique = Vec::with_capacity(calls.len());
        let mut known = HashMap::with_capacity(calls.len());
        let place = |call: &Waiting<Call>| {
            *known.entry(call.identity.key).or_insert_with(|| {
                unique.push(call.identity.key);
                unique.len() - 1
            })
        };
        let places = calls.iter().map(place).collect();
        Self { unique, places }
    }
}
