//! The upload of a replay.

use super::body::Body;
use super::description::{Description, Success, Tag};
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::accounts::Permission;
use crate::http::family::Family;

/// Upload the video of a session's replay.
pub static UPLOAD_REPLAY: Operation = Operation {
    name: "upload_replay",
    method: HttpMethod::Post,
    path: "/bioserver-app/v2/bio-sessions/{session}/replay-liveness",
    family: Family::BiometricServices,
    access: Access::PermissionOrCapturePage(Permission::ReplaysUpload),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::Upload,
    description: Some(Description {
        tag: Tag::Replays,
        summary: "Upload the video of a replay",
        details: "The document `capture-client.md` specifies the format of both parts. A repeated upload \
                  gets the same answer.",
        success: Success::Accepted,
        refusals: &[400, 401, 403, 404, 408, 409, 413, 429, 503],
    }),
};
