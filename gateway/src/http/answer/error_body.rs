//! Errors as JSON, in the form of each family.

use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::families::face_liveness;
use crate::families::json;
use crate::fault::{ErrorRow, Fault};
use crate::http::family::Family;

/// The HTTP status for a caller without a valid credential.
const UNAUTHENTICATED: u16 = 401;

/// An error.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ErrorObject {
    /// The error's id, which the service's log contains, too.
    id: Uuid,
    /// A message for people.
    message: String,
}

/// An error of BWS.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct BwsError {
    /// The gRPC status code of the error.
    code: u8,
    /// A message for people.
    message: String,
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0)]
    details: [(); 0],
}

/// The HTTP status of an error. Over gRPC it is the status that metrics and usage records show.
pub(in crate::http) fn status(family: Family, row: &ErrorRow) -> u16 {
    match family {
        Family::BiometricServices => row.biometric_services,
        Family::Bws | Family::Grpc => row.bws_rest,
        Family::FaceLiveness => row.face_liveness,
    }
}

/// The JSON body of an error.
pub(super) fn write(family: Family, id: Uuid, fault: &Fault) -> Vec<u8> {
    let message = fault.to_string();
    let written = match family {
        Family::BiometricServices => json::to_vec(&ErrorObject { id, message }),
        Family::Bws | Family::Grpc => {
            json::to_vec(&BwsError { code: fault.row().grpc as u8, message, details: [] })
        }
        Family::FaceLiveness => json::to_vec(&face_liveness::LivenessAnswer::refused(None, fault)),
    };
    written.unwrap_or_default()
}

/// Adds the headers that an error has in this family only.
pub(super) fn add_headers(family: Family, status: u16, headers: &mut HeaderMap) {
    let challenge = match family {
        Family::BiometricServices | Family::Grpc => return,
        Family::Bws => "Bearer",
        Family::FaceLiveness => "Basic realm=\"faceline\"",
    };
    if status == UNAUTHENTICATED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
}
