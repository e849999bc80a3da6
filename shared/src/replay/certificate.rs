//! Certificates of the keys that devices encrypt for.

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// An uncompressed point of P-256 (SEC 1, 2.3.3): 4, x, y.
pub type Point = [u8; 65];

/// The bytes before the point in the `SubjectPublicKeyInfo` of a key of P-256 (RFC 5480): the two lengths, the
/// algorithm `id-ecPublicKey` with the curve `secp256r1`, and the head of the bit string.
const P256_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The name of a certificate, given as DER: base64url of its SHA-256 (`x5t#S256` of RFC 7515, 4.1.8).
#[must_use]
pub fn thumbprint(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, certificate).as_ref())
}

/// The public key of a certificate, given as DER; `None` if that is no certificate, or its key is not of P-256.
///
/// A device trusts a certificate because the signed parameters name it. Neither its issuer nor its times matter.
#[must_use]
pub fn public_point(certificate: &[u8]) -> Option<Point> {
    let certificate = CertificateDer::from(certificate);
    let key_info = EndEntityCert::try_from(&certificate).ok()?.subject_public_key_info();
    key_info.as_ref().strip_prefix(&P256_KEY_INFO)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData as _};

    use super::*;

    fn certificate(pair: &KeyPair) -> Vec<u8> {
        CertificateParams::default().self_signed(pair).unwrap().der().to_vec()
    }

    #[test]
    fn the_point_is_that_of_the_key() {
        let pair = KeyPair::generate().unwrap();
        let point = public_point(&certificate(&pair)).unwrap();
        assert_eq!(pair.der_bytes(), point);
    }

    #[test]
    fn other_curves_and_bytes_that_are_no_certificate_have_none() {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(public_point(&certificate(&pair)), None);
        assert_eq!(public_point(b"no certificate"), None);
        let mut cut = certificate(&KeyPair::generate().unwrap());
        cut.pop();
        assert_eq!(public_point(&cut), None);
    }
}
