//! Names in openapi.json to which several of its parts refer.

/// The security scheme of Biometric Services, and its header.
pub(super) const APIKEY: &str = "apikey";
/// The security scheme of devices, and its header.
pub(super) const CAPTURE_TOKEN: &str = "X-Capture-Token";
/// The security scheme of BWS, and the beginning of its header `Authorization`.
pub(super) const BEARER: &str = "Bearer";
/// The security scheme of Face Liveness.
pub(super) const BASIC: &str = "basic";

/// The JSON that creates a session.
pub(in crate::http) const NEW_SESSION: &str = "NewSession";
/// The JSON that creates a face of a session.
pub(in crate::http) const NEW_FACE: &str = "NewFace";
/// The JSON that sets the parameters of a replay.
pub(in crate::http) const NEW_REPLAY: &str = "NewReplay";
/// The JSON that creates a session of web capture.
pub(in crate::http) const NEW_WEB_CAPTURE: &str = "NewWebCapture";
/// The JSON of a Face Liveness request.
pub(in crate::http) const LIVENESS_REQUEST: &str = "LivenessRequest";
/// The JSON of a BWS liveness detection.
pub(in crate::http) const LIVENESS_DETECTION_REQUEST: &str = "LivenessDetectionRequest";
/// The answer to it.
pub(in crate::http) const LIVENESS_DETECTION: &str = "LivenessDetection";
/// The JSON of a BWS comparison with a photo.
pub(in crate::http) const PHOTO_VERIFY_REQUEST: &str = "PhotoVerifyRequest";
/// The answer to it.
pub(in crate::http) const PHOTO_VERIFY: &str = "PhotoVerify";
/// The JSON of a BWS liveness detection in a video.
pub(in crate::http) const VIDEO_LIVENESS_DETECTION_REQUEST: &str = "VideoLivenessDetectionRequest";
