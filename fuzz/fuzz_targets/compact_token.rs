//! A token opens if and only if it was encrypted with a configured key for this cookie, under an
//! accepted header, and was not changed since.
#![no_main]

use authjs_bridge_fuzz::token_cases::TokenCase;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: TokenCase| case.assert());
