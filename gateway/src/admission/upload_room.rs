//! Room for uploads of replays. They last as long as their devices' lines take, so they have bounds of their own: otherwise slow
//! phones would hold the places of requests that are done in milliseconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::JobClass;
use super::in_flight::{InFlight, InFlightBounds};
use crate::fault::Fault;

/// Bounds of `Retry-After` where there is no room: about the time that an upload takes.
const RETRY_AFTER_SECONDS: std::ops::RangeInclusive<u64> = 5..=20;

/// The room for uploads of one gateway.
pub struct UploadRoom {
    bounds: InFlightBounds,
    uploads: Mutex<InFlight>,
}

/// An upload's place. Dropping it returns the place.
pub struct UploadPlace {
    room: Arc<UploadRoom>,
    client: Arc<str>,
}

impl UploadRoom {
    /// Room for `uploads` at the same time. One client gets `client_share` of it, a fraction, while others are present.
    #[must_use]
    pub fn new(uploads: usize, client_share: f64) -> Arc<Self> {
        let bounds =
            InFlightBounds { requests: uploads, bytes: usize::MAX, limit_jobs: uploads, client_share };
        Arc::new(Self { bounds, uploads: Mutex::default() })
    }

    /// A place for an upload of `client`.
    ///
    /// # Errors
    /// [`Fault::Busy`] if all places, or those of the client, are taken.
    pub fn enter(self: &Arc<Self>, client: &Arc<str>) -> Result<UploadPlace, Fault> {
        let mut uploads = self.lock();
        uploads.check_request(Instant::now(), client, JobClass::Video, 0, &self.bounds).map_err(|cause| {
            let seconds = rand::rng().random_range(RETRY_AFTER_SECONDS);
            Fault::busy(cause, Duration::from_secs(seconds))
        })?;
        uploads.add_request(client, JobClass::Video, 0);
        Ok(UploadPlace { room: Arc::clone(self), client: Arc::clone(client) })
    }

    /// Uploads in progress.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.lock().requests()
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        self.room.lock().remove_request(&self.client, JobClass::Video, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let room = UploadRoom::new(2, 1.0);
        let client = Arc::from("demo");
        let places = [(); 2].map(|()| room.enter(&client).ok().unwrap());
        assert_eq!(room.taken(), 2);
        let fault = room.enter(&client).err().unwrap();
        assert_eq!(fault.row().biometric_services, 429);
        assert!((5..=20).contains(&fault.retry_after_seconds().unwrap()), "{fault:?}");
        drop(places);
        assert_eq!(room.taken(), 0);
        assert!(room.enter(&client).is_ok());
    }

    #[test]
    fn one_client_leaves_places_for_others() {
        let room = UploadRoom::new(4, 0.5);
        let [one, other] = ["one", "other"].map(Arc::from);
        let first = room.enter(&other).ok().unwrap();
        let _places = [(); 2].map(|()| room.enter(&one).ok().unwrap());
        assert!(room.enter(&one).is_err());
        assert!(room.enter(&other).is_ok());
        drop(first);
    }
}
