//! Panics: where they are caught, and what they say on stderr. A panic's message may hold anything, so only
//! its place is shown, and the caller gets [`Error::Internal`].
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, Location};

use futures_util::FutureExt;

use crate::error::Error;

/// A panic in `call` becomes an error. Without this, a panic in a function that Node.js calls aborts the process.
pub fn catch_panic<T>(call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(panicked()))
}

/// The same for a future.
pub async fn catch_panic_async<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    Error::Internal("a panic, whose place is on stderr".to_owned())
}

/// Sets the panic hook. The addon has a standard library of its own, so no other panics are affected.
pub fn report_place_only() {
    panic::set_hook(Box::new(|panic| {
        // If stderr is closed, there is nobody to tell.
        let _ = writeln!(io::stderr(), "{}", report(panic.location()));
    }));
}

fn report(place: Option<&Location>) -> String {
    let place = place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!("authjs-bridge: a panic at {place}, please report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_prints_its_place_and_not_what_it_says() {
        const CHILD: &str = "AUTHJS_BRIDGE_TEST_PANICS";
        if std::env::var_os(CHILD).is_some() {
            report_place_only();
            panic!("hunter2");
        }
        let this = std::env::current_exe().expect("a path");
        let test = "panics::tests::a_panic_prints_its_place_and_not_what_it_says";
        let child = std::process::Command::new(this).args([test, "--exact", "--nocapture"]).env(CHILD, "1").output();
        let child = child.expect("runs");
        assert!(!child.status.success());
        let stderr = String::from_utf8_lossy(&child.stderr);
        assert!(stderr.contains(concat!("authjs-bridge: a panic at ", file!())), "{stderr}");
        let output = [child.stdout, child.stderr].concat();
        assert!(!String::from_utf8_lossy(&output).contains("hunter2"));
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error_that_does_not_repeat_it() {
        let sync = catch_panic(|| -> Result<(), Error> { panic!("hunter2") });
        let future = catch_panic_async(async { panic!("hunter2") }).await;
        for result in [sync, future] {
            let error = result.expect_err("panicked");
            assert_eq!(error.code(), "ERR_AUTH_BRIDGE_INTERNAL");
            assert_eq!(error.to_string(), "internal error, please report it: a panic, whose place is on stderr");
        }
        assert_eq!(catch_panic(|| Ok(1)), Ok(1));
        assert_eq!(catch_panic_async(async { Ok(1) }).await, Ok(1));
    }

    #[test]
    fn a_report_is_the_place() {
        let here = Location::caller();
        let expected =
            format!("authjs-bridge: a panic at {}:{}:{}, please report it", file!(), here.line(), here.column());
        assert_eq!(report(Some(here)), expected);
        assert_eq!(report(None), "authjs-bridge: a panic at an unknown place, please report it");
    }
}
