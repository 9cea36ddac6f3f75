//! How promises are settled: with the parsed body, or with an error that keeps its code.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{Function, JsObjectValue, Object, PromiseRaw, Unknown};
use napi::{Env, JsError};

use crate::error::Error;
use crate::session::UNAUTHENTICATED_BODY;

/// The promise of a call. What is known without the database settles it at once and takes no
/// thread; else the lookup that `call` gives does, and the process stays alive until then.
pub fn promise<'env, Lookup>(
    env: &'env Env,
    call: impl FnOnce() -> Result<Option<Lookup>, Error>,
) -> napi::Result<PromiseRaw<'env, Unknown<'env>>>
where
    Lookup: Future<Output = Result<String, Error>> + Send + 'static,
{
    match guarded(call) {
        Ok(Some(lookup)) => later(env, lookup),
        Ok(None) => PromiseRaw::resolve(env, parse(env, UNAUTHENTICATED_BODY)?),
        Err(error) => PromiseRaw::reject(env, coded(error)),
    }
}

/// What `call` gives, or `ERR_AUTH_BRIDGE_INTERNAL` if it panics, for which Node would abort.
pub fn guarded<T>(call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(Error::panicked(payload)))
}

/// With the `code` of the JavaScript error.
pub fn coded(error: Error) -> napi::Error<&'static str> {
    napi::Error::new(error.code(), error.to_string())
}

fn later<'env>(
    env: &'env Env,
    lookup: impl Future<Output = Result<String, Error>> + Send + 'static,
) -> napi::Result<PromiseRaw<'env, Unknown<'env>>> {
    // An error of the future itself would lose its code: it becomes one in the callback.
    env.spawn_future_with_callback(async move { Ok(lookup.await) }, |env, outcome| match outcome {
        Ok(body) => parse(env, &body),
        Err(error) => Err(JsError::from(coded(error)).into_unknown(*env).into()),
    })
}

/// The engine's own parser: one call across the border instead of one for each property.
fn parse<'env>(env: &'env Env, body: &str) -> napi::Result<Unknown<'env>> {
    env.get_global()?
        .get_named_property::<Object>("JSON")?
        .get_named_property::<Function<&str, Unknown>>("parse")?
        .call(body)
}
