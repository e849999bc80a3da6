//! A private key and its certificate, for which devices encrypt.

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};

use super::certificate::{public_point, thumbprint};

/// Reason why a key cannot receive uploads.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecipientError {
    /// The private key is no PKCS #8 document with a key of P-256.
    #[error("the private key is no PKCS #8 document with a key of P-256")]
    PrivateKey,
    /// The certificate is no X.509 certificate with a key of P-256.
    #[error("the certificate is no X.509 certificate with a key of P-256")]
    Certificate,
    /// The certificate has another key.
    #[error("the certificate belongs to another key")]
    OtherKey,
}

/// A private key of P-256 with its certificate.
pub struct RecipientKey {
    private: PrivateKey,
    certificate: Vec<u8>,
    id: String,
}

impl RecipientKey {
    /// Creates a key from its PKCS #8 document and its certificate, both DER.
    ///
    /// # Errors
    /// [`RecipientError`].
    pub fn new(pkcs8: &[u8], certificate: Vec<u8>) -> Result<Self, RecipientError> {
        let private =
            PrivateKey::from_private_key_der(&ECDH_P256, pkcs8).map_err(|_| RecipientError::PrivateKey)?;
        let public = private.compute_public_key().map_err(|_| RecipientError::PrivateKey)?;
        let point = public_point(&certificate).ok_or(RecipientError::Certificate)?;
        if public.as_ref() != point {
            return Err(RecipientError::OtherKey);
        }
        let id = thumbprint(&certificate);
        Ok(Self { private, certificate, id })
    }

    /// The key's name, `kid`: the thumbprint of its certificate.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The certificate, as DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) fn private(&self) -> &PrivateKey {
        &self.private
    }
}

impl fmt::Debug for RecipientKey {
    /// Leaves the private key out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RecipientKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

    use super::*;

    fn certificate(pair: &KeyPair) -> Vec<u8> {
        CertificateParams::default().self_signed(pair).unwrap().der().to_vec()
    }

    #[test]
    fn a_key_and_its_certificate_must_belong_together() {
        let (pair, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let key = RecipientKey::new(pair.serialized_der(), certificate(&pair)).unwrap();
        assert_eq!(key.id(), thumbprint(key.certificate()));
        assert_eq!(format!("{key:?}"), format!("RecipientKey({})", key.id()));
        let error = |pkcs8: &[u8], certificate| RecipientKey::new(pkcs8, certificate).err();
        assert_eq!(error(other.serialized_der(), certificate(&pair)), Some(RecipientError::OtherKey));
        assert_eq!(error(b"no key", certificate(&pair)), Some(RecipientError::PrivateKey));
        assert_eq!(error(pair.serialized_der(), vec![]), Some(RecipientError::Certificate));
        let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(error(p384.serialized_der(), certificate(&pair)), Some(RecipientError::PrivateKey));
    }
}
