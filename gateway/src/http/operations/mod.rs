//! The table of operations: one row for each thing that a caller can ask for.
//!
//! A row states the method and the path of an operation, the callers that it accepts, the body that it takes, whether
//! it makes a job for the workers, whether it reads `Idempotency-Key`, its name in metrics, logs and usage records, and
//! its description in openapi.json. The router, the reception of requests, the layers, openapi.json and the matrix test
//! all read these rows.
//!
//! [`operation`](Operation), `body` and `description` define the columns; `biometric`, `sessions`, `replays`, `bws`,
//! `face_liveness`, `service` and `web` hold the rows; `all` lists them and finds the row of a request.

mod all;
mod biometric;
mod body;
mod bws;
mod description;
mod face_liveness;
mod operation;
mod replays;
mod service;
mod sessions;
mod upload;
mod web;

pub use self::all::ALL;
pub(in crate::http) use self::all::{find, is_for_capture_pages, matched, name};
pub use self::biometric::{CAPABILITIES, CREATE_AGE, CREATE_FACE, MATCH, MATCH_IMAGES};
pub(in crate::http) use self::body::{Body, BodyLimit, FORMS, FormBody};
pub use self::bws::{
    GRPC_LIVENESS_DETECTION, GRPC_PHOTO_VERIFY, GRPC_VIDEO_LIVENESS_DETECTION, LIVENESS_DETECTION,
    PHOTO_VERIFY, VIDEO_LIVENESS_DETECTION,
};
pub(in crate::http) use self::description::{Description, Success, Tag};
pub use self::face_liveness::FACE_LIVENESS;
pub use self::operation::{Access, HttpMethod, MakesJob, Operation};
pub use self::replays::{
    GET_CHALLENGE_RESULT, GET_CHALLENGE_RESULT_OF_MODE, GET_REPLAY_PARAMETERS, GET_REPLAY_STATUS,
    GET_REPLAY_STATUS_V2, INIT_REPLAY, INIT_WEB_CAPTURE, VIDEO_CAPABILITIES, VIDEO_CAPABILITIES_UNVERSIONED,
    VIDEO_MONITOR,
};
pub(in crate::http) use self::replays::{LEVEL, MODE, NUMBER_OF_CHALLENGE};
pub use self::service::{
    DOCS, DOCS_FILE, DOCS_WITHOUT_SLASH, GRPC_HEALTH_CHECK, GRPC_HEALTH_WATCH, GRPC_REFLECTION,
    GRPC_REFLECTION_ALPHA, JWKS, LIVEZ, OPENAPI, READYZ, SIGNING_CERTIFICATE,
};
pub use self::sessions::{
    CREATE_SESSION, CREATE_SESSION_FACE, DELETE_SESSION, DELETE_SESSION_FACE, DELETE_SESSION_FACES,
    GET_SESSION, GET_SESSION_FACE, GET_SESSION_FACE_IMAGE, GET_SESSION_FACES, GET_SESSION_MATCHES,
};
pub(in crate::http) use self::sessions::{FACE_ID, SESSION_ID};
pub use self::upload::UPLOAD_REPLAY;
pub(in crate::http) use self::web::FILE;
pub use self::web::{
    CAPTURE, CAPTURE_FILE, CAPTURE_WITHOUT_SLASH, DEMO_IMAGE, DEMO_RESULT, DEMO_SESSION, NETWORK_DOWNLOAD,
    NETWORK_LATENCY, NETWORK_UPLOAD, PLAYGROUND, PLAYGROUND_FILE, PLAYGROUND_WITHOUT_SLASH, RELAYS,
    VIDEO_SCRIPT, WEB_SDK,
};
