//! Authenticated encryption of everything that leaves a process: payloads in the broker, blobs, sessions, templates.
//!
//! A sealed record consists of a version, the id of the ring key, 16 bytes of salt, a nonce, and the AES-256-GCM ciphertext under
//! HKDF-SHA-256(ring key, salt, purpose). The associated data binds a record to its place: in another place it does not open.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::{hmac, rand};
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
    /// The context of a job, which its answer returns to the gateways.
    JobContext,
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
    /// A capture token, which a device keeps.
    CaptureToken,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::Job => b"faceline/job",
            Self::Reply => b"faceline/reply",
            Self::JobContext => b"faceline/job-context",
            Self::Blob => b"faceline/blob",
            Self::Template => b"faceline/template",
            Self::Session => b"faceline/session",
            Self::Face => b"faceline/face",
            Self::Row => b"faceline/row",
            Self::Answer => b"faceline/answer",
            Self::Object => b"faceline/object",
            Self::Account => b"faceline/account",
            Self::CaptureToken => b"faceline/capture-token",
        }
    }
}

/// Error of sealing or opening.
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

/// Reason why a key ring cannot be used.
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
///
/// Clones share the keys: [`KeyRing::replace`] changes them for every clone.
#[derive(Clone)]
pub struct KeyRing(Arc<ArcSwap<RingKeys>>);

struct RingKeys {
    active: String,
    keys: BTreeMap<String, RingKey>,
}

#[derive(Clone)]
struct RingKey {
    secret: [u8; KEY_LEN],
    fingerprint: KeyFingerprint,
}

/// Identifies a key without revealing it: 64 bits of an HMAC under the key. It covers the key's id, since a record
/// names its key by the id.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct KeyFingerprint(u64);

impl KeyFingerprint {
    fn new(id: &str, secret: &[u8; KEY_LEN]) -> Self {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
        context.update(b"faceline/fingerprint/");
        context.update(id.as_bytes());
        let tag = context.sign();
        Self(tag.as_ref().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }

    /// Converts the fingerprint to eight bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Converts eight bytes of [`KeyFingerprint::to_bytes`] to a fingerprint.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl Display for KeyFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
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

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyRing").field("active", &self.0.load().active).finish_non_exhaustive()
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
            keys.insert(id.clone(), RingKey { fingerprint: KeyFingerprint::new(id, &key), secret: key });
        }
        if !keys.contains_key(&file.active) {
            return Err(KeyRingError::NoActiveKey(file.active.clone()));
        }
        Ok(Self(Arc::new(ArcSwap::from_pointee(RingKeys { active: file.active.clone(), keys }))))
    }
}

impl KeyRingFile {
    /// A ring with one new random key.
    ///
    /// # Errors
    /// The system's random number generator fails.
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
    /// The system's random number generator fails.
    pub fn generate() -> Result<Self, SealError> {
        KeyRing::try_from(&KeyRingFile::generate()?).map_err(|_| SealError::Crypto)
    }

    /// Replaces the keys of this ring and of all its clones by those of `other`.
    pub fn replace(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// As [`KeyRing::replace`], but keeps keys that `other` does not have. Returns the ids of these.
    pub fn replace_and_keep(&self, other: &Self) -> Vec<String> {
        let (old, new) = (self.0.load(), other.0.load());
        let mut keys = new.keys.clone();
        let mut kept = Vec::new();
        for (id, key) in &old.keys {
            if !keys.contains_key(id) {
                keys.insert(id.clone(), key.clone());
                kept.push(id.clone());
            }
        }
        self.0.store(Arc::new(RingKeys { active: new.active.clone(), keys }));
        kept
    }

    /// The fingerprint of the active key, which seals new records.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        let ring = self.0.load();
        ring.keys.get(&ring.active).map_or(KeyFingerprint(0), |key| key.fingerprint)
    }

