//! The place of encrypted media in the object store.

use faceline_shared::job::JobId;
use uuid::Uuid;

/// Key of the object of encrypted media.
pub(super) fn media_key(session: Uuid, job: JobId) -> String {
    format!("replays/{session}/{job}")
}
