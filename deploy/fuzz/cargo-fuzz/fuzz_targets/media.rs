//! See `faceline_fuzz::media`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| faceline_fuzz::media(data));
