//! Public keys, as verifiers get them.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;
use faceline_shared::settings::SigningAlgorithm;
use serde::Serialize;
use utoipa::ToSchema;

/// How long verifiers and caches may keep the published keys.
pub const MAX_AGE: Duration = Duration::from_secs(300);

/// The public keys (RFC 7517).
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwkSet<'a> {
    /// The current signing key, the next one and previous ones.
    #[schema(value_type = Vec<Jwk>)]
    pub(super) keys: Vec<&'a Jwk>,
}

/// A public key (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(super) struct Jwk {
    #[serde(flatten)]
    pub(super) public: PublicKey,
    /// The key's use: `sig`.
    pub(super) r#use: &'static str,
    /// The signature algorithm: ES256 or RS256.
    #[schema(value_type = String, pattern = "^[ER]S256$")]
    pub(super) alg: SigningAlgorithm,
    /// The key's id, which the header of each signature names.
    pub(super) kid: String,
    /// The certificate chain in base64 of DER; the key's own certificate is the first.
    pub(super) x5c: Vec<String>,
    /// SHA-256 of the key's own certificate, in base64url.
    #[serde(rename = "x5t#S256")]
    pub(super) certificate_thumbprint: String,
}

/// The parameters of the public key (RFC 7518, sections 6.2.1 and 6.3.1).
#[derive(Serialize, ToSchema)]
#[schema(as = Public)]
#[serde(tag = "kty")]
pub(super) enum PublicKey {
    #[serde(rename = "EC")]
    Ec { crv: &'static str, x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl PublicKey {
    /// The thumbprint of RFC 7638: the hash of the required members in alphabetical order.
    pub(super) fn thumbprint(&self) -> String {
        let members = match self {
            Self::Ec { crv, x, y } => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        base64url(digest(&SHA256, members.as_bytes()).as_ref())
    }
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 7638, 3.1.
        let public = PublicKey::Rsa {
            n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7\
                d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-\
                csFCur-kEgU8awapJzKnqDKgw"
                .into(),
            e: "AQAB".into(),
        };
        assert_eq!(public.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
