//! How promises are settled: with the parsed body, or with an error that keeps its code.

use std::future::Future;

use napi::bindgen_prelude::{Function, JsObjectValue, Object, PromiseRaw, Unknown};
use napi::{Env, JsError};

use crate::error::Error;

/// A promise that is fulfilled already. What needs no database takes no thread.
pub fn resolved<'env>(env: &'env Env, body: &str) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
    PromiseRaw::resolve(env, parse(env, body)?)
}

/// A promise that is rejected already.
pub fn rejected<'env>(env: &'env Env, error: Error) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
    PromiseRaw::reject(env, coded(error))
}

/// A promise that `body` settles. The process stays alive until then.
pub fn later<'env>(
    env: &'env Env,
    body: impl Future<Output = Result<String, Error>> + Send + 'static,
) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
    // An error of the future itself would lose its code: it becomes one in the callback.
    env.spawn_future_with_callback(async move { Ok(body.await) }, |env, outcome| match outcome {
        Ok(body) => parse(env, &body),
        Err(error) => Err(JsError::from(coded(error)).into_unknown(*env).into()),
    })
}

/// With the `code` of the JavaScript error.
pub fn coded(error: Error) -> napi::Error<&'static str> {
    napi::Error::new(error.code(), error.to_string())
}

/// The engine's own parser: one call across the border instead of one for each property.
fn parse<'env>(env: &'env Env, body: &str) -> napi::Result<Unknown<'env>> {
    env.get_global()?
        .get_named_property::<Object>("JSON")?
        .get_named_property::<Function<&str, Unknown>>("parse")?
        .call(body)
}
