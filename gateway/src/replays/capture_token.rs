//! Capture tokens: the credential of a device, in place of an API key, for one session's replay.
//!
//! A token is opaque to its holder. It is sealed with the data keys, so any gateway can read which session it is for.
//! It contains a secret of its own, so a new replay of the session makes it invalid.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::seal::{KeyRing, Purpose, SealError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The associated data of a token. It names no place in a store, since tokens are not stored.
const ASSOCIATED_DATA: &[u8] = b"capture token";
/// Bytes of the secret in a token.
const SECRET_LEN: usize = 32;
/// Maximum number of characters of a token. A longer text is not a token.
const MAX_CHARS: usize = 4096;

/// The content of a token.
#[derive(Deserialize, Serialize)]
pub(super) struct CaptureToken {
    /// The client of the session.
    pub(super) client: String,
    /// The session.
    pub(super) session: Uuid,
    /// Id of the API key with which the replay was made.
    pub(super) key: String,
    secret: [u8; SECRET_LEN],
}

impl CaptureToken {
    /// Creates a token for the replay of a session. `key` is the id of the API key that creates the replay.
    ///
    /// # Errors
    /// [`SealError::Crypto`] if the system has no random numbers.
    pub(super) fn new(name: &SessionName, key: &str) -> Result<Self, SealError> {
        let mut secret = [0; SECRET_LEN];
        rand::fill(&mut secret).map_err(|_| SealError::Crypto)?;
        Ok(Self { client: name.client.clone(), session: name.id, key: key.to_owned(), secret })
    }

    /// The text that the device gets: base64url without padding.
    ///
    /// # Errors
    /// [`SealError::Crypto`].
    pub(super) fn seal(&self, ring: &KeyRing) -> Result<String, SealError> {
        let plain = rmp_serde::to_vec_named(self).map_err(|_| SealError::Crypto)?;
        Ok(URL_SAFE_NO_PAD.encode_to_string(ring.seal(Purpose::CaptureToken, ASSOCIATED_DATA, &plain)?))
    }

    /// Opens a token; `None` if the text is not a token of this installation.
    pub(super) fn open(ring: &KeyRing, text: &[u8]) -> Option<Self> {
        if text.len() > MAX_CHARS {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode_to_vec(text).ok()?;
        let plain = ring.open(Purpose::CaptureToken, ASSOCIATED_DATA, &sealed).ok()?;
        rmp_serde::from_slice(&plain).ok()
    }

    /// SHA-256 of the secret, which the record of the replay keeps.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.secret).as_ref());
        bytes
    }

    /// Whether this is the token with that digest.
    pub(super) fn has_digest(&self, known: &[u8; 32]) -> bool {
        verify_slices_are_equal(&self.digest(), known).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_where_it_was_made_and_says_nothing_to_others() {
        let ring = KeyRing::generate().unwrap();
        let name = SessionName { client: "bank".into(), id: Uuid::new_v4() };
        let token = CaptureToken::new(&name, "bank-1").unwrap();
        let text = token.seal(&ring).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        let opened = CaptureToken::open(&ring, text.as_bytes()).unwrap();
        assert_eq!((&*opened.client, opened.session, &*opened.key), ("bank", name.id, "bank-1"));
        assert!(opened.has_digest(&token.digest()));
        assert!(
            !CaptureToken::new(&name, "bank-1").unwrap().has_digest(&token.digest()),
            "a new one is another"
        );

        assert!(CaptureToken::open(&KeyRing::generate().unwrap(), text.as_bytes()).is_none());
        for wrong in ["", "demo", &text[1..], &text.repeat(20), &"A".repeat(5000)] {
            assert!(CaptureToken::open(&ring, wrong.as_bytes()).is_none(), "{wrong}");
        }
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert!(CaptureToken::open(&ring, &changed).is_none(), "character {index}");
        }
    }
}
