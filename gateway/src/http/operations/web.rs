//! Operations for browsers, which need no credential: the capture page, the playground, the web SDK, the scripts for
//! pages of the original service and the endpoints of their network measurement, and the sessions of the demonstration.

use super::body::Body;
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::http::family::Family;

/// The parameter of a path below that is a file.
pub(in crate::http) const FILE: &str = "file";

/// Redirects to the capture page.
pub static CAPTURE_WITHOUT_SLASH: Operation = Operation {
    name: "capture_page",
    method: HttpMethod::Get,
    path: "/web/capture",
    family: Family::BiometricServices,
    access: Access::Public,
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: None,
};

/// The page that captures a video and uploads it.
pub static CAPTURE: Operation = Operation { path: "/web/capture/", ..CAPTURE_WITHOUT_SLASH };

/// A file of the capture page.
pub static CAPTURE_FILE: Operation = Operation { path: "/web/capture/{*file}", ..CAPTURE_WITHOUT_SLASH };

/// Redirects to the playground.
pub static PLAYGROUND_WITHOUT_SLASH: Operation =
    Operation { name: "playground", path: "/web/playground", ..CAPTURE_WITHOUT_SLASH };

/// The page on which other calls can be tried.
pub static PLAYGROUND: Operation = Operation { path: "/web/playground/", ..PLAYGROUND_WITHOUT_SLASH };

/// A file of the playground.
pub static PLAYGROUND_FILE: Operation =
    Operation { path: "/web/playground/{*file}", ..PLAYGROUND_WITHOUT_SLASH };

/// A file of the web SDK.
pub static WEB_SDK: Operation =
    Operation { name: "web_sdk", path: "/web/sdk/{file}", ..CAPTURE_WITHOUT_SLASH };

/// A script for pages of the original service.
pub static VIDEO_SCRIPT: Operation =
    Operation { name: "video_script", path: "/video-server/{file}", ..CAPTURE_WITHOUT_SLASH };

/// Receives bytes, so a page can measure how fast it sends.
pub static NETWORK_UPLOAD: Operation = Operation {
    name: "network_upload",
    method: HttpMethod::Post,
    path: "/video-server/network-speed",
    ..CAPTURE_WITHOUT_SLASH
};

/// Sends bytes, so a page can measure how fast it receives.
pub static NETWORK_DOWNLOAD: Operation =
    Operation { name: "network_download", path: "/video-server/network-speed", ..CAPTURE_WITHOUT_SLASH };

/// Answers at once, so a page can measure its latency.
pub static NETWORK_LATENCY: Operation =
    Operation { name: "network_latency", path: "/video-server/network-latency", ..CAPTURE_WITHOUT_SLASH };

/// The relays that older pages ask for: an empty list, since videos are uploaded.
pub static RELAYS: Operation =
    Operation { name: "relays", path: "/video-server/coturnService", ..CAPTURE_WITHOUT_SLASH };

/// Creates a session of the demo account with a replay.
pub static DEMO_SESSION: Operation = Operation {
    name: "demo_session",
    method: HttpMethod::Post,
    path: "/web/demo/sessions",
    ..CAPTURE_WITHOUT_SLASH
};

/// The status of the replay of such a session.
pub static DEMO_RESULT: Operation =
    Operation { name: "demo_result", path: "/web/demo/sessions/{session}/result", ..CAPTURE_WITHOUT_SLASH };

/// The best image of the replay of such a session.
pub static DEMO_IMAGE: Operation = Operation {
    name: "demo_image",
    path: "/web/demo/sessions/{session}/best-image",
    ..CAPTURE_WITHOUT_SLASH
};
