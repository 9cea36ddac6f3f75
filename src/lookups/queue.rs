//! The calls that wait for a query, and the state of the workers that take them.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio::time::Instant;

use super::responder::Caller;
use crate::store::{Candidates, Identity, Verdict};

/// How long a connection may take until another one is tried beside it.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Queue<Call> {
    waiting: Vec<Waiting<Call>>,
    /// One slot for each possible connection. A worker occupies a slot while it runs.
    workers: Box<[Option<Progress>]>,
    /// Until then no new connection is opened while others work.
    paused_until: Option<Instant>,
}

pub(super) struct Waiting<Call> {
    pub(super) candidates: Candidates<Identity>,
    /// The verdict about the newest candidate if that is not live: then the older ones are queried.
    pub(super) refused: Option<Verdict>,
    pub(super) caller: Caller<Call>,
    pub(super) since: Instant,
}

impl<Call> Waiting<Call> {
    /// The candidates that the next query is for.
    pub(super) fn queried(&self) -> &[Identity] {
        match self.refused {
            None => std::slice::from_ref(&self.candidates.newest),
            Some(_) => &self.candidates.older,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Progress {
    step: Step,
    since: Instant,
    /// A worker that is not late will soon take the waiting calls.
    is_late: bool,
}

impl Progress {
    pub(super) fn begin(step: Step) -> Self {
        Self { step, since: Instant::now(), is_late: false }
    }

    pub(super) fn late(self) -> Self {
        Self { is_late: true, ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    Query,
}

impl<Call> Queue<Call> {
    pub(super) fn new(connections: usize) -> Self {
        Self { waiting: Vec::new(), workers: vec![None; connections].into(), paused_until: None }
    }

    /// Returns the call if `limit` calls are waiting already.
    pub(super) fn push(&mut self, call: Waiting<Call>, limit: usize) -> Result<(), Waiting<Call>> {
        if self.waiting.len() >= limit {
            return Err(call);
        }
        self.waiting.push(call);
        Ok(())
    }

    /// Queues a call that waited before: ahead of calls that started later, and whatever the limit is.
    pub(super) fn push_again(&mut self, call: Waiting<Call>) {
        let place = self.waiting.partition_point(|other| other.since < call.since);
        self.waiting.insert(place, call);
    }

    /// Takes the first calls, at most for `max` sessions, but at least one call.
    pub(super) fn take(&mut self, max: usize) -> Vec<Waiting<Call>> {
        let mut sessions = 0;
        let fits = |call: &&Waiting<Call>| {
            sessions += call.queried().len();
            sessions <= max
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        let rest = self.waiting.split_off(self.waiting.len().min(count));
        std::mem::replace(&mut self.waiting, rest)
    }

    /// Takes the calls that started until then.
    pub(super) fn take_until(&mut self, end: Instant) -> Vec<Waiting<Call>> {
        let count = self.waiting.iter().take_while(|call| call.since <= end).count();
        self.take(count)
    }

    pub(super) fn take_overdue(&mut self, limit: Duration) -> Vec<Waiting<Call>> {
        take_overdue(&mut self.waiting, limit)
    }

    /// When the first waiting call started.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.first().map(|call| call.since)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Occupies a slot for another worker, if one should start. `has_idle` says whether it would find an idle
    /// connection.
    pub(super) fn occupy_slot(&mut self, has_idle: impl FnOnce() -> bool) -> Option<usize> {
        let all_late = self.workers.iter().flatten().all(|worker| worker.is_late);
        if self.waiting.is_empty() || !all_late {
            return None;
        }
        let slot = self.workers.iter().position(Option::is_none)?;
        if !has_idle() && !self.may_connect() {
            return None;
        }
        self.workers[slot] = Some(Progress::begin(Step::Connect));
        Some(slot)
    }

    pub(super) fn set_progress(&mut self, slot: usize, progress: Progress) {
        self.workers[slot] = Some(progress);
    }

    pub(super) fn release_slot(&mut self, slot: usize) {
        self.workers[slot] = None;
    }

    /// Called after a connection was refused. If other workers have a connection, pauses further attempts and returns
    /// true: they will take the waiting calls.
    pub(super) fn pause_if_others_are_connected(&mut self, pause: Duration) -> bool {
        let others_connected = self.is_any_at(Step::Query);
        if others_connected {
            self.paused_until = Some(Instant::now() + pause);
        }
        others_connected
    }

    /// New connections are opened one at a time, but one that doesn't come after [`PATIENCE`] holds up no other.
    fn may_connect(&self) -> bool {
        let now = Instant::now();
        if self.is_any_at(Step::Query) && self.paused_until.is_some_and(|end| now < end) {
            return false;
        }
        let connecting = self.workers.iter().flatten().filter(|worker| worker.step == Step::Connect);
        connecting.map(|worker| now - worker.since).all(|waited| waited >= PATIENCE)
    }

    fn is_any_at(&self, step: Step) -> bool {
        self.workers.iter().flatten().any(|worker| worker.step == step)
    }

    #[cfg(test)]
    pub(super) fn has_workers(&self) -> bool {
        self.workers.iter().any(Option::is_some)
    }

    #[cfg(test)]
    pub(super) fn first_mut(&mut self) -> &mut Waiting<Call> {
        &mut self.waiting[0]
    }
}

/// Removes the calls that have taken too long. They are the first, since calls are in the order of their start.
pub(super) fn take_overdue<Call>(calls: &mut Vec<Waiting<Call>>, limit: Duration) -> Vec<Waiting<Call>> {
    let overdue = calls.iter().take_while(|call| call.since.elapsed() >= limit).count();
    if overdue == 0 { Vec::new() } else { calls.drain(..overdue).collect() }
}
