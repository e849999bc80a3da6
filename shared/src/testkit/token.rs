//! Tokens of BWS clients: JSON Web Signatures (RFC 7515) with HS512, as the demo account's client signs them.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};

/// The key of the demo account's BWS client, in base64.
const DEMO_KEY: &str =
    "ZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYWNrLW9ubHktZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYQ==";

/// A token of the demo account that is valid for `seconds` from now.
///
/// # Panics
/// The system's clock is before 1970.
#[must_use]
pub fn demo_token(seconds: i64) -> String {
    token("demo", DEMO_KEY, seconds)
}

/// A token of `client`, signed with its base64 `key` and valid for `seconds` from now. The name must not need escaping
/// in JSON.
///
/// # Panics
/// The key is not base64, or the system's clock is before 1970.
#[must_use]
pub fn token(client: &str, key: &str, seconds: i64) -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970");
    let now = since_epoch.as_secs() as i64;
    let claims = format!(r#"{{"sub":"{client}","iss":"{client}","aud":"BWS","exp":{}}}"#, now + seconds);
    let [header, claims] =
        [r#"{"alg":"HS512","typ":"JWT"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode_to_string(part));
    let signed = format!("{header}.{claims}");
    let key = STANDARD.decode_to_vec(key).expect("a key in base64");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &key), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
}
