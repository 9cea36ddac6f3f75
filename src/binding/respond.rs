//! Verdicts -> the values that promises resolve to.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::timeout_at;

use super::callback::Callback;
use super::claims::ClaimsSource;
use super::settle::{Deferred, Json, Resolution, Settler, Value};
use super::unix_time;
use crate::bridge::{Issue, Judged, PendingRefresh, Refreshed};
use crate::claims::{Body, ClaimChanges, UNAUTHENTICATED_BODY};
use crate::config::warning::Warning;
use crate::error::Error;
use crate::lookups::{Answer, Responder};
use crate::panics::{catch_panic, catch_panic_async};
use crate::store::{Candidates, Deadline, Verdict};

/// How JavaScript gets a session.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Object,
    /// The JSON text of the object.
    Text,
}

impl Form {
    pub fn unauthenticated(self) -> Value {
        match self {
            Self::Object => Value::EmptyObject,
            Self::Text => Value::Text(Cow::Borrowed(UNAUTHENTICATED_BODY)),
        }
    }

    fn of_body(self, body: String) -> Value {
        match self {
            Self::Object => Value::Json(body),
            Self::Text => Value::Text(Cow::Owned(body)),
        }
    }
}

/// A call that waits for the verdict.
pub struct Call {
    pub deferred: Deferred,
    pub kind: Kind,
}

pub enum Kind {
    Read {
        form: Form,
        /// The body of each of its sessions, to resolve it with if that is live.
        bodies: Candidates<Body>,
    },
    /// `refreshSession` where nothing is due, so that it is a read.
    RefreshedRead {
        bodies: Candidates<Body>,
    },
    Refresh(RefreshCall),
}

pub struct RefreshCall {
    pub pending: Box<PendingRefresh>,
    pub claims: ClaimsSource,
    /// The end of the call's time limit.
    pub end: Deadline,
}

impl Responder for Arc<Settler> {
    type Call = Call;

    fn is_end(call: &Call, answer: &Answer) -> bool {
        let is_live = answer.as_ref().is_ok_and(Verdict::is_live);
        is_live || answer.is_err() || !matches!(call.kind, Kind::RefreshedRead { .. })
    }

    fn respond(&self, answers: Vec<(Call, Answer)>) {
        let mut settled = Vec::with_capacity(answers.len());
        for (Call { deferred, kind }, answer) in answers {
            match kind {
                Kind::Read { form, bodies } => {
                    settled.push((deferred, answer.map(|verdict| read(form, bodies, verdict))));
                }
                Kind::RefreshedRead { bodies } => {
                    settled.push((deferred, answer.map(|verdict| refreshed_read(bodies, verdict))));
                }
                Kind::Refresh(call) => settled.extend(refresh(self, deferred, call, answer)),
            }
        }
        if !settled.is_empty() {
            self.settle(settled);
        }
    }
}

pub fn read(form: Form, bodies: Candidates<Body>, verdict: Verdict) -> Value {
    live_body(bodies, verdict).map_or_else(|| form.unauthenticated(), |body| form.of_body(body))
}

/// Null if there is no live session: then `index.js` asks again, for the cookies that are to be deleted.
pub fn refreshed_read(bodies: Candidates<Body>, verdict: Verdict) -> Value {
    Value::Json(live_body(bodies, verdict).unwrap_or_else(|| "null".to_owned()))
}

fn live_body(bodies: Candidates<Body>, verdict: Verdict) -> Option<String> {
    let body = if verdict.is_live() { bodies.take(verdict.place) } else { None };
    let fresh = verdict.record.and_then(|record| record.fresh);
    body.map(|body| body.render(fresh.as_deref()))
}

pub fn refreshed(refreshed: Refreshed) -> Value {
    Value::Json(refreshed.into_json())
}

/// `None` if the app's function is asked first.
fn refresh(
    settler: &Arc<Settler>,
    deferred: Deferred,
    RefreshCall { pending, claims, end }: RefreshCall,
    answer: Answer,
) -> Option<(Deferred, Resolution)> {
    let judged = catch_panic(|| {
        let verdict = answer?;
        if let Some(why) = PendingRefresh::refusal(&verdict) {
            settler.warn(Warning::NotRolling { why: why.to_owned() });
        }
        Ok(pending.judge(verdict))
    });
    let resolution = match (judged, claims) {
        (Err(error), _) => Err(error),
        (Ok(Judged::Done(done)), _) => Ok(refreshed(done)),
        (Ok(Judged::Issue(issue)), ClaimsSource::None) => catch_panic(|| issued(*issue, ClaimChanges::default())),
        (Ok(Judged::Issue(issue)), ClaimsSource::Given(changes)) => catch_panic(|| issued(*issue, changes)),
        (Ok(Judged::Issue(issue)), ClaimsSource::Function(function)) => {
            let settler = Arc::clone(settler);
            // Responders run on the runtime's thread.
            tokio::spawn(async move {
                let resolution = catch_panic_async(issued_with(*issue, function, end)).await;
                settler.settle(vec![(deferred, resolution)]);
            });
            return None;
        }
    };
    Some((deferred, resolution))
}

/// Asks the app's function for the claims.
async fn issued_with(issue: Issue, function: Callback<Json>, end: Deadline) -> Resolution {
    match timeout_at(end.at, function.claims(issue.session()?)).await {
        Ok(Some(changes)) => issued(issue, changes?),
        // The environment has ended: nobody waits any more.
        Ok(None) => Err(Error::Closed),
        Err(_elapsed) => Err(end.error),
    }
}

fn issued(issue: Issue, changes: ClaimChanges) -> Resolution {
    issue.with(changes, unix_time()).map(refreshed)
}
