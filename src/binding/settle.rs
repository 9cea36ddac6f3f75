//! Creates promises and settles them: a whole batch with one call into the JavaScript thread.
//!
//! The only file with `unsafe`. It uses raw N-API, since each deferred of napi-rs has its own thread-safe function, which
//! is too expensive for every call. All blocks rely on this:
//!
//! - An [`Env`] exists only on the JavaScript thread that it belongs to, while that thread is in a call of this
//!   addon; the handles made there live until that call ends.
//! - A deferred is used once, on that thread: [`Deferred`] can't be copied, and settling it consumes it.
//! - The thread-safe function is used under a lock that also guards whether the environment still exists; the
//!   end of the environment takes the function away under the same lock, before Node frees it.

use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Function, JsObjectValue, Object, ToNapiValue, Unknown};
use napi::{Env, JsError, JsValue, check_status, sys};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize;

use crate::config::warning::Warning;
use crate::error::Error;
use crate::panics::catch_panic;

/// What a promise resolves to.
#[derive(Debug)]
pub enum Value {
    /// The object that this JSON text describes.
    Json(String),
    Text(Cow<'static, str>),
    EmptyObject,
    Undefined,
}

pub type Resolution = Result<Value, Error>;

/// A promise that is not settled yet.
pub struct Deferred(sys::napi_deferred);

// SAFETY: a deferred is a pointer that other threads only pass on: it is used in `settle_now` alone, which has
// the `Env` of its thread.
unsafe impl Send for Deferred {}

/// Settles the promises of one environment: the main thread, or a worker thread.
pub struct Settler {
    /// `None` when the environment has ended.
    wake: Mutex<Option<Wake>>,
    /// Promises that are not settled yet; while there are any, the process stays alive. Only the
    /// JavaScript thread touches it.
    pending: AtomicUsize,
    environment: CancellationToken,
    /// Warnings that the JavaScript thread is to emit, and how.
    warnings: Mutex<Vec<Warning>>,
    emit: fn(&Env, &[Warning]),
    parse: Parse,
}

/// `JSON.parse` as it was when the addon was first used.
struct Parse(sys::napi_ref);

// SAFETY: a reference is a pointer that other threads only keep: it is used on the JavaScript thread alone, by functions that have its
// `Env`.
unsafe impl Send for Parse {}
// SAFETY: as above.
unsafe impl Sync for Parse {}

/// The thread-safe function that settles a batch.
struct Wake(sys::napi_threadsafe_function);

// SAFETY: N-API lets any thread call a thread-safe function.
unsafe impl Send for Wake {}

type Resolutions = Vec<(Deferred, Resolution)>;

impl Settler {
    pub fn new(env: &Env, emit: fn(&Env, &[Warning])) -> napi::Result<Arc<Self>> {
        let settler = Arc::new(Self {
            wake: Mutex::new(None),
            pending: AtomicUsize::new(0),
            environment: CancellationToken::new(),
            warnings: Mutex::default(),
            emit,
            parse: json_parse(env)?,
        });
        let context = Arc::into_raw(Arc::clone(&settler));
        let name = env.create_string("authjs-bridge")?;
        let mut function = null_mut();
        // SAFETY: on the JavaScript thread. The context is freed by `finalize`, which Node calls once for a function,
        // and by nobody if there is none.
        unsafe {
            check_status!(sys::napi_create_threadsafe_function(
                env.raw(),
                null_mut(),
                null_mut(),
                name.raw(),
                0,
                1,
                null_mut(),
                Some(finalize),
                context.cast_mut().cast(),
                Some(settle_batch),
                &mut function,
            ))?;
            // The function must not keep the process alive while no promise is pending.
            check_status!(sys::napi_unref_threadsafe_function(env.raw(), function))?;
        }
        *settler.wake() = Some(Wake(function));
        // Hooks run in reverse order, so this one before that of the function itself.
        env.add_env_cleanup_hook(Arc::clone(&settler), |settler| settler.end())?;
        Ok(settler)
    }

