//! Operations of replays, and of web capture, which has them under other paths.

use serde_json::json;

use super::body::Body;
use super::description::{Description, REFUSALS_IN_SESSION, REFUSALS_WITH_BODY, Success, Tag};
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::accounts::Permission;
use crate::families::biometric::schema::name;
use crate::http::family::Family;
use crate::http::openapi::names;

/// The parameter of a path below that is the mode of a challenge.
pub(in crate::http) const MODE: &str = "mode";
/// The parameter of a path below that is the security level of a challenge.
pub(in crate::http) const LEVEL: &str = "level";
/// The query parameter with the number of challenges.
pub(in crate::http) const NUMBER_OF_CHALLENGE: &str = "numberOfChallenge";

/// Set the parameters of a session's replay.
pub static INIT_REPLAY: Operation = Operation {
    name: "init_liveness_parameters",
    method: HttpMethod::Post,
    path: "/bioserver-app/v2/bio-sessions/{session}/init-liveness-parameters",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::ReplaysCreate),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::Json {
        schema: names::NEW_REPLAY,
        example: || json!({"type": "LIVENESS_PASSIVE_VIDEO", "securityLevel": "HIGH", "id": "replay-id"}),
    },
    description: Some(Description {
        tag: Tag::Replays,
        summary: "Set the parameters of a session's replay",
        details: "New parameters replace earlier ones, unless a video of the session is being judged (409).",
        success: Success::NewReplay(name::REPLAY_PARAMETERS),
        refusals: &[400, 401, 403, 404, 413, 429, 503],
    }),
};

/// Read the parameters of a session's replay.
pub static GET_REPLAY_PARAMETERS: Operation = Operation {
    name: "get_liveness_parameters",
    method: HttpMethod::Get,
    path: "/bioserver-app/v2/bio-sessions/{session}/liveness-parameters",
    family: Family::BiometricServices,
    access: Access::PermissionOrCapturePage(Permission::ReplaysRead),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Replays,
        summary: "Read the parameters of a session's replay",
        details: "Repeats the answer to the request that set them, byte for byte.",
        success: Success::One(name::REPLAY_PARAMETERS),
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// Read the status of a session's replay.
pub static GET_REPLAY_STATUS: Operation = Operation {
    name: "get_replay_status",
    method: HttpMethod::Get,
    path: "/bioserver-app/v3/bio-sessions/{session}/replay-liveness-metadata",
    family: Family::BiometricServices,
    access: Access::PermissionOrCapturePage(Permission::ReplaysRead),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Replays,
        summary: "Read the status of a session's replay",
        details: "",
        success: Success::One(name::REPLAY_STATUS),
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// The same under its deprecated path.
pub static GET_REPLAY_STATUS_V2: Operation = Operation {
    name: "get_replay_status_v2",
    path: "/bioserver-app/v2/bio-sessions/{session}/replay-liveness-metadata",
    access: Access::PermissionOrCaptureToken(Permission::ReplaysRead),
    description: Some(Description {
        tag: Tag::Replays,
        summary: "Read the status of a session's replay (deprecated)",
        details: "The same operation under `/v3` gives the same answer.",
        success: Success::Deprecated(name::REPLAY_STATUS),
        refusals: REFUSALS_IN_SESSION,
    }),
    ..GET_REPLAY_STATUS
};

/// Create a session of web capture with its replay.
pub static INIT_WEB_CAPTURE: Operation = Operation {
    name: "init_liveness_session",
    method: HttpMethod::Post,
    path: "/video-server/init-liveness-session",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::ReplaysCreate),
    makes_job: MakesJob::Never,
    is_idempotent: true,
    body: Body::Json {
        schema: names::NEW_WEB_CAPTURE,
        example: || json!({"livenessMode": "LIVENESS_ACTIVE", "numberOfChallenge": 2, "securityLevel": "HIGH"}),
    },
    description: Some(Description {
        tag: Tag::WebCapture,
        summary: "Create a session for web capture, with its challenge",
        details: "The session keeps pictures, and the best image of its video becomes one of its faces.",
        success: Success::NewWebCapture,
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// Read the result of a challenge.
pub static GET_CHALLENGE_RESULT: Operation = Operation {
    name: "get_challenge_result",
    method: HttpMethod::Get,
    path: "/bioserver-app/v2/bio-sessions/{session}/liveness-challenge-result",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::ReplaysRead),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::WebCapture,
        summary: "Read the result of a challenge",
        details: "",
        success: Success::One(name::CHALLENGE_RESULT),
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// The same, for older clients.
pub static GET_CHALLENGE_RESULT_OF_MODE: Operation = Operation {
    name: "get_challenge_result_of_mode",
    path: "/bioserver-app/v2/bio-sessions/{session}/liveness-challenge-result/{mode}/{level}",
    description: Some(Description {
        tag: Tag::WebCapture,
        summary: "Read the result of a challenge of this mode and level",
        details: "For older clients. A mode or level other than that of the challenge is refused (400).",
        success: Success::One(name::CHALLENGE_RESULT),
        refusals: REFUSALS_IN_SESSION,
    }),
    ..GET_CHALLENGE_RESULT
};

/// Read the version of the video server.
pub static VIDEO_CAPABILITIES: Operation = Operation {
    name: "video_capabilities",
    method: HttpMethod::Get,
    path: "/video-server/v2/capabilities",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::WebCapture,
        summary: "Read the version of the service",
        details: "Browsers call it, so it needs no key. `/video-server/capabilities` gives the same answer.",
        success: Success::One(name::VIDEO_CAPABILITIES),
        refusals: &[],
    }),
};

/// The same without a version in the path.
pub static VIDEO_CAPABILITIES_UNVERSIONED: Operation =
    Operation { path: "/video-server/capabilities", description: None, ..VIDEO_CAPABILITIES };

/// The same under the path of the oldest clients.
pub static VIDEO_MONITOR: Operation =
    Operation { path: "/video-server/v2/monitor", description: None, ..VIDEO_CAPABILITIES };
