//! Calls that share one query.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::queue::{Waiting, take_overdue};
use super::responder::{Answer, Caller, Responder, deliver};
use super::{Lookups, MAX_BATCH};
use crate::error::Error;
use crate::panics::catch_panic_async;
use crate::schema::IdTypes;
use crate::store::{Identity, Liveness, Lookup, Moment, SessionRecord, SessionStore, Verdict, Wanted};

/// If a batch is dropped before all calls are answered, for example by a panic, the rest is rejected. So every promise
/// is settled.
pub(super) struct Batch<S: SessionStore + 'static, R: Responder> {
    lookups: Arc<Lookups<S, R>>,
    calls: Vec<Waiting<R::Call>>,
}

/// The record of each lookup.
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
        let asked = Asked::by(&self.calls);
        let mut places = &asked.places[..];
        if self.calls.iter().any(|call| matches!(call.caller, Caller::Responder(_))) {
            lookups.metrics.count_batch(asked.unique.len());
        }
        let find = async { Ok(lookups.find(connection, &asked.unique).await) };
        let mut find = pin!(catch_panic_async(find));
        let found = loop {
            let Some(first) = self.calls.first() else { return };
            match timeout_at(first.since + limit, &mut find).await {
                Ok(found) => break found,
                Err(_elapsed) => {
                    let overdue = take_overdue(&mut self.calls, limit);
                    places = &places[overdue.iter().map(|call| call.queried().len()).sum()..];
                    lookups.reject(overdue, &lookups.call_timeout_error());
                }
            }
        };
        match found {
            Ok(found) => self.settle(&found, places),
            Err(error) => self.reject(&error),
        }
    }

    /// `places` has the index in `found` of each session that the calls need.
    fn settle(mut self, found: &Found, mut places: &[usize]) {
        let (lookups, now) = (Arc::clone(&self.lookups), Instant::now());
        // The query has told them, if they were not known before.
        let types = lookups.store.id_types();
        let judge = |call: &Waiting<R::Call>| {
            let (own, rest) = places.split_at(call.queried().len());
            places = rest;
            lookups.judge(call, found, own, &types)
        };
        let judged: Vec<_> = self.calls.iter().map(judge).collect();
        let mut answers = Vec::with_capacity(judged.len());
        for (mut call, judged) in std::mem::take(&mut self.calls).into_iter().zip(judged) {
            match judged {
                Judged::Decided(answer) => answers.push((lookups.count(call, now, &answer), answer)),
                Judged::Refused(verdict) => {
                    call.refused = Some(verdict);
                    lookups.with_queue(|queue| queue.push_again(call));
                }
            }
        }
        deliver(&lookups.responder, answers);
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

/// The result of a query for one call.
enum Judged {
    Decided(Answer),
    /// The newest candidate is not live, and there are older ones.
    Refused(Verdict),
}

impl<S: SessionStore + 'static, R: Responder> Lookups<S, R> {
    /// Queries the sessions, and keeps the answers if they may serve later calls.
    async fn find(&self, connection: S::Connection, wanted: &[Wanted]) -> Found {
        let cache = self.store.cache().map(|cache| (cache, cache.ask(Moment::now())));
        let found = self.store.find(connection, wanted).await;
        if let Some((cache, asked)) = cache {
            let types = self.store.id_types();
            for (Wanted { lookup, .. }, found) in wanted.iter().zip(&found) {
                if let Ok(record) = found {
                    cache.keep(asked, lookup, record.as_ref(), &types);
                }
            }
        }
        found
    }

    fn judge(&self, call: &Waiting<R::Call>, found: &Found, places: &[usize], types: &IdTypes) -> Judged {
        let answer = |(nth, (identity, place)): (usize, (&Identity, &usize))| {
            let record = match found.get(*place) {
                Some(found) => found.clone()?,
                None => return Err(Error::Internal("a session was not queried".to_owned())),
            };
            let place = nth + usize::from(call.refused.is_some());
            let liveness = match identity.lookup.fits(types) {
                true => Liveness::of(record.as_ref(), identity.user_type),
                false => Liveness::UnfitId,
            };
            Ok(Verdict { place, liveness, record, judged: Vec::new() })
        };
        let mut answers = call.queried().iter().zip(places).enumerate().map(answer);
        match &call.refused {
            None => match answers.next() {
                Some(Ok(verdict)) if !verdict.is_live() && !call.candidates.older.is_empty() => {
                    Judged::Refused(verdict)
                }
                answer => Judged::Decided(answer.unwrap_or_else(|| Err(Error::Internal("no candidate".to_owned())))),
            },
            Some(refused) => {
                let answers: Vec<_> = answers.collect();
                let liveness = |answer: &Answer| answer.as_ref().ok().map(|verdict| verdict.liveness);
                let judged = [Some(refused.liveness)].into_iter().chain(answers.iter().map(liveness)).collect();
                let decided = first_live(answers.into_iter()).unwrap_or_else(|| Ok(refused.clone()));
                Judged::Decided(decided.map(|verdict| Verdict { judged, ..verdict }))
            }
        }
    }
}

/// The first answer that is live; else an error, if there is one: it may hide a live session.
pub(crate) fn first_live(answers: impl Iterator<Item = Answer>) -> Option<Answer> {
    let mut error = None;
    for answer in answers {
        match answer {
            Ok(verdict) if verdict.is_live() => return Some(Ok(verdict)),
            Ok(_) => {}
            Err(cause) => error = error.or(Some(Err(cause))),
        }
    }
    error
}

/// The lookups of a batch, each once: slid if one of the calls wants that, for the longest time.
struct Asked {
    unique: Vec<Wanted>,
    /// For each session that the calls of the batch need, call by call, the index of its lookup in `unique`.
    places: Vec<usize>,
}

impl Asked {
    fn by<Call>(calls: &[Waiting<Call>]) -> Self {
        let mut unique: Vec<Wanted> = Vec::with_capacity(calls.len());
        let mut known: HashMap<Lookup, usize> = HashMap::with_capacity(calls.len());
        let place = |identity: &Identity| {
            let place = *known.entry(identity.lookup.clone()).or_insert_with(|| {
                unique.push(Wanted { lookup: identity.lookup.clone(), slide: None });
                unique.len() - 1
            });
            unique[place].slide = unique[place].slide.max(identity.slide);
            place
        };
        let places = calls.iter().flat_map(Waiting::queried).map(place).collect();
        Self { unique, places }
    }
}
