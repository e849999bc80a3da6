//! One key: how it signs, and what others are told of it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use faceline_shared::settings::SigningAlgorithm;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    RsaKeySize,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::SignError;

/// Verifiers do not ask for it, but a certificate has to have an end.
const CERTIFICATE_LIFETIME: Duration = Duration::days(20 * 365);

/// A key as it stands in the key file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEntry {
    /// It is published before, so that verifiers know it by then.
    #[serde(with = "time::serde::rfc3339", default = "always")]
    signs_from: OffsetDateTime,
    /// PEM of a PKCS #8 document.
    private_key: String,
    /// PEM; others that lead to a certificate authority may follow the key's own.
    certificate: String,
}

fn always() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH
}

impl KeyEntry {
    /// A new key with a certificate that it has signed itself.
    pub(super) fn generate(
        algorithm: SigningAlgorithm,
        signs_from: OffsetDateTime,
    ) -> Result<Self, rcgen::Error> {
        let pair = match algorithm {
            SigningAlgorithm::Es256 => rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            SigningAlgorithm::Rs256 => rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        }?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Faceline answers");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Clocks of verifiers may be behind.
        params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        params.not_after = params.not_before + CERTIFICATE_LIFETIME;
        let certificate = params.self_signed(&pair)?.pem();
        // Whole seconds, which are easier to read.
        let signs_from = signs_from.replace_nanosecond(0).unwrap_or(signs_from);
        Ok(Self { signs_from, private_key: pair.serialize_pem(), certificate })
    }
}

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

/// Whether a signature brings what it signs along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Payload {
    /// RFC 7515, 7.1.
    Attached,
    /// RFC 7515, appendix F.
    Detached,
}

/// A key that can sign.
pub(super) struct SigningKey {
    pair: Pair,
    signs_from: OffsetDateTime,
    /// Base64url of the JOSE header.
    header: String,
    jwk: Jwk,
    certificate: String,
}

/// A public key (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(super) struct Jwk {
    #[serde(flatten)]
    public: Public,
    /// What it is for: `sig`.
    r#use: &'static str,
    /// What it signs with: ES256 or RS256.
    #[schema(value_type = String, pattern = "^[ER]S256$")]
    alg: SigningAlgorithm,
    /// Its name, which signatures have in their header.
    kid: String,
    /// Its certificate, and others that lead to an authority.
    x5c: Vec<String>,
    /// Thumbprint of the certificate.
    #[serde(rename = "x5t#S256")]
    certificate_thumbprint: String,
}

