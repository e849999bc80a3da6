//! Bounds the callbacks that are sent at the same time to one host and for one client, so slow receivers do not delay
//! others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of callbacks to one host at the same time.
const MAX_PER_HOST: usize = 16;
/// Maximum number of callbacks of one client at the same time.
const MAX_PER_CLIENT: usize = 32;

/// The callbacks that are being sent, by host and by client.
#[derive(Clone, Debug, Default)]
pub(super) struct CallbackSlots(Arc<Mutex<HashMap<SlotKey, usize>>>);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum SlotKey {
    Host(String),
    Client(String),
}

/// A slot for a callback that is being sent. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct CallbackSlot {
    slots: CallbackSlots,
    keys: [SlotKey; 2],
}

impl CallbackSlots {
    /// Acquires a slot for a callback of `client` to `host`; `None` if the host or the client has its maximum.
    pub(super) fn try_acquire(&self, client: &str, host: &str) -> Option<CallbackSlot> {
        let keys = [SlotKey::Host(host.to_owned()), SlotKey::Client(client.to_owned())];
        let mut taken = self.lock();
        let used = |key| taken.get(key).copied().unwrap_or_default();
        if used(&keys[0]) >= MAX_PER_HOST || used(&keys[1]) >= MAX_PER_CLIENT {
            return None;
        }
        for key in &keys {
            *taken.entry(key.clone()).or_default() += 1;
        }
        drop(taken);
        Some(CallbackSlot { slots: self.clone(), keys })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SlotKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CallbackSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        for key in &self.keys {
            if let Some(used) = taken.get_mut(key) {
                *used -= 1;
                if *used == 0 {
                    taken.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_client_have_so_many_places_and_others_have_their_own() {
        let slots = CallbackSlots::default();
        let mut held: Vec<_> =
            (0..MAX_PER_HOST).map(|_| slots.try_acquire("bank", "slow.example").unwrap()).collect();
        assert!(slots.try_acquire("shop", "slow.example").is_none());
        for at in MAX_PER_HOST..MAX_PER_CLIENT {
            held.push(slots.try_acquire("bank", &format!("{at}.example")).unwrap());
        }
        assert!(slots.try_acquire("bank", "quick.example").is_none());
        assert!(slots.try_acquire("shop", "quick.example").is_some());
        held.clear();
        assert!(slots.lock().is_empty());
    }
}
