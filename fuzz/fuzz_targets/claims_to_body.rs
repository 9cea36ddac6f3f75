//! Claims give exactly the body that the README documents, or no session.
#![no_main]

use authjs_bridge_fuzz::claims::ClaimsCase;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: ClaimsCase| case.assert());
