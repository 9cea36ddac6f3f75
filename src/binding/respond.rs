//! Verdicts -> the values that the promises of `getSession` and `getSessionJson` resolve to.

use std::borrow::Cow;
use std::sync::Arc;

use super::settle::{Deferred, Resolution, Settler, Value};
use crate::claims::{Body, UNAUTHENTICATED_BODY};
use crate::lookups::{Answer, Responder};
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

/// A call that waits for the verdict, and the body of each of its sessions, to resolve it with if that is live.
pub struct SessionCall {
    pub deferred: Deferred,
    pub form: Form,
    pub bodies: Candidates<Body>,
}

impl Responder for Arc<Settler> {
    type Call = SessionCall;

    fn respond(&self, answers: Vec<(SessionCall, Answer)>) {
        self.settle(answers.into_iter().map(|(call, answer)| resolve(call, answer)).collect());
    }
}

fn resolve(SessionCall { deferred, form, bodies }: SessionCall, answer: Answer) -> (Deferred, Resolution) {
    let resolution = answer.map(|verdict| {
        let body = if verdict.is_live() { bodies.take(verdict.place) } else { None };
        let fresh = verdict.record.and_then(|record| record.fresh);
        body.map_or_else(|| form.unauthenticated(), |body| form.of_body(body.render(fresh.as_deref())))
    });
    (deferred, resolution)
}
