//! Stored forms of API keys (hashed) and BWS keys (sealed).

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use faceline_shared::seal::{KeyRing, Purpose, SealError};
use serde::{Deserialize, Deserializer, de};

/// SHA-256 of an API key.
///
/// API keys are random over their whole length and cannot be guessed, so a slow password hash would only make each
/// request slow. Passwords, which people choose, have another hash.
#[derive(Clone)]
pub(super) struct ApiKeyDigest([u8; 32]);

impl ApiKeyDigest {
    pub(super) fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The key of a look-up. The time that the look-up takes reveals nothing useful: it depends on a hash that the
    /// caller cannot control.
    pub(super) fn prefix(&self) -> [u8; 8] {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&self.0[..8]);
        prefix
    }

    /// Compares in constant time.
    pub(super) fn equals(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Display for ApiKeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ApiKeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKeyDigest(…)")
    }
}

impl<'de> Deserialize<'de> for ApiKeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let nibble = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks(2);
        let parsed = text.len() == 64
            && bytes.iter_mut().zip(pairs).all(|(byte, pair)| {
                let value = nibble(pair[0]).zip(nibble(pair[1])).map(|(high, low)| high << 4 | low);
                *byte = value.unwrap_or(0);
                value.is_some()
            });
        // The message does not repeat the text, which may be a misplaced secret.
        parsed.then_some(Self(bytes)).ok_or_else(|| de::Error::custom("expected SHA-256 as 64 hex digits"))
    }
}

/// Seals the secret of a key for its entry in the file. Under another client or id it does not open.
pub(super) fn seal(ring: &KeyRing, client: &str, id: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
    ring.seal(Purpose::Account, associated_data(client, id).as_bytes(), secret)
}

/// Opens what [`seal`] made.
pub(super) fn open(ring: &KeyRing, client: &str, id: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    ring.open(Purpose::Account, associated_data(client, id).as_bytes(), sealed)
}

/// The associated data. Names have no control characters, so two entries never have the same.
fn associated_data(client: &str, id: &str) -> String {
    format!("accounts\n{client}\n{id}")
}
