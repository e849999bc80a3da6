//! The encryption of uploaded media: STREAM over AES-256-GCM.
//!
//! The plaintext is cut into chunks of 64 KiB ([`CHUNK_BYTES`]). The last chunk may be shorter; it is empty only if the
//! whole plaintext is. Each chunk is encrypted by itself and followed by its tag of 16 bytes. There are no other bytes
//! before, between or after the chunks. Every chunk is encrypted with
//!
//! - the media key (32 bytes), which is fresh for each encryption;
//! - the nonce (12 bytes): the prefix (7 bytes), the index of the chunk from 0 as a big-endian number (4 bytes), and 1 for the last
//!   chunk or 0 for another one (1 byte);
//! - the associated data: `faceline-media-1` (16 bytes of ASCII), a zero byte, the session's id in its hyphenated lower-case form (36
//!   bytes of ASCII), a zero byte, and the replay's id in UTF-8, up to the end. All lengths but the last are fixed, so no two pairs of
//!   ids have the same associated data.
//!
//! The construction is STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
//! Misuse-Resistance" (CRYPTO 2015), section 7. A stream that is cut, reordered, extended, or made of two others does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use uuid::Uuid;

use crate::job::replay::EncryptedMedia;

/// Bytes of plaintext in each chunk but the last one.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of the tag behind each chunk.
pub const TAG_BYTES: usize = 16;
/// Bytes of an encrypted chunk that is not the last one.
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// The beginning of the associated data.
const DOMAIN: &[u8] = b"faceline-media-1";

/// Error of encrypting or decrypting media.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MediaError {
    /// The bytes were changed, cut or extended, or they belong to another key, session or replay.
    #[error("the encrypted media does not open")]
    Forged,
    /// The cipher or the system's random number generator failed, or the media has 2^32 chunks.
    #[error("encrypting media failed")]
    Crypto,
}

/// The secret with which a device encrypts its media.
#[derive(Clone, Eq, PartialEq)]
pub struct MediaSecret {
    /// The key of AES-256-GCM.
    pub key: [u8; 32],
    /// The first bytes of each chunk's nonce.
    pub nonce_prefix: [u8; 7],
}

impl MediaSecret {
    /// Generates a fresh secret. Each encryption needs its own, even of the same video.
    ///
    /// # Errors
    /// [`MediaError::Crypto`] if the system's random number generator fails.
    pub fn generate() -> Result<Self, MediaError> {
        let mut secret = Self { key: [0; 32], nonce_prefix: [0; 7] };
        rand::fill(&mut secret.key).map_err(|_| MediaError::Crypto)?;
        rand::fill(&mut secret.nonce_prefix).map_err(|_| MediaError::Crypto)?;
        Ok(secret)
    }
}

impl fmt::Debug for MediaSecret {
    /// Leaves the key out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MediaSecret")
    }
}

/// Bytes of media whose plaintext has `plain` bytes.
#[must_use]
pub fn sealed_length(plain: u64) -> u64 {
    plain + plain.div_ceil(CHUNK_BYTES as u64).max(1) * TAG_BYTES as u64
}

/// Encrypts media piece by piece. Holds at most one chunk.
pub struct MediaSealer {
    chunks: Chunks,
    pending: Vec<u8>,
}

impl MediaSealer {
    /// A sealer for the media of a replay.
    ///
    /// # Errors
    /// [`MediaError::Crypto`] if the cipher fails.
    pub fn new(secret: &MediaSecret, session: Uuid, replay: &str) -> Result<Self, MediaError> {
        let chunks = Chunks::new(&secret.key, secret.nonce_prefix, session, replay)?;
        Ok(Self { chunks, pending: Vec::with_capacity(SEALED_CHUNK_BYTES) })
    }

    /// Encrypts the next piece of the plaintext, which may have any length, and appends complete chunks to `sealed`.
    ///
    /// # Errors
    /// [`MediaError::Crypto`].
    pub fn seal(&mut self, mut piece: &[u8], sealed: &mut Vec<u8>) -> Result<(), MediaError> {
        while !piece.is_empty() {
            // A full chunk is not the last one only if something follows.
            if self.pending.len() == CHUNK_BYTES {
                self.chunks.seal(&mut self.pending, false)?;
                sealed.append(&mut self.pending);
            }
            take(&mut piece, &mut self.pending, CHUNK_BYTES);
        }
        Ok(())
    }

    /// Appends the last chunk to `sealed`.
    ///
    /// # Errors
    /// [`MediaError::Crypto`].
    pub fn finish(mut self, sealed: &mut Vec<u8>) -> Result<(), MediaError> {
        self.chunks.seal(&mut self.pending, true)?;
        sealed.append(&mut self.pending);
        Ok(())
    }
}