    /// Called when the environment ends: from now on promises can't be settled.
    fn end(&self) {
        self.environment.cancel();
        if let Some(Wake(function)) = self.wake().take() {
            // SAFETY: the function is there, since its own hook has not run yet. Without this, newer versions of
            // Node keep it for threads that might still use it.
            unsafe { sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::release) };
        }
    }

    /// Cancelled when the environment ends.
    pub fn environment(&self) -> CancellationToken {
        self.environment.clone()
    }

    /// A promise and its deferred. The process stays alive until the promise is settled.
    pub fn promise<'env>(&self, env: &'env Env) -> napi::Result<(Unknown<'env>, Deferred)> {
        let (promise, deferred) = create_promise(env)?;
        if self.pending.fetch_add(1, Ordering::Relaxed) == 0 {
            self.keep_alive(env, true);
        }
        Ok((promise, Deferred(deferred)))
    }

    /// A promise that is resolved already.
    pub fn resolved<'env>(&self, env: &'env Env, value: Value) -> napi::Result<Unknown<'env>> {
        let (promise, deferred) = create_promise(env)?;
        settle_now(env, Deferred(deferred), Ok(value), Parser::of(env, self).as_ref());
        Ok(promise)
    }

    fn keep_alive(&self, env: &Env, alive: bool) {
        if let Some(Wake(function)) = *self.wake() {
            // SAFETY: on the JavaScript thread, with the function still there.
            unsafe {
                if alive {
                    sys::napi_ref_threadsafe_function(env.raw(), function);
                } else {
                    sys::napi_unref_threadsafe_function(env.raw(), function);
                }
            }
        }
    }

    /// Settles promises from any thread, all by one call into the JavaScript thread.
    pub fn settle(&self, resolutions: Resolutions) {
        let wake = self.wake();
        let Some(Wake(function)) = *wake else {
            // The environment has ended.
            return;
        };
        let resolutions = Box::into_raw(Box::new(resolutions));
        // SAFETY: the function is there, since `wake` is locked. It takes the resolutions over unless it fails.
        unsafe {
            let status = sys::napi_call_threadsafe_function(
                function,
                resolutions.cast(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            );
            if status != sys::Status::napi_ok {
                drop(Box::from_raw(resolutions));
            }
        }
    }

    /// Emits a warning with the next promises that are settled.
    pub fn warn(&self, warning: Warning) {
        self.warnings().push(warning);
    }

    fn warnings(&self) -> MutexGuard<'_, Vec<Warning>> {
        // A poisoned lock is harmless: each change is a single operation.
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) -> MutexGuard<'_, Option<Wake>> {
        // A poisoned lock is harmless: the function is there or not.
        self.wake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called by Node on the JavaScript thread; without an environment when that has ended.
unsafe extern "C" fn settle_batch(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    resolutions: *mut c_void,
) {
    // SAFETY: what `settle` passed; Node hands each batch out once.
    let resolutions = unsafe { *Box::from_raw(resolutions.cast::<Resolutions>()) };
    if env.is_null() {
        // Node calls `finalize` before it empties the queue: there is no context any more.
        return;
    }
    // SAFETY: with an environment, `finalize` was not called yet.
    let settler = unsafe { &*context.cast::<Settler>() };
    let env = Env::from_raw(env);
    let settled = resolutions.len();
    let warnings = std::mem::take(&mut *settler.warnings());
    (settler.emit)(&env, &warnings);
    let parser = Parser::of(&env, settler);
    for (deferred, resolution) in resolutions {
        let _ = catch_panic(|| {
            settle_now(&env, deferred, resolution, parser.as_ref());
            Ok(())
        });
    }
    if settler.pending.fetch_sub(settled, Ordering::Relaxed) == settled {
        settler.keep_alive(&env, false);
    }
}

/// Called by Node when the environment ends.
unsafe extern "C" fn finalize(env: sys::napi_env, _data: *mut c_void, context: *mut c_void) {
    // SAFETY: what `new` gave. `settle_batch` may be called after this, but without an environment, and
    // then it leaves the context alone.
    let settler = unsafe { Arc::from_raw(context.cast::<Settler>()) };
    // SAFETY: on the JavaScript thread; finalizers may delete references, and nothing uses this one any more.
    unsafe { sys::napi_delete_reference(env, settler.parse.0) };
}

