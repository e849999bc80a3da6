//! A bounded set that forgets.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Remembers values for a while; when it is full, the oldest goes first.
#[derive(Debug)]
pub(super) struct ExpiringSet<T> {
    capacity: usize,
    ttl: Duration,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    values: HashSet<T>,
    /// In the order of their insertion, and so of their end.
    ages: VecDeque<(Instant, T)>,
}

impl<T: Clone + Eq + Hash> ExpiringSet<T> {
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        Self { capacity, ttl, state: Mutex::new(State { values: HashSet::new(), ages: VecDeque::new() }) }
    }

    /// Remembers `value`; one that is known keeps its age.
    pub(super) fn insert(&self, value: T) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(self.ttl, self.capacity.saturating_sub(1));
        if state.values.insert(value.clone()) {
            state.ages.push_back((Instant::now(), value));
        }
    }

    /// Whether `value` is remembered.
    pub(super) fn contains(&self, value: &T) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(self.ttl, self.capacity);
        state.values.contains(value)
    }
}

impl<T: Eq + Hash> State<T> {
    fn forget(&mut self, ttl: Duration, most: usize) {
        while let Some((since, _)) = self.ages.front() {
            if self.ages.len() <= most && since.elapsed() < ttl {
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
