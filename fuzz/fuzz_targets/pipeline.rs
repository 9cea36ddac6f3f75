//! A request gets a session if and only if it has a token that opens, has valid claims and belongs to a
//! live session; the explanation agrees.
#![no_main]

use authjs_bridge_fuzz::requests::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: Request| request.assert());
