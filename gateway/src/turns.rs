//! Large pictures take turns on their way into a store: each is copied when it is sealed, and no budget of callers covers
//! that.

use tokio::sync::{Semaphore, SemaphorePermit};

/// What may be on its way at the same time, in KiB; a larger picture goes alone.
const MOST: u32 = 32 << 10;

/// The turns of one store.
pub(crate) struct Turns(Semaphore);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(MOST as usize))
    }

    /// Waits until there is room for so many bytes, and holds it.
    pub(crate) async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        self.0.acquire_many(kib.min(MOST)).await.ok()
    }
}
