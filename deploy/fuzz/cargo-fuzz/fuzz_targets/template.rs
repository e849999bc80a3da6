//! See `faceline_fuzz::template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| faceline_fuzz::template(data));
