//! All rows, and the search for the row of a request.

use axum::extract::Request;
use http::{Extensions, Method};

use super::operation::{Access, HttpMethod, Operation};
use super::{biometric, bws, face_liveness, replays, service, sessions, upload, web};
use crate::fault::Fault;

/// The name of all requests that match no operation, so callers cannot add names to the metrics.
const UNKNOWN: &str = "unknown";

/// All operations.
pub static ALL: &[&Operation] = &[
    &biometric::CAPABILITIES,
    &biometric::CREATE_FACE,
    &biometric::MATCH_IMAGES,
    &biometric::MATCH,
    &biometric::CREATE_AGE,
    &sessions::CREATE_SESSION,
    &sessions::GET_SESSION,
    &sessions::DELETE_SESSION,
    &sessions::CREATE_SESSION_FACE,
    &sessions::GET_SESSION_FACES,
    &sessions::DELETE_SESSION_FACES,
    &sessions::GET_SESSION_FACE,
    &sessions::DELETE_SESSION_FACE,
    &sessions::GET_SESSION_FACE_IMAGE,
    &sessions::GET_SESSION_MATCHES,
    &upload::UPLOAD_REPLAY,
    &replays::INIT_REPLAY,
    &replays::GET_REPLAY_PARAMETERS,
    &replays::GET_REPLAY_STATUS,
    &replays::GET_REPLAY_STATUS_V2,
    &replays::INIT_WEB_CAPTURE,
    &replays::GET_CHALLENGE_RESULT,
    &replays::GET_CHALLENGE_RESULT_OF_MODE,
    &replays::VIDEO_CAPABILITIES,
    &replays::VIDEO_CAPABILITIES_UNVERSIONED,
    &replays::VIDEO_MONITOR,
    &bws::LIVENESS_DETECTION,
    &bws::PHOTO_VERIFY,
    &bws::VIDEO_LIVENESS_DETECTION,
    &bws::GRPC_LIVENESS_DETECTION,
    &bws::GRPC_PHOTO_VERIFY,
    &bws::GRPC_VIDEO_LIVENESS_DETECTION,
    &face_liveness::FACE_LIVENESS,
    &service::JWKS,
    &service::SIGNING_CERTIFICATE,
    &service::LIVEZ,
    &service::READYZ,
    &service::OPENAPI,
    &service::DOCS_WITHOUT_SLASH,
    &service::DOCS,
    &service::DOCS_FILE,
    &web::CAPTURE_WITHOUT_SLASH,
    &web::CAPTURE,
    &web::CAPTURE_FILE,
    &web::PLAYGROUND_WITHOUT_SLASH,
    &web::PLAYGROUND,
    &web::PLAYGROUND_FILE,
    &web::WEB_SDK,
    &web::VIDEO_SCRIPT,
    &web::NETWORK_UPLOAD,
    &web::NETWORK_DOWNLOAD,
    &web::NETWORK_LATENCY,
    &web::RELAYS,
    &web::DEMO_SESSION,
    &web::DEMO_RESULT,
    &web::DEMO_IMAGE,
    &service::GRPC_HEALTH_CHECK,
    &service::GRPC_HEALTH_WATCH,
    &service::GRPC_REFLECTION,
    &service::GRPC_REFLECTION_ALPHA,
];

/// The operation with this method at the route that the router matched; `None` for an unknown path, and for a method
/// that the path does not take.
pub(in crate::http) fn find(method: &Method, route: Option<&str>) -> Option<&'static Operation> {
    let method = match *method {
        // The router answers HEAD with the handler of GET.
        Method::GET | Method::HEAD => HttpMethod::Get,
        Method::POST => HttpMethod::Post,
        Method::DELETE => HttpMethod::Delete,
        _ => return None,
    };
    let route = route?;
    ALL.iter().find(|operation| operation.method == method && operation.path == route).copied()
}

/// Whether pages that may capture can call an operation at this route, in place of a device.
pub(in crate::http) fn is_for_capture_pages(route: &str) -> bool {
    ALL.iter().any(|operation| {
        operation.path == route && matches!(operation.access, Access::PermissionOrCapturePage(_))
    })
}

/// The operation that the layer `match_operation` found for a request.
///
/// # Errors
/// [`Fault::Internal`] where there is none: the router serves a path without a row, or lacks the layer.
pub(in crate::http) fn matched(extensions: &Extensions) -> Result<&'static Operation, Fault> {
    extensions.get::<&'static Operation>().copied().ok_or_else(|| {
        tracing::error!("a handler was called for a request that matches no operation");
        Fault::Internal
    })
}

/// The name of a request's operation in metrics and logs.
pub(in crate::http) fn name(request: &Request) -> &'static str {
    request.extensions().get::<&'static Operation>().map_or(UNKNOWN, |operation| operation.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Body, MakesJob};
    use super::*;
    use crate::http::family::Family;

    #[test]
    fn an_operation_is_found_by_its_method_and_route() {
        for operation in ALL {
            let method = operation.method.as_str().parse().unwrap();
            let found = find(&method, Some(operation.path)).unwrap();
            assert!(std::ptr::eq(found, *operation), "{} {}", method, operation.path);
        }
        assert_eq!(find(&Method::HEAD, Some("/livez")).unwrap().name, "livez");
        for (method, route) in
            [(Method::PUT, Some("/livez")), (Method::POST, Some("/livez")), (Method::GET, None)]
        {
            assert!(find(&method, route).is_none(), "{method} {route:?}");
        }
    }

    #[test]
    fn the_columns_of_a_row_agree() {
        let mut described = BTreeSet::new();
        for operation in ALL {
            let Operation { name, path, .. } = operation;
            assert_eq!(operation.family, Family::of(path), "{path}");
            // Forms and whole bodies are received as jobs.
            let makes_job = match operation.body {
                Body::JsonWithPictures { .. } | Body::GrpcMessage
                    if operation.makes_job == MakesJob::Video =>
                {
                    None
                }
                Body::Form(_) | Body::JsonWithPictures { .. } | Body::GrpcMessage => Some(MakesJob::Always),
                Body::FormOrJson { .. } => Some(MakesJob::Sometimes),
                Body::Json { .. } | Body::Upload | Body::GrpcService => Some(MakesJob::Never),
                Body::None => None,
            };
            assert!(makes_job.is_none_or(|makes_job| operation.makes_job == makes_job), "{path}");
            if operation.access == Access::Public {
                assert_eq!(operation.makes_job, MakesJob::Never, "{path}");
                assert!(!operation.is_idempotent, "{path}");
            }
            if operation.description.is_some() {
                assert!(described.insert(*name), "{name} is described twice");
            }
        }
    }
}