/// A promise that is settled already.
pub fn settled(env: &Env, resolution: Resolution) -> napi::Result<Unknown<'_>> {
    let (promise, deferred) = create_promise(env)?;
    settle_now(env, Deferred(deferred), resolution, None);
    Ok(promise)
}

/// The result of `JSON.parse`.
pub fn parsed<'env>(env: &'env Env, text: &str) -> napi::Result<Unknown<'env>> {
    let json: Object = env.get_global()?.get_named_property("JSON")?;
    json.get_named_property::<Function<&str, Unknown>>("parse")?.call(text)
}

/// The text that `JSON.stringify` returns; `None` if it throws, or returns none.
pub fn stringified(env: &Env, value: Unknown) -> Option<String> {
    let stringify = || {
        let json: Object = env.get_global()?.get_named_property("JSON")?;
        json.get_named_property::<Function<Unknown, Unknown>>("stringify")?.call(value)
    };
    text(env, &unless_thrown(env, stringify())?, None)
}

/// A value that JavaScript gets as the object which this JSON text describes.
pub struct Json(pub String);

impl ToNapiValue for Json {
    unsafe fn to_napi_value(env: sys::napi_env, Self(text): Self) -> napi::Result<sys::napi_value> {
        let env = Env::from_raw(env);
        parsed(&env, &text).map(|value| value.raw())
    }
}

/// A JavaScript error with its `code`.
pub fn coded(error: Error) -> napi::Error<&'static str> {
    napi::Error::new(error.code(), error.to_string())
}

fn create_promise(env: &Env) -> napi::Result<(Unknown<'_>, sys::napi_deferred)> {
    let (mut deferred, mut promise) = (null_mut(), null_mut());
    // SAFETY: on the JavaScript thread; both are written if the status is ok.
    unsafe {
        check_status!(sys::napi_create_promise(env.raw(), &mut deferred, &mut promise))?;
        Ok((Unknown::from_raw_unchecked(env.raw(), promise), deferred))
    }
}

fn settle_now(env: &Env, deferred: Deferred, resolution: Resolution, parser: Option<&Parser>) {
    let resolved = match resolution {
        Err(error) => return reject(env, deferred, error),
        Ok(Value::Json(body)) => parse(env, &body, parser),
        Ok(Value::Text(text)) => string(env, &text),
        Ok(Value::EmptyObject) => empty_object(env),
        Ok(Value::Undefined) => undefined(env),
    };
    match resolved {
        // SAFETY: on the JavaScript thread, with a value of this call; the deferred is used up.
        Some(value) => unsafe {
            sys::napi_resolve_deferred(env.raw(), deferred.0, value);
        },
        None => reject(env, deferred, Error::Internal("no JavaScript value could be made".to_owned())),
    }
}

fn parse(env: &Env, body: &str, parser: Option<&Parser>) -> Option<sys::napi_value> {
    match parser {
        Some(parser) => parser.parse(env, body),
        None => unless_thrown(env, parsed(env, body)).map(|value| value.raw()),
    }
}

fn reject(env: &Env, deferred: Deferred, error: Error) {
    forget_exception(env);
    // SAFETY: as in `settle_now`.
    unsafe {
        sys::napi_reject_deferred(env.raw(), deferred.0, JsError::from(coded(error)).into_value(env.raw()));
    }
}

/// `None` if JavaScript threw. Clears the exception, which the next call into JavaScript would throw otherwise.
pub fn unless_thrown<T>(env: &Env, result: napi::Result<T>) -> Option<T> {
    result.map_err(|_| forget_exception(env)).ok()
}

fn forget_exception(env: &Env) {
    // SAFETY: on the JavaScript thread, and `written` gives a place for the value.
    written(|exception| unsafe { sys::napi_get_and_clear_last_exception(env.raw(), exception) });
}

/// The engine's own JSON parser: one N-API call instead of one for each property.
struct Parser {
    function: sys::napi_value,
    receiver: sys::napi_value,
}

