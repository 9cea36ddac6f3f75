//! A database URL is read as libpq reads it, and no message holds its password.
#![no_main]

use authjs_bridge_fuzz::urls::Url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|url: Url| url.assert());
