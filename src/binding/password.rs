//! The function of the option `password`: it runs on its own thread, while the runtime's thread waits for what it gives.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use napi::bindgen_prelude::{FromNapiValue, Function, JsObjectValue, JsValue, Object, PromiseRaw, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsError, Status};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::module::module;
use super::settle;
use crate::config::PasswordSource;
use crate::error::Error;
use crate::sensitive::Sensitive;

/// The name of an error is shown if it is no longer than this.
const MAX_NAME_BYTES: usize = 60;

pub struct PasswordFunction {
    function: WeakFunction,
    /// Cancelled when the environment ends.
    environment: CancellationToken,
}

/// Weak: it doesn't keep the process alive.
type WeakFunction = ThreadsafeFunction<(), Unknown<'static>, (), Status, false, true>;

type Answer = Result<Sensitive, Error>;

impl PasswordFunction {
    pub fn new(value: Unknown) -> Result<Self, Error> {
        let environment = module(&Env::from_raw(value.value().env))?.settler.environment();
        let function = Function::<(), Unknown<'static>>::from_unknown(value)
            .and_then(|function| function.build_threadsafe_function::<()>().weak::<true>().build())
            .map_err(|cause| Error::Internal(cause.reason.clone()))?;
        Ok(Self { function, environment })
    }
}

impl PasswordSource for PasswordFunction {
    fn password(&self) -> BoxFuture<'static, Option<Answer>> {
        let (sender, answer) = oneshot::channel();
        let mode = ThreadsafeFunctionCallMode::NonBlocking;
        let status = self.function.call_with_return_value((), mode, |returned, env| {
            Reply(Rc::new(Cell::new(Some(sender)))).settle(&env, returned);
            Ok(())
        });
        let environment = self.environment.clone();
        async move {
            if status != Status::Ok {
                return None;
            }
            // If the promise is dropped, its environment ends, or nothing can settle it and the time limit ends this.
            let answer = async {
                match answer.await {
                    Ok(answer) => answer,
                    Err(_) => pending().await,
                }
            };
            environment.run_until_cancelled_owned(answer).await
        }
        .boxed()
    }
}

/// Sends the first answer.
#[derive(Clone)]
struct Reply(Rc<Cell<Option<oneshot::Sender<Answer>>>>);

impl Reply {
    fn send(&self, answer: Answer) {
        if let Some(sender) = self.0.take() {
            // Nobody waits any more after the time limit.
            let _ = sender.send(answer);
        }
    }

    /// Sends what the function returned, or what its promise is settled with.
    fn settle(self, env: &Env, returned: napi::Result<Unknown<'static>>) {
        let value = match returned {
            Ok(value) => value,
            // The thread is being ended in the middle of the function, whose sender is dropped.
            Err(_) if !runs_javascript(env) => return,
            Err(thrown) => return self.send(Err(failure(env, JsError::from(thrown).into_unknown(*env)))),
        };
        let [fulfilled, rejected] = [self.clone(), self.clone()];
        let promised = || -> napi::Result<()> {
            let promise: Function<Unknown, Unknown> = env.get_global()?.get_named_property("Promise")?;
            promise
                .get_named_property::<Function<Unknown, PromiseRaw<Unknown<'static>>>>("resolve")?
                .apply(promise, value)?
                .then::<_, ()>(move |settled| {
                    fulfilled.send(text(&settled.env, &settled.value));
                    Ok(())
                })?
                .catch::<Unknown<'static>, (), _>(move |settled| {
                    rejected.send(Err(failure(&settled.env, settled.value)));
                    Ok(())
                })?;
            Ok(())
        };
        if settle::unless_thrown(env, promised()).is_none() && runs_javascript(env) {
            self.send(Err(failed("its promise can't be read")));
        }
    }
}

fn runs_javascript(env: &Env) -> bool {
    let property = || env.get_global()?.get_named_property::<Unknown>("Promise");
    settle::unless_thrown(env, property()).is_some()
}

fn text(env: &Env, value: &Unknown) -> Answer {
    let text = settle::text(env, value, None).map(Sensitive::from);
    text.ok_or_else(|| Error::config("password", "must return a string, or a promise of one"))
}

/// Only the name of an error is shown: its message may hold the password.
fn failure(env: &Env, thrown: Unknown) -> Error {
    let is_shown = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.-".contains(&byte);
    let name = || {
        let name: Unknown = settle::unless_thrown(env, Object::from_unknown(thrown).ok()?.get_named_property("name"))?;
        let name = settle::text(env, &name, Some(MAX_NAME_BYTES))?;
        (name.len() <= MAX_NAME_BYTES && name.bytes().all(is_shown)).then_some(name)
    };
    failed(&name().unwrap_or_else(|| "Error".to_owned()))
}

fn failed(cause: &str) -> Error {
    Error::Connect(format!("the function of the option password failed: {cause}"))
}
