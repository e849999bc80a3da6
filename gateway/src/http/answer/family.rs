//! The API families, by the form of their errors.

use crate::fault::{ErrorRow, Fault};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::families::face_liveness::LivenessAnswer;
use crate::families::json;
use crate::http::grpc;

/// Paths of Face Liveness.
const FACE_LIVENESS: &str = "/api/v1/face/";
/// Paths of the REST twins of BWS.
const BWS: &str = "/api/v1/";
/// Paths of BWS over gRPC.
const BWS_GRPC: &str = "/bioid.services.v1.";
/// HTTP's status for who is not known.
const UNAUTHENTICATED: u16 = 401;

/// An API family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::http) enum Family {
    /// Also every path without a family of its own.
    BiometricServices,
    /// BWS over REST.
    Bws,
    /// BWS over gRPC, and all else of gRPC.
    Grpc,
    /// Face Liveness.
    FaceLiveness,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ErrorObject {
    /// The error's id, which is in the service's log.
    id: Uuid,
    /// What went wrong, in words.
    message: String,
}

/// What went wrong, as BWS says it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct BwsError {
    /// The status that gRPC would have.
    code: u8,
    /// What went wrong, in words.
    message: String,
    /// Nothing.
    #[schema(value_type = Vec<String>, max_items = 0)]
    details: [(); 0],
}

impl Family {
    /// The family of a path, whether there is something or not.
    pub(in crate::http) fn of(path: &str) -> Self {
        if path.starts_with(BWS_GRPC) {
            return Self::Grpc;
        }
        if path.starts_with(FACE_LIVENESS) {
            Self::FaceLiveness
        } else if path.starts_with(BWS) {
            Self::Bws
        } else {
            Self::BiometricServices
        }
    }

    /// The family of a request, which may be gRPC for something that is not there.
    pub(in crate::http) fn of_request(path: &str, headers: &HeaderMap) -> Self {
        if grpc::is_grpc(headers) { Self::Grpc } else { Self::of(path) }
    }

    /// Its name in usage records.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::BiometricServices => "biometric_services",
            Self::Bws | Self::Grpc => "bws",
            Self::FaceLiveness => "face_liveness",
        }
    }

    /// The HTTP status of an error; of gRPC what it comes to.
    pub(in crate::http) fn status(self, row: &ErrorRow) -> u16 {
        match self {
            Self::BiometricServices => row.biometric_services,
            Self::Bws | Self::Grpc => row.bws_rest,
            Self::FaceLiveness => row.face_liveness,
        }
    }

    /// The JSON body of an error.
    pub(in crate::http) fn body(self, id: Uuid, fault: &Fault) -> Vec<u8> {
        let message = fault.to_string();
        let written = match self {
            Self::BiometricServices => json::to_vec(&ErrorObject { id, message }),
            Self::Bws | Self::Grpc => {
                json::to_vec(&BwsError { code: fault.row().grpc as u8, message, details: [] })
            }
            Self::FaceLiveness => json::to_vec(&LivenessAnswer::refused(None, fault)),
        };
        written.unwrap_or_default()
    }

    /// Headers that an error has in this family only.
    pub(in crate::http) fn add_headers(self, status: u16, headers: &mut HeaderMap) {
        let challenge = match self {
            Self::BiometricServices | Self::Grpc => return,
            Self::Bws => "Bearer",
            Self::FaceLiveness => "Basic realm=\"faceline\"",
        };
        if status == UNAUTHENTICATED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_family_whose_clients_use_it() {
        for (path, family) in [
            ("/api/v1/face/liveness", Family::FaceLiveness),
            ("/api/v1/livenessdetection", Family::Bws),
            ("/api/v1/nothing", Family::Bws),
            ("/bioid.services.v1.BioIDWebService/PhotoVerify", Family::Grpc),
            ("/bioserver-app/v2/faces", Family::BiometricServices),
            ("/", Family::BiometricServices),
        ] {
            assert_eq!(Family::of(path), family, "{path}");
        }
    }
}
