//! See `faceline_fuzz::jwt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| faceline_fuzz::jwt(data));
