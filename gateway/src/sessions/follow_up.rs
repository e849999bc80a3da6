//! What has to be done because a session changed: the rows of the outbox.

use faceline_gateway_store::session::SessionName;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A row. New kinds may be added; what is written once must stay readable for as long as sessions live.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum FollowUp {
    /// A session ended.
    ClearUp(ClearUp),
    /// Faces were deleted that had pictures.
    DeletePictures {
        /// The session.
        session: Uuid,
        /// The faces.
        faces: Vec<Uuid>,
    },
}

/// What is left of a session that ended has to go.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ClearUp {
    /// Whose session it was.
    pub(super) client: String,
    /// The session.
    pub(super) session: Uuid,
    /// There may be pictures of it.
    pub(super) keeps_pictures: bool,
    /// Why it ended.
    pub(super) reason: EndReason,
    /// It was cleared up once. A picture that was on its way to the object store just then may have arrived since.
    pub(super) again: bool,
}

/// Why a session ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum EndReason {
    /// Its time was over.
    Expired,
    /// A caller deleted it.
    Deleted {
        /// Id of the key that was used.
        key: String,
    },
}

impl ClearUp {
    /// For a session that ended for `reason`.
    pub(super) fn new(name: &SessionName, keeps_pictures: bool, reason: EndReason) -> Self {
        Self { client: name.client.clone(), session: name.id, keeps_pictures, reason, again: false }
    }
}

/// Folder of a session's pictures in the object store.
pub(super) fn folder(session: Uuid) -> String {
    format!("sessions/{session}")
}

/// Place of a face's picture in the object store.
pub(super) fn picture(session: Uuid, face: Uuid) -> String {
    format!("sessions/{session}/{face}")
}