/// Decrypts media piece by piece. Holds at most one chunk.
///
/// The plaintext that it returns is authentic, but only [`MediaOpener::finish`] proves that it is complete.
pub struct MediaOpener {
    chunks: Chunks,
    pending: Vec<u8>,
    failed: bool,
}

impl MediaOpener {
    /// An opener for the media that a job names.
    ///
    /// # Errors
    /// [`MediaError::Crypto`] if the cipher fails.
    pub fn new(media: &EncryptedMedia) -> Result<Self, MediaError> {
        let chunks = Chunks::new(&media.key, media.nonce_prefix, media.session, &media.replay)?;
        Ok(Self { chunks, pending: Vec::with_capacity(SEALED_CHUNK_BYTES), failed: false })
    }

    /// Decrypts the next piece, which may have any length, and appends the plaintext of complete chunks to `plain`: at most
    /// [`CHUNK_BYTES`] more than `piece` has bytes.
    ///
    /// # Errors
    /// [`MediaError::Forged`] if a chunk is not authentic, and in every later call.
    pub fn open(&mut self, mut piece: &[u8], plain: &mut Vec<u8>) -> Result<(), MediaError> {
        while !piece.is_empty() {
            // A full chunk is not the last one only if something follows.
            if self.pending.len() == SEALED_CHUNK_BYTES {
                self.open_pending(false, plain)?;
            }
            take(&mut piece, &mut self.pending, SEALED_CHUNK_BYTES);
        }
        Ok(())
    }

    /// Appends the plaintext of the last chunk to `plain`: the media is complete.
    ///
    /// # Errors
    /// [`MediaError::Forged`] if the last chunk is missing, or after an earlier error.
    pub fn finish(mut self, plain: &mut Vec<u8>) -> Result<(), MediaError> {
        // Only media without a byte has an empty last chunk: there is one encryption of a plaintext, not two.
        if self.pending.len() == TAG_BYTES && self.chunks.next_index > 0 {
            return Err(MediaError::Forged);
        }
        self.open_pending(true, plain)
    }

    fn open_pending(&mut self, is_last: bool, plain: &mut Vec<u8>) -> Result<(), MediaError> {
        if self.failed {
            return Err(MediaError::Forged);
        }
        let opened = self.chunks.open(&mut self.pending, is_last);
        self.failed = opened.is_err();
        plain.extend_from_slice(opened?);
        self.pending.clear();
        Ok(())
    }
}

/// Moves the beginning of `piece` to the end of `pending`, until this has `length` bytes.
fn take(piece: &mut &[u8], pending: &mut Vec<u8>, length: usize) {
    let (taken, rest) = piece.split_at((length - pending.len()).min(piece.len()));
    pending.extend_from_slice(taken);
    *piece = rest;
}

/// The cipher with the index of the next chunk.
struct Chunks {
    key: LessSafeKey,
    nonce_prefix: [u8; 7],
    associated_data: Vec<u8>,
    next_index: u32,
}

impl Chunks {
    fn new(key: &[u8; 32], nonce_prefix: [u8; 7], session: Uuid, replay: &str) -> Result<Self, MediaError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| MediaError::Crypto)?;
        let session = session.hyphenated().to_string();
        let associated_data = [DOMAIN, &[0], session.as_bytes(), &[0], replay.as_bytes()].concat();
        Ok(Self { key: LessSafeKey::new(key), nonce_prefix, associated_data, next_index: 0 })
    }

    /// Encrypts a chunk in place and appends its tag.
    fn seal(&mut self, chunk: &mut Vec<u8>, is_last: bool) -> Result<(), MediaError> {
        let nonce = self.next_nonce(is_last).ok_or(MediaError::Crypto)?;
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(&self.associated_data), chunk)
            .map_err(|_| MediaError::Crypto)
    }

    /// Decrypts a chunk in place.
    fn open<'a>(&mut self, chunk: &'a mut [u8], is_last: bool) -> Result<&'a [u8], MediaError> {
        let nonce = self.next_nonce(is_last).ok_or(MediaError::Forged)?;
        let plain = self.key.open_in_place(nonce, Aad::from(&self.associated_data), chunk);
        plain.map(|plain| &*plain).map_err(|_| MediaError::Forged)
    }

    /// The nonce of the next chunk; `None` when the index has reached its end.
    fn next_nonce(&mut self, is_last: bool) -> Option<Nonce> {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.nonce_prefix);
        nonce[7..11].copy_from_slice(&self.next_index.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.next_index = self.next_index.checked_add(1)?;
        Some(Nonce::assume_unique_for_key(nonce))
    }
}

#[cfg(test)]
mod tests;
