//! What is read of a header is what the plainest reader would read, within bounds, and what is told of
//! near misses is no text of the client.
#![no_main]

use authjs_bridge_fuzz::headers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| headers::assert(header));
