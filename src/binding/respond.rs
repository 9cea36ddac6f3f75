//! Verdicts -> the values that promises resolve to.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::timeout_at;

use super::claims::ClaimsSource;
use super::settle::{Deferred, Resolution, Settler, Value};
use super::unix_time;
use crate::bridge::{Issue, Judged, PendingRefresh, Refreshed};
use crate::claims::{Body, ClaimChanges, UNAUTHENTICATED_BODY};
use crate::config::warning::Warning;
use crate::error::Error;
use crate::lookups::{Answer, Deadline, Responder};
use crate::panics::{catch_panic, catch_panic_async};
use crate::store::Candidates;

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
    Refresh {
        pending: Box<PendingRefresh>,
        claims: ClaimsSource,
        /// The end of the call's time limit.
        end: Deadline,
    },
}

impl Responder for Arc<Settler> {
    type Call = Call;

    fn respond(&self, answers: Vec<(Call, Answer)>) {
        let mut settled = Vec::with_capacity(answers.len());
        for (Call { deferred, kind }, answer) in answers {
            match kind {
                Kind::Read { form, bodies } => settled.push((deferred, read(form, bodies, answer))),
                Kind::Refresh { pending, claims, end } => {
                    settled.extend(self.refresh(deferred, *pending, claims, end, answer));
                }
            }
        }
        if !settled.is_empty() {
            self.settle(settled);
        }
    }
}

fn read(form: Form, bodies: Candidates<Body>, answer: Answer) -> Resolution {
    answer.map(|verdict| {
        let body = if verdict.is_live() { bodies.take(verdict.place) } else { None };
        let fresh = verdict.record.and_then(|record| record.fresh);
        body.map_or_else(|| form.unauthenticated(), |body| form.of_body(body.render(fresh.as_deref())))
    })
}

pub fn refreshed(refreshed: Refreshed) -> Value {
    Value::Json(refreshed.into_json())
}

trait Refresh {
    /// `None` if the app's function is asked first.
    fn refresh(
        &self,
        deferred: Deferred,
        pending: PendingRefresh,
        claims: ClaimsSource,
        end: Deadline,
        answer: Answer,
    ) -> Option<(Deferred, Resolution)>;
}

impl Refresh for Arc<Settler> {
    fn refresh(
        &self,
        deferred: Deferred,
        pending: PendingRefresh,
        claims: ClaimsSource,
        end: Deadline,
        answer: Answer,
    ) -> Option<(Deferred, Resolution)> {
        let judged = catch_panic(|| {
            let verdict = answer?;
            if let Some(why) = PendingRefresh::refusal(&verdict) {
                self.warn(Warning::NotRolling { why: why.to_owned() });
            }
            Ok(pending.judge(verdict))
        });
        let issue = match judged {
            Err(error) => return Some((deferred, Err(error))),
            Ok(Judged::Done(done)) => return Some((deferred, Ok(refreshed(done)))),
            Ok(Judged::Issue(issue)) => *issue,
        };
        let changes = match claims {
            ClaimsSource::None => ClaimChanges::default(),
            ClaimsSource::Given(changes) => changes,
            ClaimsSource::Function(function) => {
                let settler = Arc::clone(self);
                // Responders run on the runtime's thread.
                tokio::spawn(async move {
                    let work = async {
                        let claims = function.claims(issue.session()?);
                        match timeout_at(end.at, claims).await {
                            Ok(Some(changes)) => issued(issue, changes?),
                            // The environment has ended: nobody waits any more.
                            Ok(None) => Err(Error::Closed),
                            Err(_elapsed) => Err(end.error),
                        }
                    };
                    let resolution = catch_panic_async(work).await;
                    settler.settle(vec![(deferred, resolution)]);
                });
                return None;
            }
        };
        Some((deferred, catch_panic(|| issued(issue, changes))))
    }
}

fn issued(issue: Issue, changes: ClaimChanges) -> Resolution {
    issue.with(changes, unix_time()).map(refreshed)
}
