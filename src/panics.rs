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
    fn a_report_is_the_place() {
        let here = Location::caller();
        let expected =
            format!("authjs-bridge: a panic at {}:{}:{}, please report it", file!(), here.line(), here.column());
        assert_eq!(report(Some(here)), expected);
        assert_eq!(report(None), "authjs-bridge: a panic at an unknown place, please report it");
    }
}
