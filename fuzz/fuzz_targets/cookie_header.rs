//! A header is read as a simple second parser reads it, within bounds. Near misses contain no text of
//! the client.
#![no_main]

use authjs_bridge_fuzz::headers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| headers::assert(header));
