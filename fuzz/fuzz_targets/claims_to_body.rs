//! Claims give exactly the body that the README documents, or no session.
#![no_main]

use authjs_bridge_fuzz::claims;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plaintext: &[u8]| claims::assert(plaintext));
