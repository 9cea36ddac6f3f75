//! The calls that wait for a query, and the workers that take them.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio::time::Instant;

use super::responder::Caller;
use crate::store::Identity;

pub(super) struct Queue<Call> {
    waiting: Vec<Waiting<Call>>,
    /// One place for each connection that there may be. A worker holds a place while it runs.
    workers: Box<[Option<Progress>]>,
    /// Until then no new connection is tried while others work.
    paused_until: Option<Instant>,
}

pub(super) struct Waiting<Call> {
    pub(super) identity: Identity,
    pub(super) caller: Caller<Call>,
    pub(super) since: Instant,
}

#[derive(Clone, Copy)]
pub(super) struct Progress {
    pub(super) step: Step,
    /// A worker that is not late will soon come back for what waits.
    pub(super) is_late: bool,
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

    /// Gives the call back if `limit` calls wait already.
    pub(super) fn push(&mut self, call: Waiting<Call>, limit: usize) -> Result<(), Waiting<Call>> {
        if self.waiting.len() >= limit {
            return Err(call);
        }
        self.waiting.push(call);
        Ok(())
    }

    /// The first calls, `most` at the most.
    pub(super) fn take(&mut self, most: usize) -> Vec<Waiting<Call>> {
        let rest = self.waiting.split_off(self.waiting.len().min(most));
        std::mem::replace(&mut self.waiting, rest)
    }

    pub(super) fn take_overdue(&mut self, limit: Duration) -> Vec<Waiting<Call>> {
        take_overdue(&mut self.waiting, limit)
    }

    /// Since when the first call waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.first().map(|call| call.since)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a place for another worker, if one should start. `has_idle` says whether it would find a
    /// connection: new connections are made one at a time.
    pub(super) fn occupy_place(&mut self, has_idle: impl FnOnce() -> bool) -> Option<usize> {
        let all_late = self.workers.iter().flatten().all(|worker| worker.is_late);
        if self.waiting.is_empty() || !all_late {
            return None;
        }
        let place = self.workers.iter().position(Option::is_none)?;
        if !has_idle() && !self.may_connect() {
            return None;
        }
        self.workers[place] = Some(Progress { step: Step::Connect, is_late: false });
        Some(place)
    }

    pub(super) fn set_progress(&mut self, place: usize, progress: Progress) {
        self.workers[place] = Some(progress);
    }

    pub(super) fn leave_place(&mut self, place: usize) {
        self.workers[place] = None;
    }

    /// After a refused connection: pauses attempts and returns true if others have a connection, which will take
    /// what waits.
    pub(super) fn pause_if_others_are_connected(&mut self, pause: Duration) -> bool {
        let others_connected = self.is_any_at(Step::Query);
        if others_connected {
            self.paused_until = Some(Instant::now() + pause);
        }
        others_connected
    }

    fn may_connect(&self) -> bool {
        if self.is_any_at(Step::Query) && self.paused_until.is_some_and(|end| Instant::now() < end) {
            return false;
        }
        !self.is_any_at(Step::Connect)
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

/// Those that have taken too long, which are the first of `calls`.
pub(super) fn take_overdue<Call>(calls: &mut Vec<Waiting<Call>>, limit: Duration) -> Vec<Waiting<Call>> {
    let overdue = calls.iter().take_while(|call| call.since.elapsed() >= limit).count();
    if overdue == 0 { Vec::new() } else { calls.drain(..overdue).collect() }
}
