//! The port to those who make faces of sessions and estimate ages: what web capture does with a best image.

use async_trait::async_trait;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::job::replay::BestImage;
use faceline_shared::telemetry::TraceContext;
use uuid::Uuid;

use crate::fault::Fault;

/// Makes faces of sessions from best images.
#[async_trait]
pub trait BestImageFaces: Send + Sync {
    /// Adds the face in a best image to a session as `id`, with the image. If the session has the face already, nothing changes.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, [`Fault::Invalid`] if it has its maximum number of faces, [`Fault::Busy`] if the
    /// client keeps as much as it may or a store is away, [`Fault::Internal`] for everything else.
    async fn add(&self, name: &SessionName, id: Uuid, best: &BestImage) -> Result<(), Fault>;

    /// Removes the face `id` from a session with its image, where an earlier call has added it.
    ///
    /// # Errors
    /// [`Fault::Busy`] if a store is away, [`Fault::Internal`] for everything else.
    async fn retract(&self, name: &SessionName, id: Uuid) -> Result<(), Fault>;

    /// Has a worker estimate the age of the person, in years; `None` if the image is not good enough for that, or no worker could
    /// do it in time.
    async fn age(&self, client: &str, best: &BestImage, trace: TraceContext) -> Option<f32>;
}
