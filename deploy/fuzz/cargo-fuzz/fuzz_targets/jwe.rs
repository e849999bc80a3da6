//! See `faceline_fuzz::jwe`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| faceline_fuzz::jwe(data));
