//! See `faceline_fuzz::container`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| faceline_fuzz::container(data));
