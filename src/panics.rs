//! What a panic says on stderr: where it was. Its message may hold anything, so that stays out.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::panic::{self, Location};

/// For the panics of this addon, which has a standard library of its own.
pub fn report_their_places_only() {
    panic::set_hook(Box::new(|panic| {
        // Without a stderr there is nobody to tell.
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
            report_their_places_only();
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

    #[test]
    fn a_report_is_the_place() {
        let here = Location::caller();
        let expected =
            format!("authjs-bridge: a panic at {}:{}:{}, please report it", file!(), here.line(), here.column());
        assert_eq!(report(Some(here)), expected);
        assert_eq!(report(None), "authjs-bridge: a panic at an unknown place, please report it");
    }
}
