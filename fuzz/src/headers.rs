//! Compares how the package and the oracle read `Cookie` headers.

use authjs_bridge::cookie::near_miss::{Part, near_misses};
use authjs_bridge::cookie::{CookieName, MAX_TOKEN_BYTES, SizeError};

use crate::allocations::Budget;
use crate::cookies::readings;

/// An empty chunk takes seven bytes of the header. If its index occurs twice, it is sorted, dealt out twice and joined
/// three times, which takes a few hundred bytes.
const BUDGET: Budget = Budget { base: 4 * 1024, multiple: 80 };

const NAMES: [&str; 2] = ["sid", "__Secure-authjs.session-token"];

/// Panics unless the package reads `header` as the oracle does.
pub fn assert(header: &str) {
    for name in NAMES {
        let cookie = CookieName::new(name).expect("a name");
        let read = BUDGET.assert(header.len(), || {
            let found = cookie.find(header)?;
            Some(found.readings().map(|reading| reading.token.map(String::from)).collect::<Vec<_>>())
        });
        let expected = readings(name, header).map(|readings| readings.into_iter().map(in_bounds).collect());
        assert_eq!(read, expected, "{name}");
        let misses = BUDGET.assert(header.len(), || near_misses(header, &[&cookie]));
        assert!(misses.len() <= 10);
        for miss in misses {
            assert!(is_spelling(&miss.name), "{miss:?}");
            // Behind a comma a cookie is not found, though its name is right.
            assert!(miss.name != name || miss.differs.contains(&Part::Separator), "{miss:?}");
        }
    }
}

fn in_bounds(token: String) -> Result<String, SizeError> {
    match token.len() {
        0 => Err(SizeError::Empty),
        bytes if bytes > MAX_TOKEN_BYTES => Err(SizeError::TooLarge { bytes }),
        _ => Ok(token),
    }
}

/// Whether `name` is a known name, possibly with another prefix or a port.
fn is_spelling(name: &str) -> bool {
    let stem = ["__Secure-", "__Host-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let rest =
        ["sid", "authjs.session-token", "next-auth.session-token"].iter().find_map(|known| stem.strip_prefix(known));
    rest.is_some_and(|port| port.is_empty() || port.strip_prefix('.').is_some_and(|port| port.parse::<u16>().is_ok()))
}
