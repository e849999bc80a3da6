//! See `faceline_fuzz::picture`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| faceline_fuzz::picture(data));
