//! Authenticated encryption of everything that leaves a process: payloads in the broker, blobs, sessions, templates.
//!
//! A sealed record consists of a version, the id of the ring key, 16 bytes of salt, a nonce, and the AES-256-GCM ciphertext under
//! HKDF-SHA-256(ring key, salt, purpose). The associated data binds a record to its place: in another place it does not open.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
const KEY_LEN: usize = 32;

/// The purpose of a record, from which its key is derived. A record does not open for another purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A job's payload.
    Job,
    /// A reply's payload.
    Reply,
    /// Bytes in the blob store.
    Blob,
    /// A biometric template, which the caller keeps.
    Template,
    /// A session in the session store.
    Session,
    /// A face in the session store.
    Face,
    /// A row of the outbox.
    Row,
    /// The answer in an idempotency record.
    Answer,
    /// Bytes in the object store.
    Object,
    /// The secret of a key in the accounts file.
    Account,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::Job => b"faceline/job",
            Self::Reply => b"faceline/reply",
            Self::Blob => b"faceline/blob",
            Self::Template => b"faceline/template",
            Self::Session => b"faceline/session",
            Self::Face => b"faceline/face",
            Self::Row => b"faceline/row",
            Self::Answer => b"faceline/answer",
            Self::Object => b"faceline/object",
            Self::Account => b"faceline/account",
        }
    }
}

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The bytes were changed, or belong to another place or purpose.
    #[error("sealed bytes do not open here")]
    Forged,
    /// The bytes are no sealed record.
    #[error("not a sealed record")]
    Malformed,
    /// The ring does not have the key: it was dropped, or belongs to another installation.
    #[error("no key has the id `{0}`")]
    UnknownKey(String),
    /// The system's random number generator or the cipher failed.
    #[error("sealing failed")]
    Crypto,
}

/// Why a key ring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The active key is not in the ring.
    #[error("the active key `{0}` is not in the ring")]
    NoActiveKey(String),
    /// A key has the wrong length or is not base64.
    #[error("key `{0}` is not base64 of 32 bytes")]
    BadKey(String),
    /// An id is empty, or too long for a record.
    #[error("key id `{0}` is empty or longer than 64 bytes")]
    BadId(String),
}

/// Keys by their ids. New records use the active key, existing records the one that they name.
#[derive(Clone)]
pub struct KeyRing {
    active: String,
    keys: BTreeMap<String, [u8; KEY_LEN]>,
}

/// A key ring as the key file stores it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRingFile {
    /// Id of the active key, which seals new records.
    pub active: String,
    /// Keys by their ids: base64 of 32 bytes.
    pub keys: BTreeMap<String, String>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyRing").field("active", &self.active).finish_non_exhaustive()
    }
}

impl TryFrom<&KeyRingFile> for KeyRing {
    type Error = KeyRingError;

    fn try_from(file: &KeyRingFile) -> Result<Self, KeyRingError> {
        let mut keys = BTreeMap::new();
        for (id, secret) in &file.keys {
            if id.is_empty() || id.len() > 64 {
                return Err(KeyRingError::BadId(id.clone()));
            }
            let key = base64_simd::STANDARD
                .decode_to_vec(secret)
                .ok()
                .and_then(|bytes| <[u8; KEY_LEN]>::try_from(bytes).ok())
                .ok_or_else(|| KeyRingError::BadKey(id.clone()))?;
            keys.insert(id.clone(), key);
        }
        if !keys.contains_key(&file.active) {
            return Err(KeyRingError::NoActiveKey(file.active.clone()));
        }
        Ok(Self { active: file.active.clone(), keys })
    }
}

impl KeyRingFile {
    /// A ring with one new random key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, SealError> {
        let mut key = [0; KEY_LEN];
        let mut id = [0; 4];
        rand::fill(&mut key).map_err(|_| SealError::Crypto)?;
        rand::fill(&mut id).map_err(|_| SealError::Crypto)?;
        let active = format!("{:08x}", u32::from_be_bytes(id));
        let keys = BTreeMap::from([(active.clone(), base64_simd::STANDARD.encode_to_string(key))]);
        Ok(Self { active, keys })
    }
}

