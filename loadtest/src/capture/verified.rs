//! Verifies signed answers with keys that the client knows beforehand.

use anyhow::Context as _;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Public keys of the service's signatures (JWK, RFC 7517).
#[derive(Clone, Debug)]
pub struct PinnedKeys(Vec<Jwk>);

#[derive(Clone, Debug, Deserialize)]
struct Jwk {
    kid: Option<String>,
    #[serde(flatten)]
    public: PublicKey,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kty")]
enum PublicKey {
    #[serde(rename = "EC")]
    Ec { x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JwkOrSet {
    Set { keys: Vec<Jwk> },
    One(Jwk),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

impl PinnedKeys {
    /// Reads a JWK, or a JWK set.
    ///
    /// # Errors
    /// The JSON is neither.
    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let parsed: JwkOrSet = serde_json::from_slice(json).context("no JWK and no JWK set")?;
        Ok(Self(match parsed {
            JwkOrSet::Set { keys } => keys,
            JwkOrSet::One(key) => vec![key],
        }))
    }

    /// The payload of a signed JSON object, `{…,"signature":"…"}`: the object without its signature. The signature
    /// may be detached.
    ///
    /// # Errors
    /// The answer has no signature, none of the keys has made it, or it is for another object.
    pub fn verified(&self, answer: &str) -> anyhow::Result<Vec<u8>> {
        let (object, signature) =
            answer.rsplit_once(r#""signature":""#).context("the answer is not signed")?;
        let jws = signature.strip_suffix(r#""}"#).context("the signature is not the last member")?;
        let payload = format!("{}}}", object.strip_suffix(',').unwrap_or(object));
        let [header, attached, signature] = jws.split('.').collect::<Vec<_>>()[..] else {
            anyhow::bail!("the signature is no JWS");
        };
        let encoded = URL_SAFE_NO_PAD.encode_to_string(&payload);
        anyhow::ensure!(attached.is_empty() || attached == encoded, "the signature is for another object");
        let Header { alg, kid } = serde_json::from_slice(&decoded(header)?)?;
        let is_named = |key: &&Jwk| key.kid.as_ref().is_none_or(|known| *known == kid);
        let key = self.0.iter().find(is_named).with_context(|| format!("no known key has the id {kid}"))?;
        let signed = format!("{header}.{encoded}");
        key.public.verify(&alg, signed.as_bytes(), &decoded(signature)?)?;
        Ok(payload.into_bytes())
    }
}

impl PublicKey {
    /// Verifies a signature. The key determines the algorithm, and the header's `alg` must agree.
    fn verify(&self, alg: &str, signed: &[u8], signature: &[u8]) -> anyhow::Result<()> {
        let wrong = |_| anyhow::anyhow!("the signature is wrong");
        match self {
            Self::Ec { x, y } => {
                anyhow::ensure!(alg == "ES256", "the key is not for {alg}");
                let point = [vec![4], decoded(x)?, decoded(y)?].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(signed, signature)
                    .map_err(wrong)
            }
            Self::Rsa { n, e } => {
                anyhow::ensure!(alg == "RS256", "the key is not for {alg}");
                let key = RsaPublicKeyComponents { n: decoded(n)?, e: decoded(e)? };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).map_err(wrong)
            }
        }
    }
}

fn decoded(text: &str) -> anyhow::Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).context("no base64url")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    fn base64url(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode_to_string(bytes)
    }

    fn pair() -> (EcdsaKeyPair, PinnedKeys) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "kid": "k", "x": base64url(&point[1..33]), "y": base64url(&point[33..]),
        });
        (pair, PinnedKeys::parse(jwk.to_string().as_bytes()).unwrap())
    }

    fn signed(pair: &EcdsaKeyPair, payload: &str, detached: bool) -> String {
        let header = base64url(br#"{"alg":"ES256","kid":"k"}"#);
        let encoded = base64url(payload.as_bytes());
        let input = format!("{header}.{encoded}");
        let signature = base64url(pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap().as_ref());
        let attached = if detached { "" } else { &encoded };
        format!(r#"{},"signature":"{header}.{attached}.{signature}"}}"#, &payload[..payload.len() - 1])
    }

    #[test]
    fn what_the_pinned_key_has_signed_is_the_payload() {
        let (pair, keys) = pair();
        let payload = r#"{"id":"a","seed":7}"#;
        for detached in [false, true] {
            let answer = signed(&pair, payload, detached);
            assert_eq!(keys.verified(&answer).unwrap(), payload.as_bytes());
            assert!(keys.verified(&answer.replace(":7", ":8")).is_err());
            assert!(keys.verified(&answer.replacen('{', "{\"x\":1,", 1)).is_err());
        }
        assert!(keys.verified(payload).is_err());
    }

    #[test]
    fn other_keys_are_not_believed() {
        let ((other, _), (_, keys)) = (pair(), pair());
        assert!(keys.verified(&signed(&other, r#"{"id":"a"}"#, false)).is_err());
        assert!(keys.verified(r#"{"id":"a","signature":"eyJhbGciOiJub25lIiwia2lkIjoiayJ9.."}"#).is_err());
        assert!(PinnedKeys::parse(b"{}").is_err());
    }
}
