//! The API families. Each has its own credentials and its own form of errors.

use http::HeaderMap;

use super::intake::content_type;

/// Paths of Face Liveness.
const FACE_LIVENESS: &str = "/api/v1/face/";
/// Paths of BWS over REST.
const BWS: &str = "/api/v1/";
/// Paths of BWS over gRPC.
const BWS_GRPC: &str = "/bioid.services.v1.";

/// An API family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// Biometric Services, and every path that belongs to no other family.
    BiometricServices,
    /// BWS over REST.
    Bws,
    /// BWS over gRPC. Requests for unknown gRPC methods belong to it, too.
    Grpc,
    /// Face Liveness.
    FaceLiveness,
}

impl Family {
    /// The family of a path, whether or not an operation is served there.
    pub(in crate::http) fn of(path: &str) -> Self {
        if path.starts_with(BWS_GRPC) {
            Self::Grpc
        } else if path.starts_with(FACE_LIVENESS) {
            Self::FaceLiveness
        } else if path.starts_with(BWS) {
            Self::Bws
        } else {
            Self::BiometricServices
        }
    }

    /// The family that decides the error format of a request. A gRPC caller gets gRPC errors at every path.
    pub(in crate::http) fn of_request(path: &str, headers: &HeaderMap) -> Self {
        if content_type::is_grpc(headers) { Self::Grpc } else { Self::of(path) }
    }

    /// The family's name in usage records.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::BiometricServices => "biometric_services",
            Self::Bws | Self::Grpc => "bws",
            Self::FaceLiveness => "face_liveness",
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
