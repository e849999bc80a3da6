//! The key that wraps a content key: elliptic-curve Diffie-Hellman and the Concat KDF (RFC 7518, 4.6).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::digest::{Context, SHA256};

use super::header::ALGORITHM;
use crate::replay::certificate::Point;

/// The key of A256KW.
pub(super) type WrappingKey = [u8; 32];

/// The wrapping key that `private` and the owner of `public` share; `None` if `public` is not on the curve, or is the
/// point at infinity.
pub(super) fn wrapping_key(private: &PrivateKey, public: &Point) -> Option<WrappingKey> {
    let public = UnparsedPublicKey::new(&ECDH_P256, public);
    let derive = |secret: &[u8]| {
        let mut key = [0; 32];
        concat_kdf(secret, ALGORITHM, b"", b"", &mut key);
        Ok(key)
    };
    agree(private, public, (), derive).ok()
}

/// One round of the Concat KDF with SHA-256 (NIST SP 800-56A, 5.8.1), as RFC 7518 (4.6.2) uses it. `key` has at most 32 bytes.
fn concat_kdf(secret: &[u8], algorithm: &str, party_u: &[u8], party_v: &[u8], key: &mut [u8]) {
    let mut context = Context::new(&SHA256);
    let round: u32 = 1;
    context.update(&round.to_be_bytes());
    context.update(secret);
    for input in [algorithm.as_bytes(), party_u, party_v] {
        context.update(&(input.len() as u32).to_be_bytes());
        context.update(input);
    }
    context.update(&(key.len() as u32 * 8).to_be_bytes());
    let length = key.len();
    key.copy_from_slice(&context.finish().as_ref()[..length]);
}

#[cfg(test)]
mod tests {
    use base64_simd::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
    }

    fn point(x: &str, y: &str) -> Point {
        [vec![4], bytes(x), bytes(y)].concat().try_into().unwrap()
    }

    /// The keys of RFC 7518, appendix C.
    fn rfc_keys() -> [(PrivateKey, Point); 2] {
        let alice = (
            "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
            point(
                "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
                "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
            ),
        );
        let bob = (
            "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
            point(
                "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
                "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
            ),
        );
        [alice, bob].map(|(private, public)| {
            (PrivateKey::from_private_key(&ECDH_P256, &bytes(private)).unwrap(), public)
        })
    }

    #[test]
    fn the_derived_key_is_that_of_the_rfc() {
        let [(alice, alice_point), (bob, bob_point)] = rfc_keys();
        for (private, public) in [(alice, bob_point), (bob, alice_point)] {
            let public = UnparsedPublicKey::new(&ECDH_P256, public);
            let derived = agree(&private, public, (), |secret| {
                let mut key = [0; 16];
                concat_kdf(secret, "A128GCM", b"Alice", b"Bob", &mut key);
                Ok(key)
            });
            assert_eq!(URL_SAFE_NO_PAD.encode_to_string(derived.unwrap()), "VqqN6vgjbSBcIijNcacQGg");
        }
    }

    #[test]
    fn both_sides_derive_one_key() {
        let [(alice, alice_point), (bob, bob_point)] = rfc_keys();
        let key = wrapping_key(&alice, &bob_point).unwrap();
        assert_eq!(wrapping_key(&bob, &alice_point), Some(key));
    }

    #[test]
    fn points_that_are_not_on_the_curve_have_no_key() {
        let [(alice, _), (_, mut off_curve)] = rfc_keys();
        off_curve[64] ^= 1;
        let mut zero = [0; 65];
        zero[0] = 4;
        let mut beyond_the_field = [0xff; 65];
        beyond_the_field[0] = 4;
        // (0, y) with y² = b for the curve with b + 1 instead of b is a usual invalid-curve point.
        let mut one = zero;
        one[64] = 1;
        for point in [off_curve, zero, beyond_the_field, one] {
            assert_eq!(wrapping_key(&alice, &point), None);
        }
    }
}
