//! A key for uploads as its file stores it.

use faceline_shared::replay::recipient::RecipientKey;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Lifetime of a new certificate. Devices need not check it, but a certificate must have an end.
const CERTIFICATE_LIFETIME: Duration = Duration::days(20 * 365);

/// A key as the file stores it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredKey {
    /// Time from which on devices get the key's certificate. Every gateway has the key by then.
    #[serde(with = "time::serde::rfc3339", default = "epoch")]
    pub(super) offered_from: OffsetDateTime,
    /// PEM of a PKCS #8 document.
    private_key: String,
    /// PEM of the key's certificate.
    certificate: String,
}

fn epoch() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH
}

impl StoredKey {
    /// A new key with a self-signed certificate.
    pub(super) fn generate(offered_from: OffsetDateTime) -> Result<Self, rcgen::Error> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Faceline uploads");
        params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
        // Devices' clocks may be behind.
        params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        params.not_after = params.not_before + CERTIFICATE_LIFETIME;
        let certificate = params.self_signed(&pair)?.pem();
        // Whole seconds are easier to read.
        let offered_from = offered_from.replace_nanosecond(0).unwrap_or(offered_from);
        Ok(Self { offered_from, private_key: pair.serialize_pem(), certificate })
    }

    /// The key, ready for use.
    ///
    /// # Errors
    /// The reason why the key cannot be used. It does not contain the key's text.
    pub(super) fn key(&self) -> Result<RecipientKey, String> {
        let document = PrivatePkcs8KeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|_| "a private key is not PEM of a PKCS #8 document")?;
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|_| "a certificate is not PEM")?;
        RecipientKey::new(document.secret_pkcs8_der(), certificate.to_vec())
            .map_err(|error| error.to_string())
    }
}