    /// The fingerprints of all keys.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<KeyFingerprint> {
        self.0.load().keys.values().map(|key| key.fingerprint).collect()
    }

    /// Whether the ring has the key with this fingerprint, and so opens what that key has sealed.
    #[must_use]
    pub fn has(&self, fingerprint: KeyFingerprint) -> bool {
        self.0.load().keys.values().any(|key| key.fingerprint == fingerprint)
    }

    /// Seals `plain` for `purpose` and the place that `associated_data` describes.
    ///
    /// # Errors
    /// The system's random number generator fails.
    pub fn seal(&self, purpose: Purpose, associated_data: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_and_name(purpose, associated_data, plain).map(|(sealed, _)| sealed)
    }

    /// As [`KeyRing::seal`]; also returns the fingerprint of the key that has sealed.
    ///
    /// # Errors
    /// As [`KeyRing::seal`].
    pub fn seal_and_name(
        &self,
        purpose: Purpose,
        associated_data: &[u8],
        plain: &[u8],
    ) -> Result<(Vec<u8>, KeyFingerprint), SealError> {
        let mut salt = [0; SALT_LEN];
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut salt).map_err(|_| SealError::Crypto)?;
        rand::fill(&mut nonce).map_err(|_| SealError::Crypto)?;

        let ring = self.0.load();
        let header = 2 + ring.active.len() + SALT_LEN + NONCE_LEN;
        let mut sealed = Vec::with_capacity(header + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.push(ring.active.len() as u8);
        sealed.extend_from_slice(ring.active.as_bytes());
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);

        let (key, fingerprint) = ring.derive(&ring.active, &salt, purpose)?;
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data),
                &mut sealed[header..],
            )
            .map_err(|_| SealError::Crypto)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok((sealed, fingerprint))
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

        let (key, _) = self.0.load().derive(id, salt, purpose)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Malformed)?;
        let mut bytes = BytesMut::from(sealed).split_off(header);
        let plain_len = key
            .open_in_place(nonce, Aad::from(associated_data), &mut bytes)
            .map_err(|_| SealError::Forged)?
            .len();
        bytes.truncate(plain_len);
        Ok(bytes.freeze())
    }
}

impl RingKeys {
    /// The key of one record, derived from the ring's key `id`, and the fingerprint of that key.
    fn derive(
        &self,
        id: &str,
        salt: &[u8],
        purpose: Purpose,
    ) -> Result<(LessSafeKey, KeyFingerprint), SealError> {
        let RingKey { secret, fingerprint } =
            self.keys.get(id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let info = [purpose.info()];
        let key = Salt::new(HKDF_SHA256, salt)
            .extract(secret)
            .expand(&info, &AES_256_GCM)
            .map(UnboundKey::from)
            .map_err(|_| SealError::Crypto)?;
        Ok((LessSafeKey::new(key), *fingerprint))
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
    fn clones_follow_a_replacement() {
        let (old, new) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
        let clone = old.clone();
        let sealed = new.seal(Purpose::Job, b"", b"plain").unwrap();
        assert!(clone.open(Purpose::Job, b"", &sealed).is_err());
        old.replace(&new);
        assert_eq!(clone.open(Purpose::Job, b"", &sealed).unwrap(), b"plain");
        assert_eq!(clone.fingerprint(), new.fingerprint());
    }

    #[test]
    fn a_replacement_may_keep_what_is_missing() {
        let (old, new) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
        let sealed = [&old, &new].map(|ring| ring.seal(Purpose::Template, b"", b"plain").unwrap());
        assert_eq!(old.replace_and_keep(&new).len(), 1);
        assert!(sealed.iter().all(|sealed| old.open(Purpose::Template, b"", sealed).is_ok()));
        assert_eq!(old.fingerprint(), new.fingerprint());
        assert_eq!(old.replace_and_keep(&old.clone()), [""; 0]);
    }

    #[test]
    fn a_fingerprint_stands_for_one_key_under_one_id() {
        let file = KeyRingFile::generate().unwrap();
        let ring = KeyRing::try_from(&file).unwrap();
        assert_eq!(ring.fingerprint(), KeyRing::try_from(&file).unwrap().fingerprint());
        assert_eq!(KeyFingerprint::from_bytes(ring.fingerprint().to_bytes()), ring.fingerprint());

        let rotation = KeyRing::try_from(&rotated(&file)).unwrap();
        assert!(rotation.has(ring.fingerprint()) && !ring.has(rotation.fingerprint()));
        assert_eq!(rotation.fingerprints().len(), 2);

        let secret = file.keys.values().next().unwrap().clone();
        let renamed =
            KeyRingFile { active: "other".into(), keys: BTreeMap::from([("other".into(), secret)]) };
        assert_ne!(KeyRing::try_from(&renamed).unwrap().fingerprint(), ring.fingerprint());
        let other = KeyRingFile::generate().unwrap().keys.into_values().next().unwrap();
        let changed = KeyRingFile { keys: BTreeMap::from([(file.active.clone(), other)]), ..file };
        assert_ne!(KeyRing::try_from(&changed).unwrap().fingerprint(), ring.fingerprint());
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
