//! The payloads of the sessions' outbox: work that follows a change of a session.

use faceline_gateway_store::sessions::SessionName;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Work that follows a change. New kinds may be added, but a stored one must stay readable for as long as sessions
/// live.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum FollowUp {
    /// A session ended.
    ClearUp(ClearUp),
    /// Faces with pictures were deleted.
    DeletePictures {
        /// The session.
        session: Uuid,
        /// The faces.
        faces: Vec<Uuid>,
    },
}

/// Cleaning up after a session that ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ClearUp {
    /// The client that created the session.
    pub(super) client: String,
    /// The session.
    pub(super) session: Uuid,
    /// The session may have pictures.
    pub(super) keeps_pictures: bool,
    /// The session may have encrypted media and the best image of a replay.
    #[serde(default)]
    pub(super) has_replay: bool,
    /// Reason for the session's end.
    pub(super) reason: EndReason,
    /// This is the second run. It deletes a picture that was still being uploaded during the first one.
    pub(super) again: bool,
}

/// Reason for a session's end.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum EndReason {
    /// Its time to live is over.
    Expired,
    /// A caller deleted it.
    Deleted {
        /// Id of the caller's API key.
        key: String,
    },
}

impl ClearUp {
    /// The first run for a session that ended for `reason`.
    pub(super) fn new(name: &SessionName, keeps_pictures: bool, has_replay: bool, reason: EndReason) -> Self {
        Self {
            client: name.client.clone(),
            session: name.id,
            keeps_pictures,
            has_replay,
            reason,
            again: false,
        }
    }

    /// The folders in which the session may have objects.
    pub(super) fn folders(&self) -> Vec<String> {
        let pictures = (self.keeps_pictures || self.has_replay).then(|| picture_folder(self.session));
        let media = self.has_replay.then(|| media_folder(self.session));
        pictures.into_iter().chain(media).collect()
    }
}

/// The folder of the encrypted media of a session's replays in the object store.
fn media_folder(session: Uuid) -> String {
    format!("replays/{session}")
}

/// The folder of a session's pictures in the object store, the best images of its replays among them.
fn picture_folder(session: Uuid) -> String {
    format!("sessions/{session}")
}

/// The key of a face's picture in the object store.
pub(super) fn picture_key(session: Uuid, face: Uuid) -> String {
    format!("sessions/{session}/{face}")
}