/// Members by RFC 7518, 6.2.1 and 6.3.1.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kty")]
enum Public {
    #[serde(rename = "EC")]
    Ec { crv: &'static str, x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl Public {
    /// RFC 7638: the required members in the order of the alphabet, hashed.
    fn thumbprint(&self) -> String {
        let members = match self {
            Self::Ec { crv, x, y } => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        base64url(digest(&SHA256, members.as_bytes()).as_ref())
    }
}

impl TryFrom<&KeyEntry> for SigningKey {
    type Error = &'static str;

    fn try_from(entry: &KeyEntry) -> Result<Self, Self::Error> {
        let document = PrivatePkcs8KeyDer::from_pem_slice(entry.private_key.as_bytes())
            .map_err(|_| "a private key is not PEM of a PKCS #8 document")?;
        let (pair, public, spki) = key_pair(document.secret_pkcs8_der())
            .ok_or("a private key is neither one of P-256 nor an RSA key of 2048 to 8192 bits")?;
        let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(entry.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| "a certificate is not PEM")?;
        let own = chain.first().ok_or("a key has no certificate")?;
        // A certificate holds its key's SubjectPublicKeyInfo as it is, and no other place for these bytes.
        if !own.windows(spki.as_ref().len()).any(|window| window == spki.as_ref()) {
            return Err("a certificate belongs to another key");
        }

        let alg = match pair {
            Pair::Es256(_) => SigningAlgorithm::Es256,
            Pair::Rs256(_) => SigningAlgorithm::Rs256,
        };
        let kid = public.thumbprint();
        let header = base64url(format!(r#"{{"alg":"{}","kid":"{kid}"}}"#, alg.as_str()).as_bytes());
        let jwk = Jwk {
            public,
            r#use: "sig",
            alg,
            kid,
            x5c: chain.iter().map(|certificate| STANDARD.encode_to_string(certificate)).collect(),
            certificate_thumbprint: base64url(digest(&SHA256, own).as_ref()),
        };
        let certificate = format!("{}\n", entry.certificate.trim());
        Ok(Self { pair, signs_from: entry.signs_from, header, jwk, certificate })
    }
}

fn key_pair(pkcs8: &[u8]) -> Option<(Pair, Public, PublicKeyX509Der<'static>)> {
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) {
        // The uncompressed point of SEC 1, 2.3.3: 4, x, y.
        let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
        let public = Public::Ec { crv: "P-256", x: base64url(x), y: base64url(y) };
        let spki = pair.public_key().as_der().ok()?;
        return Some((Pair::Es256(Box::new(pair)), public, spki));
    }
    let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
    let key = pair.public_key();
    let public = Public::Rsa {
        n: base64url(key.modulus().big_endian_without_leading_zero()),
        e: base64url(key.exponent().big_endian_without_leading_zero()),
    };
    let spki = key.as_der().ok()?;
    Some((Pair::Rs256(Box::new(pair)), public, spki))
}

impl SigningKey {
    pub(super) fn algorithm(&self) -> SigningAlgorithm {
        self.jwk.alg
    }

    pub(super) fn kid(&self) -> &str {
        &self.jwk.kid
    }

    pub(super) fn signs_from(&self) -> OffsetDateTime {
        self.signs_from
    }

    pub(super) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// PEM, with a line's end.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The compact serialisation of a signature over `payload`.
    pub(super) fn jws(&self, payload: &[u8], form: Payload) -> Result<String, SignError> {
        let mut jws = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 400);
        jws.push_str(&self.header);
        jws.push('.');
        URL_SAFE_NO_PAD.encode_append(payload, &mut jws);
        let signature = self.signature(jws.as_bytes())?;
        if form == Payload::Detached {
            jws.truncate(self.header.len() + 1);
        }
        jws.push('.');
        URL_SAFE_NO_PAD.encode_append(&signature, &mut jws);
        Ok(jws)
    }

    fn signature(&self, input: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => {
                Ok(pair.sign(&random, input).map_err(|_| SignError::Crypto)?.as_ref().to_vec())
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature)
                    .map_err(|_| SignError::Crypto)?;
                Ok(signature)
            }
        }
    }
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(algorithm: SigningAlgorithm) -> KeyEntry {
        KeyEntry::generate(algorithm, OffsetDateTime::now_utc()).unwrap()
    }

    fn refused(entry: &KeyEntry) -> &'static str {
        SigningKey::try_from(entry).err().unwrap()
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 7638, 3.1.
        let public = Public::Rsa {
            n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7\
                d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-\
                csFCur-kEgU8awapJzKnqDKgw"
                .into(),
            e: "AQAB".into(),
        };
        assert_eq!(public.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn only_public_members_are_shown() {
        let shown = |algorithm| {
            let key = SigningKey::try_from(&entry(algorithm)).unwrap();
            let jwk = serde_json::to_value(key.jwk()).unwrap();
            jwk.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(SigningAlgorithm::Es256), "alg crv kid kty use x x5c x5t#S256 y");
        assert_eq!(shown(SigningAlgorithm::Rs256), "alg e kid kty n use x5c x5t#S256");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let (one, two) = (entry(SigningAlgorithm::Es256), entry(SigningAlgorithm::Es256));
        let mixed = KeyEntry { certificate: two.certificate, ..one };
        assert_eq!(refused(&mixed), "a certificate belongs to another key");
        assert_eq!(refused(&KeyEntry { certificate: String::new(), ..mixed }), "a key has no certificate");

        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let curve = KeyEntry { private_key: other.serialize_pem(), ..entry(SigningAlgorithm::Es256) };
        assert!(refused(&curve).contains("P-256"));
        let text = KeyEntry { private_key: "secret".into(), ..curve };
        assert!(refused(&text).contains("PKCS #8"));
    }
}
