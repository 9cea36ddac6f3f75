//! Calls a function of the app from the runtime's thread: it runs on its own thread, while the runtime waits for what it returns, or
//! what its promise is settled with.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use napi::bindgen_prelude::{
    FromNapiValue, Function, JsObjectValue, JsValue, JsValuesTupleIntoVec, Object, PromiseRaw, Unknown,
};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsError, Status};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::module::module;
use super::settle;
use crate::error::Error;

/// The name of an error is shown if it is no longer than this.
const MAX_NAME_BYTES: usize = 60;

pub struct Callback<Args: JsValuesTupleIntoVec + 'static> {
    function: WeakFunction<Args>,
    /// Cancelled when the environment ends.
    environment: CancellationToken,
}

/// Weak: it doesn't keep the process alive.
type WeakFunction<Args> = ThreadsafeFunction<Args, Unknown<'static>, Args, Status, false, true>;

/// How the value of a call is read, and what its error is.
#[derive(Clone, Copy)]
pub struct Conversion<T> {
    pub value: fn(&Env, Unknown) -> Result<T, Error>,
    /// For a function that threw, or whose promise was rejected. It gets only the name of the error: the message may hold a secret.
    pub failure: fn(&str) -> Error,
}

impl<Args: JsValuesTupleIntoVec + 'static> Callback<Args> {
    pub fn new(value: Unknown) -> Result<Self, Error> {
        let environment = module(&Env::from_raw(value.value().env))?.settler.environment();
        let function = Function::<Args, Unknown<'static>>::from_unknown(value)
            .and_then(|function| function.build_threadsafe_function::<Args>().weak::<true>().build())
            .map_err(|cause| Error::Internal(cause.reason.clone()))?;
        Ok(Self { function, environment })
    }

    /// `None` if the environment ends before there is an answer. Has no end of its own if the promise is never settled.
    pub fn call<T: Send + 'static>(
        &self,
        args: Args,
        conversion: Conversion<T>,
    ) -> BoxFuture<'static, Option<Result<T, Error>>> {
        let (sender, answer) = oneshot::channel();
        let mode = ThreadsafeFunctionCallMode::NonBlocking;
        let status = self.function.call_with_return_value(args, mode, move |returned, env| {
            Reply { sender: Rc::new(Cell::new(Some(sender))), conversion }.settle(&env, returned);
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

type Sender<T> = oneshot::Sender<Result<T, Error>>;

/// Sends the first answer.
struct Reply<T> {
    sender: Rc<Cell<Option<Sender<T>>>>,
    conversion: Conversion<T>,
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Self { sender: Rc::clone(&self.sender), conversion: Conversion { ..self.conversion } }
    }
}

impl<T: 'static> Reply<T> {
    fn send(&self, answer: Result<T, Error>) {
        if let Some(sender) = self.sender.take() {
            // Nobody waits any more after the time limit.
            let _ = sender.send(answer);
        }
    }

    fn fail(&self, env: &Env, thrown: Unknown) {
        let name = name_of(env, thrown).unwrap_or_else(|| "Error".to_owned());
        self.send(Err((self.conversion.failure)(&name)));
    }

    /// Sends what the function returned, or what its promise is settled with.
    fn settle(self, env: &Env, returned: napi::Result<Unknown<'static>>) {
        let value = match returned {
            Ok(value) => value,
            // The thread is being ended in the middle of the function, whose sender is dropped.
            Err(_) if !runs_javascript(env) => return,
            Err(thrown) => return self.fail(env, JsError::from(thrown).into_unknown(*env)),
        };
        let [fulfilled, rejected] = [self.clone(), self.clone()];
        let promised = || -> napi::Result<()> {
            let promise: Function<Unknown, Unknown> = env.get_global()?.get_named_property("Promise")?;
            promise
                .get_named_property::<Function<Unknown, PromiseRaw<Unknown<'static>>>>("resolve")?
                .apply(promise, value)?
                .then::<_, ()>(move |settled| {
                    fulfilled.send((fulfilled.conversion.value)(&settled.env, settled.value));
                    Ok(())
                })?
                .catch::<Unknown<'static>, (), _>(move |settled| {
                    rejected.fail(&settled.env, settled.value);
                    Ok(())
                })?;
            Ok(())
        };
        if settle::unless_thrown(env, promised()).is_none() && runs_javascript(env) {
            self.send(Err((self.conversion.failure)("its promise can't be read")));
        }
    }
}

fn runs_javascript(env: &Env) -> bool {
    let property = || env.get_global()?.get_named_property::<Unknown>("Promise");
    settle::unless_thrown(env, property()).is_some()
}

fn name_of(env: &Env, thrown: Unknown) -> Option<String> {
    let is_shown = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.-".contains(&byte);
    let name: Unknown = settle::unless_thrown(env, Object::from_unknown(thrown).ok()?.get_named_property("name"))?;
    let name = settle::text(env, &name, Some(MAX_NAME_BYTES))?;
    (name.len() <= MAX_NAME_BYTES && name.bytes().all(is_shown)).then_some(name)
}
