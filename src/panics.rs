//! Catches panics and reports them on stderr. The message of a panic may hold secrets, so only its location is
//! shown, and the caller gets [`Error::Internal`].
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, Location};

use futures_util::FutureExt;

use crate::error::Error;

/// Turns a panic in `call` into an error. Without this, a panic in a function that Node.js calls aborts the process.
pub fn catch_panic<T>(call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(panicked()))
}

/// The same for a future.
pub async fn catch_panic_async<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    Error::Internal("a panic; its location is on stderr".to_owned())
}

/// Sets the panic hook. The addon has its own copy of the standard library, so the panics of other addons are not
/// affected.
pub fn report_location_only() {
    panic::set_hook(Box::new(|panic| {
        // If stderr is closed, the report is lost.
        let _ = writeln!(io::stderr(), "{}", report(panic.location()));
    }));
}

fn report(location: Option<&Location>) -> String {
    let location = location.map_or_else(|| "an unknown location".to_owned(), ToString::to_string);
    format!("authjs-bridge: a panic at {location}, please report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_reports_its_location_and_not_its_message() {
        const CHILD: &str = "AUTHJS_BRIDGE_TEST_PANICS";
        if std::env::var_os(CHILD).is_some() {
            report_location_only();
            panic!("hunter2");
        }
        let this = std::env::current_exe().expect("a path");
        let test = "panics::tests::a_panic_reports_its_location_and_not_its_message";
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
            assert_eq!(error.to_string(), "internal error, please report it: a panic; its location is on stderr");
        }
        assert_eq!(catch_panic(|| Ok(1)), Ok(1));
        assert_eq!(catch_panic_async(async { Ok(1) }).await, Ok(1));
    }

    #[test]
    fn a_report_names_the_location() {
        let here = Location::caller();
        let expected =
            format!("authjs-bridge: a panic at {}:{}:{}, please report it", file!(), here.line(), here.column());
        assert_eq!(report(Some(here)), expected);
        assert_eq!(report(None), "authjs-bridge: a panic at an unknown location, please report it");
    }
}
