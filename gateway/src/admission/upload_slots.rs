//! Upload slots: a bound on the bytes of pictures that are being uploaded to a store. Sealing copies each picture, and
//! the bounds on the memory of callers do not include that copy.

use tokio::sync::{Semaphore, SemaphorePermit};

/// KiB of pictures that are uploaded at the same time. A larger picture is uploaded alone.
const MAX_KIB_IN_FLIGHT: u32 = 32 << 10;

/// The upload slots of one store.
pub(crate) struct UploadSlots(Semaphore);

impl Default for UploadSlots {
    fn default() -> Self {
        Self::new()
    }
}

impl UploadSlots {
    /// Slots that are all free.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(MAX_KIB_IN_FLIGHT as usize))
    }

    /// Waits until `bytes` more bytes may be uploaded. They count until the permit is dropped.
    pub(crate) async fn acquire(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        self.0.acquire_many(kib.min(MAX_KIB_IN_FLIGHT)).await.ok()
    }
}
