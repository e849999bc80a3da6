//! The encryption of an upload's metadata: a JWE in compact serialisation (RFC 7516).
//!
//! Exactly one set of algorithms is accepted: `alg` ECDH-ES+A256KW with P-256, `enc` A256GCM. The header has the
//! members `alg`, `enc`, `kid` (the thumbprint of the recipient's certificate) and `epk` (`kty`, `crv`, `x`, `y`), each
//! once, and no others. The parts are base64url without padding.
//!
//! A sender learns only that a text does not open: each failure is the same error, and takes the same steps, with a
//! substitute for each missing part (RFC 7516, 11.5).

mod header;
mod key_derivation;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;

use self::header::Header;
use self::key_derivation::{WrappingKey, wrapping_key};
use super::certificate::{Point, public_point, thumbprint};
use super::recipient::RecipientKey;

/// Bytes of the longest JWE.
pub const MAX_JWE_BYTES: usize = 16 << 10;
/// Bytes of a wrapped key of 32 bytes (RFC 3394).
const WRAPPED_KEY_BYTES: usize = 40;
const TAG_BYTES: usize = 16;

/// The text does not open: it is no JWE of this format, is for another key, or was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the JWE does not open")]
pub struct JweError;

/// Reason why something cannot be encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JweSealError {
    /// The certificate is none, or its key is not of P-256.
    #[error("the recipient's certificate has no key of P-256")]
    Certificate,
    /// The cryptographic library or the system's random number generator failed.
    #[error("encryption failed")]
    Crypto,
}

type ContentKey = [u8; 32];

/// The parts of a JWE.
#[derive(Default)]
struct Parts<'a> {
    header: Option<Header>,
    /// The header as it was sent, which is authenticated.
    header_text: &'a str,
    wrapped_key: Option<[u8; WRAPPED_KEY_BYTES]>,
    nonce: Option<[u8; NONCE_LEN]>,
    /// The ciphertext and its tag.
    sealed: Option<Vec<u8>>,
}

impl<'a> Parts<'a> {
    /// Decodes the parts; a part that is missing or malformed is `None`.
    fn of(jwe: &'a str) -> Self {
        let parts: Vec<&str> = jwe.splitn(6, '.').collect();
        let [header_text, wrapped_key, nonce, ciphertext, tag] = parts[..] else { return Self::default() };
        let tag = fixed::<TAG_BYTES>(tag);
        let sealed = decoded(ciphertext).zip(tag).map(|(ciphertext, tag)| [&ciphertext[..], &tag].concat());
        Self {
            header: decoded(header_text).and_then(|json| Header::parse(&json)),
            header_text,
            wrapped_key: fixed(wrapped_key),
            nonce: fixed(nonce),
            sealed,
        }
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    decoded(text)?.try_into().ok()
}

/// Decrypts a JWE for one of `keys`, of which there must be one at least.
///
/// # Errors
/// [`JweError`].
pub fn open(jwe: &str, keys: &[RecipientKey]) -> Result<Vec<u8>, JweError> {
    // The length of a text is no secret.
    let stand_in = keys.first().filter(|_| jwe.len() <= MAX_JWE_BYTES).ok_or(JweError)?;
    let Parts { header, header_text, wrapped_key, nonce, sealed } = Parts::of(jwe);

    let addressed = header.as_ref().and_then(|header| keys.iter().find(|key| key.id() == header.key_id));
    let agreed = header
        .as_ref()
        .and_then(|header| wrapping_key(addressed.unwrap_or(stand_in).private(), &header.ephemeral))
        .or_else(|| wrapping_key(stand_in.private(), &public_point(stand_in.certificate())?))
        .ok_or(JweError)?;
    let content_key = unwrap(&agreed, &wrapped_key.unwrap_or([0; WRAPPED_KEY_BYTES]));
    // Without the agreed key the content key cannot be unwrapped. A random one takes its place, and opens nothing.
    let key = content_key.map_or_else(random, Ok)?;
    let mut opened = sealed.unwrap_or_else(|| vec![0; TAG_BYTES]);
    let length = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).map_err(|_| JweError)?)
        .open_in_place(
            Nonce::assume_unique_for_key(nonce.unwrap_or_default()),
            Aad::from(header_text),
            &mut opened,
        )
        .map_err(|_| JweError)?
        .len();
    if addressed.is_none() || content_key.is_none() || nonce.is_none() {
        return Err(JweError);
    }
    opened.truncate(length);
    Ok(opened)
}

fn unwrap(key: &WrappingKey, wrapped: &[u8; WRAPPED_KEY_BYTES]) -> Option<ContentKey> {
    let mut content_key = [0; 32];
    let unwrapped = AesKek::new(&AES_256, key).ok()?.unwrap(wrapped, &mut content_key).ok()?;
    (unwrapped.len() == content_key_length()).then_some(content_key)
}

const fn content_key_length() -> usize {
    size_of::<ContentKey>()
}

fn random() -> Result<ContentKey, JweError> {
    let mut key = [0; 32];
    rand::fill(&mut key).map_err(|_| JweError)?;
    Ok(key)
}

/// Encrypts `plain` for the key of a certificate, given as DER.
///
/// # Errors
/// [`JweSealError`].
pub fn seal(plain: &[u8], certificate: &[u8]) -> Result<String, JweSealError> {
    let recipient = public_point(certificate).ok_or(JweSealError::Certificate)?;
    seal_for(plain, thumbprint(certificate), &recipient).ok_or(JweSealError::Crypto)
}

fn seal_for(plain: &[u8], key_id: String, recipient: &Point) -> Option<String> {
    let ephemeral = PrivateKey::generate(&ECDH_P256).ok()?;
    let public = ephemeral.compute_public_key().ok()?.as_ref().try_into().ok()?;
    let (mut content_key, mut nonce) = ([0; 32], [0; NONCE_LEN]);
    rand::fill(&mut content_key).ok()?;
    rand::fill(&mut nonce).ok()?;
    let mut wrapped = [0; WRAPPED_KEY_BYTES];
    let wrapping = AesKek::new(&AES_256, &wrapping_key(&ephemeral, recipient)?).ok()?;
    wrapping.wrap(&content_key, &mut wrapped).ok()?;

    let header = URL_SAFE_NO_PAD.encode_to_string(Header { key_id, ephemeral: public }.to_json().ok()?);
    let mut ciphertext = plain.to_vec();
    let tag = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &content_key).ok()?)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header.as_bytes()),
            &mut ciphertext,
        )
        .ok()?;
    let parts = [&wrapped[..], &nonce, &ciphertext, tag.as_ref()];
    Some(parts.into_iter().fold(header, |jwe, part| jwe + "." + &URL_SAFE_NO_PAD.encode_to_string(part)))
}

#[cfg(test)]
mod tests;
