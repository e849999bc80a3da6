//! The tokens of BWS clients: JSON Web Tokens (RFC 7519) under an HMAC.
//!
//! Written by hand instead of taken from a library: only one form of token with one purpose is accepted, and a feature
//! that is not implemented cannot be misused.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::caller::Caller;

/// The audience that tokens must name, in upper or lower case.
const AUDIENCE: &str = "BWS";
/// Tolerated difference between clocks, in seconds.
const CLOCK_LEEWAY: f64 = 60.0;
/// Longer tokens are refused without being parsed. Tokens of clients have a few hundred bytes.
const MAX_TOKEN_BYTES: usize = 8 << 10;

/// A key that signs the tokens of a BWS client.
#[derive(Clone)]
pub struct BwsKey {
    /// The secret of the HMAC.
    pub secret: Arc<[u8]>,
    /// The caller that a token with a signature of this key authenticates.
    pub caller: Caller,
}

/// The header of a token, which describes its signature.
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that a recipient must understand (RFC 7515, 4.1.11). None is supported.
    crit: Option<Value>,
}

/// The claims of a token about the client. The issuer (`iss`) is ignored: only the client has the key.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn is_ours(&self) -> bool {
        match self {
            Self::One(name) => name.eq_ignore_ascii_case(AUDIENCE),
            Self::Several(names) => names.iter().any(|name| name.eq_ignore_ascii_case(AUDIENCE)),
        }
    }
}

impl Claims {
    /// Whether the token is valid at `now`, in seconds since 1970.
    ///
    /// The expiry may be arbitrarily late. To end a token earlier, revoke its key.
    fn hold(&self, now: f64) -> bool {
        let has_begun = |moment: Option<f64>| moment.is_none_or(|moment| moment <= now + CLOCK_LEEWAY);
        self.aud.is_ours() && now < self.exp + CLOCK_LEEWAY && has_begun(self.nbf) && has_begun(self.iat)
    }
}

/// Returns the caller that the token authenticates at `now`, in seconds since 1970. `None` if any part of it is wrong.
///
/// `keys` returns the keys that may sign for a client. One of them must have signed the token.
pub(super) fn caller(token: &[u8], now: f64, keys: impl FnOnce(&str) -> Vec<BwsKey>) -> Option<Caller> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (signed, mac) = split_at_last_dot(token)?;
    let (header, claims) = split_at_last_dot(signed)?;
    let header: Header = part(header)?;
    // The token names its algorithm, but the service decides which are allowed. All of these use the key for an HMAC
    // only.
    let algorithm = match header.alg.as_str() {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => return None,
    };
    if header.crit.is_some() {
        return None;
    }
    let claims: Claims = part(claims)?;
    let mac = URL_SAFE_NO_PAD.decode_to_vec(mac).ok()?;
    let is_signed = |key: &BwsKey| {
        // In constant time.
        hmac::verify(&hmac::Key::new(algorithm, &key.secret), signed, &mac).is_ok()
    };
    let key = keys(&claims.sub).into_iter().find(is_signed)?;
    claims.hold(now).then_some(key.caller)
}

/// Splits a text into the part before its last dot and the part after it.
fn split_at_last_dot(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|byte| *byte == b'.')?;
    Some((&text[..at], &text[at + 1..]))
}

