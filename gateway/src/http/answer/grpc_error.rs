//! Errors over gRPC: a status, a message, and the time after which to try again.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::labels::GrpcErrorStatus;
use crate::fault::Fault;
use crate::http::grpc::headers::{ACCEPT_ENCODING, SUPPORTED_ENCODINGS};

/// The answer to a call that was refused or failed.
pub(super) fn response(fault: &Fault) -> Response {
    let row = fault.row();
    let code = Code::from_i32(row.grpc as i32);
    let status = match fault.retry_after_seconds().map(Duration::from_secs) {
        Some(retry) => {
            let details = ErrorDetails::with_retry_info(Some(retry));
            Status::with_error_details(code, fault.to_string(), details)
        }
        None => Status::new(code, fault.to_string()),
    };
    let mut response = status.into_http::<Body>();
    response.headers_mut().insert(ACCEPT_ENCODING, SUPPORTED_ENCODINGS);
    let status = StatusCode::from_u16(row.bws_rest).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(GrpcErrorStatus(status));
    response
}

#[cfg(test)]
mod tests {
    use super::super::labels::effective_status;
    use super::*;
    use crate::fault::BusyCause;

    #[test]
    fn a_refusal_says_when_to_come_again_and_what_it_comes_to() {
        for (cause, code, status) in [
            (BusyCause::ClientRate, Code::ResourceExhausted, 429),
            (BusyCause::Wait, Code::Unavailable, 503),
            (BusyCause::BrokerUnreachable, Code::Unavailable, 503),
        ] {
            let response = response(&Fault::busy(cause, Duration::from_millis(2100)));
            let grpc = Status::from_header_map(response.headers()).unwrap();
            assert_eq!(grpc.code(), code);
            assert!(!grpc.message().is_empty());
            let retry = grpc.get_error_details().retry_info().unwrap().retry_delay;
            assert_eq!(retry, Some(Duration::from_secs(3)));
            assert_eq!(effective_status(&response), status);
            assert_eq!(response.status(), 200);
        }
        let response = response(&Fault::Invalid("wörds\n".into()));
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "wörds\n"));
        assert!(status.details().is_empty());
    }
}
