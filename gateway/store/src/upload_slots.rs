//! Upload slots: a bound on the bytes of pictures on their way into a store. Each picture is copied when it is sealed, and
//! no budget of callers covers that copy.

use tokio::sync::{Semaphore, SemaphorePermit};

/// KiB on their way at the same time; a larger picture goes alone.
const MAX_KIB_IN_FLIGHT: u32 = 32 << 10;

/// The upload slots of one store.
pub struct UploadSlots(Semaphore);

impl UploadSlots {
    /// Slots of which none is taken.
    #[must_use]
    pub fn new() -> Self {
        Self(Semaphore::new(MAX_KIB_IN_FLIGHT as usize))
    }

    /// Waits until there is room for so many bytes, and holds it.
    pub async fn acquire(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        self.0.acquire_many(kib.min(MAX_KIB_IN_FLIGHT)).await.ok()
    }
}
