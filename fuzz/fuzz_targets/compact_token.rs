//! A token opens exactly if it was sealed with a configured key for this cookie, under a header that
//! counts, and not changed since.
#![no_main]

use authjs_bridge_fuzz::openings::Opening;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|opening: Opening| opening.assert());
