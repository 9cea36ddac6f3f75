//! A browser keeps exactly the new token, and the cookies of others.
#![no_main]

use authjs_bridge_fuzz::set_cookies::SetCookieCase;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: SetCookieCase| case.assert());
