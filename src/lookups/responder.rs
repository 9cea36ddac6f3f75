//! Delivers answers to callers.
#![forbid(unsafe_code)]

use tokio::sync::oneshot;

use crate::error::Error;
use crate::store::Verdict;

/// The result of one lookup.
pub type Answer = Result<Verdict, Error>;

/// Delivers answers to callers: JavaScript promises, or a channel in tests.
pub trait Responder: Send + Sync + 'static {
    /// Identifies one call.
    type Call: Send;

    /// Whether the answer ends the call. If not, the caller asks again, and that is counted.
    fn is_end(_call: &Self::Call, _answer: &Answer) -> bool {
        true
    }

    /// Delivers the answers of a whole batch at once: waking the JavaScript thread is what costs time.
    fn respond(&self, answers: Vec<(Self::Call, Answer)>);
}

/// The recipient of an answer.
pub(super) enum Caller<Call> {
    /// A call of `getSession`, which is counted and answered by the [`Responder`].
    Responder(Call),
    /// A task in this process, such as that of `explainSession`.
    Task(oneshot::Sender<Answer>),
}

/// Sends each task its answer, and passes all other answers to the responder at once.
pub(super) fn deliver<R: Responder>(responder: &R, answers: Vec<(Caller<R::Call>, Answer)>) {
    let mut calls = Vec::with_capacity(answers.len());
    for (caller, answer) in answers {
        match caller {
            Caller::Responder(call) => calls.push((call, answer)),
            // The task may have ended meanwhile.
            Caller::Task(sender) => drop(sender.send(answer)),
        }
    }
    if !calls.is_empty() {
        responder.respond(calls);
    }
}

/// Answers each call through its own channel.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Channels;

#[cfg(test)]
impl Responder for Channels {
    type Call = oneshot::Sender<Answer>;

    fn respond(&self, answers: Vec<(Self::Call, Answer)>) {
        for (call, answer) in answers {
            // A test may have dropped its end.
            let _ = call.send(answer);
        }
    }
}
