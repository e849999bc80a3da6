//! Bounds how many uploads of replays are in progress. An upload takes as long as the device's network needs, so
//! uploads have bounds of their own: otherwise slow phones would hold the permits of requests that take milliseconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::JobClass;
use super::in_flight::{InFlight, InFlightBounds};
use crate::fault::Fault;

/// Bounds of the `Retry-After` of a refused upload: about the time that an upload takes.
const RETRY_AFTER_SECONDS: std::ops::RangeInclusive<u64> = 5..=20;

/// Limits the uploads of one gateway.
pub struct UploadLimiter {
    bounds: InFlightBounds,
    uploads: Mutex<InFlight>,
}

/// The permit of an upload in progress. Dropping it returns the permit.
pub struct UploadPermit {
    limiter: Arc<UploadLimiter>,
    client: Arc<str>,
}

impl UploadLimiter {
    /// Permits `uploads` at the same time. While other clients are present, one client gets at most the fraction
    /// `client_share` of them.
    #[must_use]
    pub fn new(uploads: usize, client_share: f64) -> Arc<Self> {
        let bounds =
            InFlightBounds { requests: uploads, bytes: usize::MAX, limit_jobs: uploads, client_share };
        Arc::new(Self { bounds, uploads: Mutex::default() })
    }

    /// A permit for an upload of `client`.
    ///
    /// # Errors
    /// [`Fault::Busy`] if all permits, or those of the client, are taken.
    pub fn acquire(self: &Arc<Self>, client: &Arc<str>) -> Result<UploadPermit, Fault> {
        let mut uploads = self.lock();
        uploads.check_request(Instant::now(), client, JobClass::Video, 0, &self.bounds).map_err(|cause| {
            let seconds = rand::rng().random_range(RETRY_AFTER_SECONDS);
            Fault::busy(cause, Duration::from_secs(seconds))
        })?;
        uploads.add_request(client, JobClass::Video, 0);
        Ok(UploadPermit { limiter: Arc::clone(self), client: Arc::clone(client) })
    }

    /// Uploads in progress.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.lock().requests()
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UploadPermit {
    fn drop(&mut self) {
        self.limiter.lock().remove_request(&self.client, JobClass::Video, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_bounded_and_come_back() {
        let limiter = UploadLimiter::new(2, 1.0);
        let client = Arc::from("demo");
        let permits = [(); 2].map(|()| limiter.acquire(&client).ok().unwrap());
        assert_eq!(limiter.in_progress(), 2);
        let fault = limiter.acquire(&client).err().unwrap();
        assert_eq!(fault.row().biometric_services, 429);
        assert!((5..=20).contains(&fault.retry_after_seconds().unwrap()), "{fault:?}");
        drop(permits);
        assert_eq!(limiter.in_progress(), 0);
        assert!(limiter.acquire(&client).is_ok());
    }

    #[test]
    fn one_client_leaves_permits_for_others() {
        let limiter = UploadLimiter::new(4, 0.5);
        let [one, other] = ["one", "other"].map(Arc::from);
        let first = limiter.acquire(&other).ok().unwrap();
        let _permits = [(); 2].map(|()| limiter.acquire(&one).ok().unwrap());
        assert!(limiter.acquire(&one).is_err());
        assert!(limiter.acquire(&other).is_ok());
        drop(first);
    }
}
