//! The next token has the claims of this one, but for the changes and the stamp, and opens again.
#![no_main]

use authjs_bridge_fuzz::next_claims::NextClaimsCase;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: NextClaimsCase| case.assert());
