//! Values that are slow to start and go from test to test.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Values that no test of this process uses at the moment. Only as many are started as tests need at the same time.
pub struct Pool<T> {
    idle: Mutex<Vec<T>>,
    is_reusable: fn(&T) -> bool,
}

impl<T> Pool<T> {
    /// An empty pool. It takes back what `is_reusable`.
    #[must_use]
    pub const fn new(is_reusable: fn(&T) -> bool) -> Self {
        Self { idle: Mutex::new(Vec::new()), is_reusable }
    }

    /// A value that a test has given back, if there is one. Otherwise start one and [lend](Self::lend) it.
    pub fn take(&'static self) -> Option<Pooled<T>> {
        let value = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        value.map(|value| self.lend(value))
    }

    /// Lends a new value, which the pool takes back.
    #[must_use]
    pub fn lend(&'static self, value: T) -> Pooled<T> {
        Pooled { pool: self, value: Some(value) }
    }
}

/// A value that goes to the next test when this one drops it, unless this one failed: what a failed test leaves behind must not let
/// others fail.
pub struct Pooled<T: 'static> {
    pool: &'static Pool<T>,
    value: Option<T>,
}

impl<T> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("only the drop takes it")
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("only the drop takes it")
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        let value = self.value.take().filter(|value| (self.pool.is_reusable)(value) && !thread::panicking());
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(value);
    }
}
