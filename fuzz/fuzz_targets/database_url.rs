//! A database URL is parsed as libpq parses it, and no message contains its password.
#![no_main]

use authjs_bridge_fuzz::urls::Url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|url: Url| url.assert());
