//! A request is answered with a session exactly if it has a token that opens, counts and lives; and
//! the explanation agrees.
#![no_main]

use authjs_bridge_fuzz::requests::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: Request| request.assert());
