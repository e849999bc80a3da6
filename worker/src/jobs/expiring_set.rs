//! A bounded set whose values expire.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keeps values for a limited time. When it is full, it forgets the oldest value first.
#[derive(Debug)]
pub(super) struct ExpiringSet<T> {
    capacity: usize,
    ttl: Duration,
    state: Mutex<ExpiringValues<T>>,
}

#[derive(Debug)]
struct ExpiringValues<T> {
    values: HashSet<T>,
    /// In the order of insertion, which is the order of expiry.
    ages: VecDeque<(Instant, T)>,
}

impl<T: Clone + Eq + Hash> ExpiringSet<T> {
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        Self {
            capacity,
            ttl,
            state: Mutex::new(ExpiringValues { values: HashSet::new(), ages: VecDeque::new() }),
        }
    }

    /// Adds `value`. A value that is in the set already keeps its age.
    pub(super) fn insert(&self, value: T) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(self.ttl, self.capacity.saturating_sub(1));
        if state.values.insert(value.clone()) {
            state.ages.push_back((Instant::now(), value));
        }
    }

    /// Whether `value` is in the set.
    pub(super) fn contains(&self, value: &T) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(self.ttl, self.capacity);
        state.values.contains(value)
    }
}

impl<T: Eq + Hash> ExpiringValues<T> {
    fn forget(&mut self, ttl: Duration, max_len: usize) {
        while let Some((since, _)) = self.ages.front() {
            if self.ages.len() <= max_len && since.elapsed() < ttl {
                break;
            }
            if let Some((_, value)) = self.ages.pop_front() {
                self.values.remove(&value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let set = ExpiringSet::new(2, Duration::from_secs(60));
        for value in 1..=3 {
            set.insert(value);
        }
        assert_eq!([1, 2, 3].map(|value| set.contains(&value)), [false, true, true]);
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let set = ExpiringSet::new(2, Duration::ZERO);
        set.insert(1);
        assert!(!set.contains(&1));
    }
}
