//! The signing keys of an installation, and which of them signs.

use faceline_shared::settings::SigningAlgorithm;
use time::OffsetDateTime;

use super::key::SigningKey;

/// The status of a key at a given time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyStatus {
    /// It is published and will sign later.
    Next,
    /// It signs.
    Active,
    /// It has signed in the past, or belongs to the algorithm that is not in use.
    Retired,
}

/// The signing keys of an installation, at least one of which is of the algorithm in use.
pub(super) struct KeySet {
    /// Sorted by the time from which they sign, the latest first.
    keys: Vec<SigningKey>,
    algorithm: SigningAlgorithm,
    /// Index of the key that signs until another one may.
    first_to_sign: usize,
}

impl KeySet {
    /// A set of `keys`, in the order of their file. `None` if none of them is of `algorithm`.
    pub(super) fn new(mut keys: Vec<SigningKey>, algorithm: SigningAlgorithm) -> Option<Self> {
        // The sort is stable: of two keys that begin at the same time, the first one in the file signs.
        keys.sort_by_key(|key| std::cmp::Reverse(key.signs_from()));
        let first_to_sign = keys.iter().rposition(|key| key.algorithm() == algorithm)?;
        Some(Self { keys, algorithm, first_to_sign })
    }

    /// The key that signs at `now`.
    pub(super) fn active(&self, now: OffsetDateTime) -> &SigningKey {
        self.keys
            .iter()
            .find(|key| key.algorithm() == self.algorithm && key.signs_from() <= now)
            .unwrap_or(&self.keys[self.first_to_sign])
    }

    /// All keys with their status at `now`: the active key first, then the others, the latest to sign first.
    pub(super) fn all(&self, now: OffsetDateTime) -> Vec<(KeyStatus, &SigningKey)> {
        let active = self.active(now);
        let others = self.keys.iter().filter(|key| key.kid() != active.kid()).map(|key| {
            let is_next = key.algorithm() == self.algorithm && key.signs_from() > now;
            (if is_next { KeyStatus::Next } else { KeyStatus::Retired }, key)
        });
        std::iter::once((KeyStatus::Active, active)).chain(others).collect()
    }
}
