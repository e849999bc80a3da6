//! The header of a JWE.

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::replay::certificate::Point;
use crate::replay::json_object::JsonObject;

/// `alg` (RFC 7518, 4.6).
pub(super) const ALGORITHM: &str = "ECDH-ES+A256KW";
/// `enc` (RFC 7518, 5.3).
const ENCRYPTION: &str = "A256GCM";

/// The header as it is written. It has these members and no others.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Members<K> {
    alg: String,
    enc: String,
    kid: String,
    epk: K,
}

/// The ephemeral public key (RFC 7518, 4.6.1.1), with these members and no others.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EphemeralKey {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

/// Content of a header.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// The recipient's key.
    pub(super) key_id: String,
    /// The ephemeral public key. The key agreement checks whether it is on the curve.
    pub(super) ephemeral: Point,
}

impl Header {
    /// Reads JSON; `None` for anything else than a header of this format.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let JsonObject(members): JsonObject<Members<JsonObject<EphemeralKey>>> =
            serde_json::from_slice(json).ok()?;
        let Members { alg, enc, kid, epk: JsonObject(EphemeralKey { kty, crv, x, y }) } = members;
        if alg != ALGORITHM || enc != ENCRYPTION || kty != "EC" || crv != "P-256" {
            return None;
        }
        let mut ephemeral = [4; 65];
        ephemeral[1..33].copy_from_slice(&coordinate(&x)?);
        ephemeral[33..].copy_from_slice(&coordinate(&y)?);
        Some(Self { key_id: kid, ephemeral })
    }

    /// The header as JSON.
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let text = |coordinate: &[u8]| URL_SAFE_NO_PAD.encode_to_string(coordinate);
        serde_json::to_vec(&Members {
            alg: ALGORITHM.into(),
            enc: ENCRYPTION.into(),
            kid: self.key_id.clone(),
            epk: EphemeralKey {
                kty: "EC".into(),
                crv: "P-256".into(),
                x: text(&self.ephemeral[1..33]),
                y: text(&self.ephemeral[33..]),
            },
        })
    }
}

/// Decodes a coordinate, which must have its full length (RFC 7518, 6.2.1.2).
fn coordinate(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn valid() -> Value {
        let coordinate = |byte: u8| URL_SAFE_NO_PAD.encode_to_string([byte; 32]);
        json!({
            "alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "k",
            "epk": {"kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(2)},
        })
    }

    fn parsed(json: &Value) -> Option<Header> {
        Header::parse(json.to_string().as_bytes())
    }

    #[test]
    fn a_header_comes_back() {
        let header = parsed(&valid()).unwrap();
        assert_eq!((header.key_id.as_str(), header.ephemeral[..2].to_vec()), ("k", vec![4, 1]));
        assert_eq!(Header::parse(&header.to_json().unwrap()), Some(header));
    }

    #[test]
    fn every_other_header_is_refused() {
        for (pointer, value) in [
            ("/alg", json!("ECDH-ES")),
            ("/alg", json!("ECDH-ES+A128KW")),
            ("/alg", json!("RSA-OAEP-256")),
            ("/alg", json!("dir")),
            ("/alg", json!("ecdh-es+a256kw")),
            ("/alg", json!(null)),
            ("/enc", json!("A128GCM")),
            ("/enc", json!("A256CBC-HS512")),
            ("/kid", json!(1)),
            ("/epk", json!("x")),
            ("/epk", json!(["EC", "P-256", "x", "y"])),
            ("/epk/kty", json!("OKP")),
            ("/epk/crv", json!("P-384")),
            ("/epk/crv", json!("P-256K")),
            ("/epk/x", json!("AQ")),
            ("/epk/x", json!(URL_SAFE_NO_PAD.encode_to_string([1; 33]))),
            ("/epk/x", json!(URL_SAFE_NO_PAD.encode_to_string([1; 31]))),
            ("/epk/y", json!(format!("{}=", URL_SAFE_NO_PAD.encode_to_string([1; 32])))),
            ("/epk/y", json!(format!(" {}", URL_SAFE_NO_PAD.encode_to_string([1; 32])))),
        ] {
            let mut header = valid();
            *header.pointer_mut(pointer).unwrap() = value.clone();
            assert_eq!(parsed(&header), None, "{pointer}: {value}");
        }
        for member in
            ["zip", "crit", "jku", "jwk", "x5u", "x5c", "x5t", "apu", "apv", "typ", "cty", "p2c", "iv"]
        {
            let mut header = valid();
            header[member] = json!("DEF");
            assert_eq!(parsed(&header), None, "{member}");
        }
        for member in ["d", "kid", "use", "alg"] {
            let mut header = valid();
            header["epk"][member] = json!("x");
            assert_eq!(parsed(&header), None, "epk.{member}");
        }
        for member in ["alg", "enc", "kid", "epk"] {
            let mut header = valid();
            header.as_object_mut().unwrap().remove(member);
            assert_eq!(parsed(&header), None, "without {member}");
        }
    }

    #[test]
    fn members_occur_once_and_nothing_surrounds_the_object() {
        let text = valid().to_string();
        assert!(Header::parse(text.as_bytes()).is_some());
        for member in [r#""alg":"ECDH-ES+A256KW""#, r#""kid":"k""#, r#""kid":"other""#, r#""enc":"A256GCM""#]
        {
            let doubled = text.replacen('{', &format!("{{{member},"), 1);
            assert_eq!(Header::parse(doubled.as_bytes()), None, "{doubled}");
        }
        let doubled = text.replacen(r#""kty":"EC""#, r#""kty":"EC","kty":"EC""#, 1);
        assert_eq!(Header::parse(doubled.as_bytes()), None);
        let epk = valid()["epk"].to_string();
        let as_array = format!(r#"["ECDH-ES+A256KW","A256GCM","k",{epk}]"#);
        for text in
            [as_array, format!("{text}x"), format!("{text}{text}"), String::new(), "{}".into(), "null".into()]
        {
            assert_eq!(Header::parse(text.as_bytes()), None, "{text}");
        }
    }
}