/// Decodes a part of the token. The derived code refuses a member that occurs twice.
fn part<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Option<T> {
    // A further dot is not valid base64.
    let json = URL_SAFE_NO_PAD.decode_to_vec(text).ok()?;
    // The derived code would also accept an array of the members' values.
    json.trim_ascii_start().first().filter(|first| **first == b'{')?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::accounts::demo_caller;

    const NOW: f64 = 1_800_000_000.0;
    const KEYS: [&[u8]; 2] = [b"the old key", &[7; 64]];

    fn keys(sub: &str) -> Vec<BwsKey> {
        let held = |secret: &[u8]| BwsKey {
            secret: secret.into(),
            caller: Caller { key_id: id(secret), ..demo_caller() },
        };
        if sub == "bank" { KEYS.map(held).into() } else { Vec::new() }
    }

    fn id(secret: &[u8]) -> Arc<str> {
        secret.len().to_string().into()
    }

    fn encoded(text: &str) -> String {
        URL_SAFE_NO_PAD.encode_to_string(text)
    }

    fn signed(algorithm: hmac::Algorithm, key: &[u8], header: &str, claims: &str) -> String {
        let text = format!("{}.{}", encoded(header), encoded(claims));
        let mac = hmac::sign(&hmac::Key::new(algorithm, key), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode_to_string(mac))
    }

    fn is_taken(token: &str) -> bool {
        caller(token.as_bytes(), NOW, keys).is_some()
    }

    /// A token with this header.
    fn with_header(header: &str) -> String {
        signed(hmac::HMAC_SHA256, KEYS[0], header, &good().to_string())
    }

    /// A token with these claims.
    fn with(claims: &Value) -> String {
        signed(hmac::HMAC_SHA256, KEYS[0], r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
    }

    fn good() -> Value {
        json!({"sub": "bank", "iss": "bank", "aud": "BWS", "exp": NOW + 600.0})
    }

    /// The valid claims with one of them replaced.
    fn but(name: &str, value: Value) -> Value {
        let mut claims = good();
        claims[name] = value;
        claims
    }

    #[test]
    fn each_hmac_of_each_active_key_is_taken_and_tells_the_key() {
        for (name, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            for key in KEYS {
                let header = format!(r#"{{"alg":"{name}","typ":"JWT"}}"#);
                let token = signed(algorithm, key, &header, &good().to_string());
                let found = caller(token.as_bytes(), NOW, keys).unwrap();
                assert_eq!(found.key_id, id(key), "{name}");
            }
        }
        let revoked = |sub: &str| keys(sub).split_off(1);
        assert!(caller(with(&good()).as_bytes(), NOW, revoked).is_none());
    }

    #[test]
    fn a_key_of_somebody_else_opens_nothing() {
        let other = signed(hmac::HMAC_SHA256, b"another key", r#"{"alg":"HS256"}"#, &good().to_string());
        assert!(!is_taken(&other));
        assert!(!is_taken(&with(&but("sub", json!("shop")))), "a client without keys");
        let empty = signed(hmac::HMAC_SHA256, b"", r#"{"alg":"HS256"}"#, &good().to_string());
        assert!(!is_taken(&empty));
    }

    #[test]
    fn no_other_algorithm_is_taken_whatever_signs() {
        assert!(is_taken(&with_header(r#"{"alg":"HS256"}"#)));
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"NONE"}"#,
            r#"{"alg":""}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"ES256"}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"alg":null}"#,
            r#"{"typ":"JWT"}"#,
            r#"{"alg":"none","alg":"HS256"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            r#"["HS256",null]"#,
            "",
        ] {
            assert!(!is_taken(&with_header(header)), "{header}");
            let unsigned = with_header(header);
            assert!(!is_taken(&unsigned[..=unsigned.rfind('.').unwrap()]), "{header} without a signature");
        }
    }

    #[test]
    fn a_token_is_for_this_service() {
        for aud in [json!("BWS"), json!("bws"), json!(["x", "Bws"]), json!(["BWS"])] {
            assert!(is_taken(&with(&but("aud", aud.clone()))), "{aud}");
        }
        for aud in
            [json!("BWS2"), json!(""), json!([]), json!(["x"]), json!(null), json!(7), json!({"BWS": 1})]
        {
            assert!(!is_taken(&with(&but("aud", aud.clone()))), "{aud}");
        }
    }

    #[test]
    fn a_token_has_its_time_give_or_take_a_minute() {
        let at = |name, moment: f64| is_taken(&with(&but(name, json!(moment))));
        assert!(at("exp", NOW - 59.0) && !at("exp", NOW - 60.0) && !at("exp", NOW - 1e6));
        assert!(at("exp", NOW + 1e12), "an end may be far away");
        for name in ["nbf", "iat"] {
            assert!(at(name, NOW - 1e6) && at(name, NOW + 60.0), "{name}");
            assert!(!at(name, NOW + 61.0) && !at(name, NOW + 1e12), "{name}");
        }
        assert!(at("exp", NOW + 0.5), "a part of a second is fine");
    }

    #[test]
    fn claims_that_are_missing_ill_typed_or_there_twice_are_refused() {
        for name in ["sub", "aud", "exp"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(name);
            assert!(!is_taken(&with(&claims)), "without {name}");
        }
        for (name, value) in [
            ("sub", json!(7)),
            ("exp", json!("1800000600")),
            ("exp", json!(null)),
            ("exp", json!([NOW])),
            ("nbf", json!("soon")),
            ("iat", json!({})),
        ] {
            assert!(!is_taken(&with(&but(name, value.clone()))), "{name}: {value}");
        }
        let header = r#"{"alg":"HS256"}"#;
        for twice in [
            r#"{"sub":"shop","sub":"bank","aud":"BWS","exp":1800000600}"#,
            r#"{"sub":"bank","aud":"BWS","exp":1,"exp":1800000600}"#,
            r#"{"sub":"bank","aud":"BWS","exp":1e999}"#,
            r#"["bank","BWS",1800000600,null,null]"#,
            r#"{"sub":"bank","aud":"BWS","exp":1800000600}x"#,
        ] {
            assert!(!is_taken(&signed(hmac::HMAC_SHA256, KEYS[0], header, twice)), "{twice}");
        }
    }

    #[test]
    fn what_is_no_token_is_nobodys() {
        let good = with(&good());
        assert!(is_taken(&good));
        let (signed, mac) = good.rsplit_once('.').unwrap();
        for text in [
            String::new(),
            ".".into(),
            "..".into(),
            "...".into(),
            signed.to_owned(),
            format!("{signed}."),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}="),
            format!("{good}.{mac}"),
            format!("{signed}.{}", &mac[..mac.len() - 4]),
            format!("{signed}!.{mac}"),
            good.replace('.', ","),
            format!("\u{e9}{good}"),
        ] {
            assert!(!is_taken(&text), "{text}");
        }
        for at in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
            assert!(caller(&changed, NOW, keys).is_none(), "at {at}");
        }
    }

    #[test]
    fn a_huge_token_is_not_looked_at() {
        let padded = |length: usize| with(&but("padding", json!("x".repeat(length))));
        let fits = padded(5000);
        assert!(fits.len() < MAX_TOKEN_BYTES && is_taken(&fits));
        let huge = padded(8000);
        assert!(huge.len() > MAX_TOKEN_BYTES && !is_taken(&huge));
    }
}
