//! The port to the services that make faces of sessions from best images and estimate ages, for web capture.

use async_trait::async_trait;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::job::replay::BestImage;
use faceline_shared::telemetry::TraceContext;
use uuid::Uuid;

use crate::fault::Fault;

/// Makes faces of sessions from best images.
#[async_trait]
pub trait BestImageFaces: Send + Sync {
    /// Adds the face in a best image to a session as `id`, with the image. If the session has the face already,
    /// nothing changes.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, [`Fault::Invalid`] if it has its maximum number of faces,
    /// [`Fault::Busy`] if the client has reached a bound or a store is unavailable, [`Fault::Internal`] for
    /// everything else.
    async fn add(&self, name: &SessionName, id: Uuid, best: &BestImage) -> Result<(), Fault>;

    /// Removes the face `id` from a session with its image, if an earlier call has added it.
    ///
    /// # Errors
    /// [`Fault::Busy`] if a store is unavailable, [`Fault::Internal`] for everything else.
    async fn retract(&self, name: &SessionName, id: Uuid) -> Result<(), Fault>;

    /// Estimates the person's age in years on a worker; `None` if the image is not good enough, or no worker could
    /// do it in time.
    async fn age(&self, client: &str, best: &BestImage, trace: TraceContext) -> Option<f32>;
}
