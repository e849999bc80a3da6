//! The upload of a replay's video.
//!
//! The gateway reads the metadata, which is encrypted for gateways, and streams the media unchanged into the object
//! store, where it stays encrypted until a worker decrypts it. A claim keeps other uploads of the same replay out. It
//! is a lease in the store, so a gateway that dies during an upload blocks the replay only until the lease ends. The
//! gateway checks length and digest of the media. Then one operation of the store makes it the replay's video and
//! writes the outbox row that publishes the job.

mod capacity;
mod claim;
mod identify;
mod media;
mod metrics;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::job::JobId;
use faceline_shared::telemetry::TraceContext;

use self::claim::Claimed;
pub(crate) use self::identify::{AwaitedUpload, IdentifiedUpload, Identity};
pub(crate) use self::media::MediaSource;
pub(crate) use self::metrics::{CountedUpload, UploadOutcome};
pub(super) use self::shared::Uploads;
use super::service::Replays;
use crate::accounts::Caller;
use crate::admission::UploadPermit;
use crate::fault::Fault;

impl Replays {
    /// Counts an upload with its outcome.
    pub(crate) fn count_upload(&self) -> CountedUpload {
        self.uploads.metrics.count()
    }

    /// Returns a permit for an upload of `caller`, if the workers can judge one more video in time.
    ///
    /// # Errors
    /// [`Fault::Busy`] with the time after which the caller should retry, up to 300 s.
    pub(crate) async fn admit_upload(&self, caller: &Caller) -> Result<UploadPermit, Fault> {
        let Uploads { limiter, capacity, .. } = &self.uploads;
        // Uploads in progress are not in the queue yet.
        capacity.check(self.sessions.broker(), limiter.in_progress()).await?;
        limiter.acquire(&caller.client)
    }

    /// Records the time that a worker took for a replay.
    pub(crate) fn note_judged(&self, service: Duration) {
        self.uploads.capacity.note(service);
    }

    /// Receives the media of an upload, and submits it to the workers. `job` becomes the id of the job.
    ///
    /// # Errors
    /// [`Fault::UploadInProgress`] and [`Fault::Conflict`] if another upload was faster, [`Fault::Invalid`] if length
    /// or digest of the media differs from the announced one, [`Fault::NotFound`] if the session ends, the faults of
    /// `media`, and those of an unavailable store.
    pub(crate) async fn receive_upload(
        self: &Arc<Self>,
        upload: IdentifiedUpload,
        media: &mut impl MediaSource,
        job: JobId,
        trace: &TraceContext,
    ) -> Result<UploadOutcome, Fault> {
        let IdentifiedUpload { awaited: AwaitedUpload { name, handle, replay }, metadata } = upload;
        let receive = async {
            match self.claim(&name, replay, &metadata, job).await? {
                Claimed::New(claim) => media::receive(self, *claim, &metadata, media, trace).await?,
                Claimed::Repeated => return Ok(UploadOutcome::Repeated),
            }
            Ok(UploadOutcome::Accepted)
        };
        handle.run(receive).await
    }
}
