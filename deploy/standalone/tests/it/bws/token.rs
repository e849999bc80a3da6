//! The tokens of BWS clients (RFC 7515, HS512).

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

/// A token of `client` that its key, in base64, has signed, and that is valid for `seconds` from now.
pub(super) fn token(client: &str, key: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
    let header = encode(json!({ "alg": "HS512", "typ": "JWT" }));
    let claims = encode(json!({ "sub": client, "iss": client, "aud": "BWS", "exp": now + seconds }));
    let signed = format!("{header}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA512, &STANDARD.decode_to_vec(key).unwrap());
    let signature = URL_SAFE_NO_PAD.encode_to_string(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}
