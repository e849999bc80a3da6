//! One signing key: its form in the key file, its signatures, and its public part.

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

use super::error::SignError;
use super::jwk::{Jwk, PublicKey, base64url};

/// Lifetime of a new certificate. Verifiers do not check it, but a certificate must have an end.
const CERTIFICATE_LIFETIME: Duration = Duration::days(20 * 365);

/// A key as the key file stores it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredKey {
    /// Time from which on the key signs. It is published earlier, so verifiers know it by then.
    #[serde(with = "time::serde::rfc3339", default = "epoch")]
    signs_from: OffsetDateTime,
    /// PEM of a PKCS #8 document.
    private_key: String,
    /// PEM of the key's certificate; certificates that lead to an authority may follow.
    certificate: String,
}

fn epoch() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH
}

impl StoredKey {
    /// A new key with a self-signed certificate.
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
        // Verifiers' clocks may be behind.
        params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        params.not_after = params.not_before + CERTIFICATE_LIFETIME;
        let certificate = params.self_signed(&pair)?.pem();
        // Whole seconds are easier to read.
        let signs_from = signs_from.replace_nanosecond(0).unwrap_or(signs_from);
        Ok(Self { signs_from, private_key: pair.serialize_pem(), certificate })
    }
}

enum SigningPair {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

/// Whether a JWS contains the payload that it signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Payload {
    /// It contains the payload: compact serialisation (RFC 7515, 7.1).
    Attached,
    /// It does not contain the payload: detached content (RFC 7515, appendix F).
    Detached,
}

/// A key that can sign.
pub(super) struct SigningKey {
    pair: SigningPair,
    signs_from: OffsetDateTime,
    /// Base64url of the JOSE header.
    header: String,
    jwk: Jwk,
    certificate: String,
}

impl TryFrom<&StoredKey> for SigningKey {
    type Error = &'static str;

    fn try_from(entry: &StoredKey) -> Result<Self, Self::Error> {
        let document = PrivatePkcs8KeyDer::from_pem_slice(entry.private_key.as_bytes())
            .map_err(|_| "a private key is not PEM of a PKCS #8 document")?;
        let (pair, public, spki) = key_pair(document.secret_pkcs8_der())
            .ok_or("a private key is neither one of P-256 nor an RSA key of 2048 to 8192 bits")?;
        let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(entry.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| "a certificate is not PEM")?;
        let own = chain.first().ok_or("a key has no certificate")?;
        // A certificate contains the SubjectPublicKeyInfo of its key byte for byte, and these bytes occur nowhere else in it.
        if !own.windows(spki.as_ref().len()).any(|window| window == spki.as_ref()) {
            return Err("a certificate belongs to another key");
        }

        let alg = match pair {
            SigningPair::Es256(_) => SigningAlgorithm::Es256,
            SigningPair::Rs256(_) => SigningAlgorithm::Rs256,
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

fn key_pair(pkcs8: &[u8]) -> Option<(SigningPair, PublicKey, PublicKeyX509Der<'static>)> {
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) {
        // The uncompressed point of SEC 1, 2.3.3: 4, x, y.
        let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
        let public = PublicKey::Ec { crv: "P-256", x: base64url(x), y: base64url(y) };
        let spki = pair.public_key().as_der().ok()?;
        return Some((SigningPair::Es256(Box::new(pair)), public, spki));
    }
    let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
    let key = pair.public_key();
    let public = PublicKey::Rsa {
        n: base64url(key.modulus().big_endian_without_leading_zero()),
        e: base64url(key.exponent().big_endian_without_leading_zero()),
    };
    let spki = key.as_der().ok()?;
    Some((SigningPair::Rs256(Box::new(pair)), public, spki))
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

    /// PEM of the certificate and those that follow it, with a final newline.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A JWS over `payload`, in compact serialisation.
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
            SigningPair::Es256(pair) => {
                Ok(pair.sign(&random, input).map_err(|_| SignError::Crypto)?.as_ref().to_vec())
            }
            SigningPair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature)
                    .map_err(|_| SignError::Crypto)?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(algorithm: SigningAlgorithm) -> StoredKey {
        StoredKey::generate(algorithm, OffsetDateTime::now_utc()).unwrap()
    }

    fn refused(entry: &StoredKey) -> &'static str {
        SigningKey::try_from(entry).err().unwrap()
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
        let mixed = StoredKey { certificate: two.certificate, ..one };
        assert_eq!(refused(&mixed), "a certificate belongs to another key");
        assert_eq!(refused(&StoredKey { certificate: String::new(), ..mixed }), "a key has no certificate");

        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let curve = StoredKey { private_key: other.serialize_pem(), ..entry(SigningAlgorithm::Es256) };
        assert!(refused(&curve).contains("P-256"));
        let text = StoredKey { private_key: "secret".into(), ..curve };
        assert!(refused(&text).contains("PKCS #8"));
    }
}
