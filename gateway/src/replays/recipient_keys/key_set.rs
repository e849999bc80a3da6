//! The keys for uploads, and the selection of those that devices get.

use std::cmp::Reverse;

use faceline_shared::replay::recipient::RecipientKey;
use time::OffsetDateTime;

/// The status of a key at a given time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyStatus {
    /// Devices will get its certificate later.
    Next,
    /// Devices encrypt for it.
    Active,
    /// Devices may have its certificate from an earlier answer.
    Previous,
}

/// The keys of an installation, at least one.
pub(super) struct KeySet {
    /// Sorted by the time from which devices get them, the latest first.
    keys: Vec<RecipientKey>,
    /// The time of each key from which devices get it.
    offered_from: Vec<OffsetDateTime>,
}

impl KeySet {
    /// A set of keys, each with the time from which devices get it, in the order of their file. `None` if there is none.
    pub(super) fn new(mut keys: Vec<(OffsetDateTime, RecipientKey)>) -> Option<Self> {
        // The sort is stable: of two keys that begin at the same time, devices prefer the first one in the file.
        keys.sort_by_key(|(offered_from, _)| Reverse(*offered_from));
        let (offered_from, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        (!keys.is_empty()).then_some(Self { keys, offered_from })
    }

    /// All keys. Each one opens what was encrypted for it.
    pub(super) fn keys(&self) -> &[RecipientKey] {
        &self.keys
    }

    /// All keys with their status at `now` and the time from which devices get them, the latest first.
    pub(super) fn all(
        &self,
        now: OffsetDateTime,
    ) -> impl Iterator<Item = (KeyStatus, OffsetDateTime, &RecipientKey)> {
        // Until the time of the first key has come, devices get that key.
        let last = self.keys.len() - 1;
        let active = self.offered_from.iter().position(|&from| from <= now).unwrap_or(last);
        self.keys.iter().zip(&self.offered_from).enumerate().map(move |(at, (key, &from))| {
            let status = match at {
                _ if at < active => KeyStatus::Next,
                _ if at > active => KeyStatus::Previous,
                _ => KeyStatus::Active,
            };
            (status, from, key)
        })
    }
}