impl Parser {
    fn of(env: &Env, settler: &Settler) -> Option<Self> {
        // SAFETY: on the JavaScript thread; the reference lives as long as the environment.
        let function = written(|value| unsafe { sys::napi_get_reference_value(env.raw(), settler.parse.0, value) })?;
        Some(Self { function, receiver: undefined(env)? })
    }

    fn parse(&self, env: &Env, body: &str) -> Option<sys::napi_value> {
        let text = string(env, body)?;
        // SAFETY: on the JavaScript thread, with one argument, and values of this call.
        written(|value| unsafe { sys::napi_call_function(env.raw(), self.receiver, self.function, 1, &text, value) })
    }
}

fn json_parse(env: &Env) -> napi::Result<Parse> {
    let function: Unknown = env.get_global()?.get_named_property::<Object>("JSON")?.get_named_property("parse")?;
    let mut reference = null_mut();
    // SAFETY: on the JavaScript thread, with a value of this call.
    unsafe { check_status!(sys::napi_create_reference(env.raw(), function.raw(), 1, &mut reference))? };
    Ok(Parse(reference))
}

fn string(env: &Env, text: &str) -> Option<sys::napi_value> {
    let bytes = text.as_ptr().cast();
    // ASCII is also Latin-1, which the engine copies without checking it.
    let create = if text.is_ascii() { sys::napi_create_string_latin1 } else { sys::napi_create_string_utf8 };
    // SAFETY: on the JavaScript thread; the text is copied.
    written(|value| unsafe { create(env.raw(), bytes, text.len() as isize, value) })
}

/// The text of a string; `None` for another value. A string of more than `max` bytes may be truncated, but still has
/// more than `max` bytes then.
pub fn text(env: &Env, value: &Unknown, max: Option<usize>) -> Option<String> {
    const USUAL: usize = 4096;
    const MAX_CHARACTER_BYTES: usize = 4;
    // Most headers fit, so the engine need not measure the string first.
    let mut bytes = read_bytes(env, value, USUAL)?;
    if bytes.len() + MAX_CHARACTER_BYTES >= USUAL {
        // They may be part of a secret.
        bytes.zeroize();
        let needed = || Some(utf8_length(env, value)? + 1);
        bytes = read_bytes(env, value, max.map_or_else(needed, |max| Some(max + 1 + MAX_CHARACTER_BYTES))?)?;
    }
    String::from_utf8(bytes).ok()
}

fn utf8_length(env: &Env, value: &Unknown) -> Option<usize> {
    let mut length = 0;
    // SAFETY: on the JavaScript thread; without a buffer Node only returns the length.
    let status = unsafe { sys::napi_get_value_string_utf8(env.raw(), value.raw(), null_mut(), 0, &mut length) };
    (status == sys::Status::napi_ok).then_some(length)
}

/// The first bytes of a string in UTF-8, fewer than `capacity`, since Node writes a NUL behind them.
fn read_bytes(env: &Env, value: &Unknown, capacity: usize) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::with_capacity(capacity);
    let mut length = 0;
    // SAFETY: on the JavaScript thread; Node writes `length` bytes and a NUL, no more than the capacity.
    unsafe {
        let start = bytes.as_mut_ptr().cast();
        let status = sys::napi_get_value_string_utf8(env.raw(), value.raw(), start, capacity, &mut length);
        (status == sys::Status::napi_ok).then(|| {
            bytes.set_len(length);
            bytes
        })
    }
}

fn empty_object(env: &Env) -> Option<sys::napi_value> {
    // SAFETY: on the JavaScript thread.
    written(|value| unsafe { sys::napi_create_object(env.raw(), value) })
}

fn undefined(env: &Env) -> Option<sys::napi_value> {
    // SAFETY: on the JavaScript thread.
    written(|value| unsafe { sys::napi_get_undefined(env.raw(), value) })
}

/// The value that `make` writes, if its status is ok.
fn written(make: impl FnOnce(*mut sys::napi_value) -> sys::napi_status) -> Option<sys::napi_value> {
    let mut value = null_mut();
    (make(&mut value) == sys::Status::napi_ok).then_some(value)
}