impl KeyRing {
    /// A ring with one new random key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, SealError> {
        KeyRing::try_from(&KeyRingFile::generate()?).map_err(|_| SealError::Crypto)
    }

    /// Seals `plain` for `purpose` and the place that `associated_data` describes.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn seal(&self, purpose: Purpose, associated_data: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut salt = [0; SALT_LEN];
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut salt).map_err(|_| SealError::Crypto)?;
        rand::fill(&mut nonce).map_err(|_| SealError::Crypto)?;

        let header = 2 + self.active.len() + SALT_LEN + NONCE_LEN;
        let mut sealed = Vec::with_capacity(header + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.push(self.active.len() as u8);
        sealed.extend_from_slice(self.active.as_bytes());
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);

        let key = self.derive(&self.active, &salt, purpose)?;
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data),
                &mut sealed[header..],
            )
            .map_err(|_| SealError::Crypto)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a record of [`KeyRing::seal`].
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] if the ring does not have the key; [`SealError::Forged`] if a byte, the purpose or the place
    /// differs; [`SealError::Malformed`] if the bytes are no sealed record.
    pub fn open(
        &self,
        purpose: Purpose,
        associated_data: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let opened = self.open_bytes(purpose, associated_data, Bytes::copy_from_slice(sealed))?;
        Ok(opened.into())
    }

    /// As [`KeyRing::open`]. If no other handle shares the sealed bytes, they are decrypted in place.
    ///
    /// # Errors
    /// As [`KeyRing::open`].
    pub fn open_bytes(
        &self,
        purpose: Purpose,
        associated_data: &[u8],
        sealed: Bytes,
    ) -> Result<Bytes, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
        let (id_len, rest) = rest.split_first().ok_or(SealError::Malformed)?;
        let id_len = usize::from(*id_len);
        if *version != VERSION || rest.len() < id_len + SALT_LEN + NONCE_LEN + AES_256_GCM.tag_len() {
            return Err(SealError::Malformed);
        }
        let header = 2 + id_len + SALT_LEN + NONCE_LEN;
        let (id, rest) = rest.split_at(id_len);
        let (salt, rest) = rest.split_at(SALT_LEN);
        let (nonce, _) = rest.split_at(NONCE_LEN);
        let id = std::str::from_utf8(id).map_err(|_| SealError::Malformed)?;

        let key = self.derive(id, salt, purpose)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Malformed)?;
        let mut bytes = BytesMut::from(sealed).split_off(header);
        let plain_len = key
            .open_in_place(nonce, Aad::from(associated_data), &mut bytes)
            .map_err(|_| SealError::Forged)?
            .len();
        bytes.truncate(plain_len);
        Ok(bytes.freeze())
    }

    fn derive(&self, id: &str, salt: &[u8], purpose: Purpose) -> Result<LessSafeKey, SealError> {
        let secret = self.keys.get(id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let info = [purpose.info()];
        let key = Salt::new(HKDF_SHA256, salt)
            .extract(secret)
            .expand(&info, &AES_256_GCM)
            .map(UnboundKey::from)
            .map_err(|_| SealError::Crypto)?;
        Ok(LessSafeKey::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated(old: &KeyRingFile) -> KeyRingFile {
        let mut new = KeyRingFile::generate().unwrap();
        new.keys.extend(old.keys.clone());
        new
    }

    #[test]
    fn sealed_opens_in_its_place_only() {
        let ring = KeyRing::generate().unwrap();
        let sealed = ring.seal(Purpose::Blob, b"here", b"plain").unwrap();
        assert_eq!(ring.open(Purpose::Blob, b"here", &sealed).unwrap(), b"plain");
        let shared = Bytes::from(sealed.clone());
        for _ in 0..2 {
            let opened = ring.open_bytes(Purpose::Blob, b"here", shared.clone()).unwrap();
            assert_eq!(opened.as_ref(), b"plain");
        }
        assert!(matches!(ring.open(Purpose::Blob, b"there", &sealed), Err(SealError::Forged)));
        assert!(matches!(ring.open(Purpose::Job, b"here", &sealed), Err(SealError::Forged)));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let ring = KeyRing::generate().unwrap();
        let sealed = ring.seal(Purpose::Template, b"", b"plain").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open(Purpose::Template, b"", &changed).is_err(), "byte {at}");
        }
        for len in 0..sealed.len() {
            assert!(ring.open(Purpose::Template, b"", &sealed[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn a_rotated_ring_opens_old_records_until_the_key_is_dropped() {
        let old = KeyRingFile::generate().unwrap();
        let new = rotated(&old);
        let sealed = KeyRing::try_from(&old).unwrap().seal(Purpose::Blob, b"", b"plain").unwrap();
        assert!(KeyRing::try_from(&new).unwrap().open(Purpose::Blob, b"", &sealed).is_ok());

        let dropped = KeyRing::try_from(&KeyRingFile::generate().unwrap()).unwrap();
        assert!(matches!(dropped.open(Purpose::Blob, b"", &sealed), Err(SealError::UnknownKey(_))));
    }

    #[test]
    fn a_ring_without_its_active_key_is_refused() {
        let mut file = KeyRingFile::generate().unwrap();
        file.active = "gone".into();
        assert!(matches!(KeyRing::try_from(&file), Err(KeyRingError::NoActiveKey(_))));
    }

    #[test]
    fn debug_output_shows_no_key() {
        let file = KeyRingFile::generate().unwrap();
        let shown = format!("{:?}", KeyRing::try_from(&file).unwrap());
        assert!(file.keys.values().all(|secret| !shown.contains(secret)), "{shown}");
    }
}
