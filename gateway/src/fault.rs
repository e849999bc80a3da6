//! The error table of the gateway: every error that a caller can receive, with its status in each API family.
//!
//! A [`Fault`] holds only the text for the caller. The code that detects an error writes its details to the log.

use std::time::Duration;

use faceline_gateway_store::ClientBound;

/// An error that ends a request. Its `Display` text is the message that the caller reads.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The request is malformed, or its content is unusable.
    #[error("{0}")]
    Invalid(String),
    /// The request contains a URL that the SSRF allow-list does not permit.
    #[error("the URL is not allowed: {0}")]
    UrlNotAllowed(String),
    /// The credential is missing or wrong.
    #[error("authentication is required")]
    Unauthenticated,
    /// The credential lacks the permission with this name.
    #[error("the permission `{0}` is missing")]
    Forbidden(&'static str),
    /// The resource does not exist, or belongs to another client.
    #[error("{0}")]
    NotFound(String),
    /// The state of the resource does not allow the operation at present.
    #[error("{0}")]
    Conflict(String),
    /// Another request with the same idempotency key is in progress.
    #[error("the request with this key is still in progress")]
    InProgress {
        /// The time after which a retry is worthwhile. `Retry-After` shows it in whole seconds, at least 1.
        retry_after: Duration,
    },
    /// Another upload of the same replay is in progress.
    #[error("another upload for this replay is in progress")]
    UploadInProgress {
        /// The time after which a retry is worthwhile, as in [`Fault::InProgress`].
        retry_after: Duration,
    },
    /// The idempotency key was used for a different request.
    #[error("this key was used for another request")]
    KeyReused,
    /// The path exists, but not for this method.
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    /// The API defines this operation or option, and this version does not implement it.
    #[error("{0}")]
    NotImplemented(String),
    /// The body did not arrive in time.
    #[error("the request's body did not arrive in time")]
    SlowBody,
    /// The body, or a part of it, is too long.
    #[error("the request is too big: at most {limit} bytes are allowed{place}")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// Empty, or the part that is too long, with a leading space: ` in image`.
        place: String,
    },
    /// The service refuses the request because of overload, a limit or an outage.
    #[error("{}", .0.message())]
    Busy(Busy),
    /// The deadline passed while a worker was processing the job.
    #[error("the request took too long")]
    DeadlineRunning {
        /// Whether the caller set the deadline.
        callers_own: bool,
    },
    /// This instance lacks something that it needs; `/readyz` names it.
    #[error("the instance is not working properly")]
    NotWorking,
    /// Any other error; the log has the details.
    #[error("internal error")]
    Internal,
}

/// A refusal that the caller can retry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Busy {
    /// The cause of the refusal.
    pub cause: BusyCause,
    /// The time after which a retry is worthwhile. `Retry-After` shows it in whole seconds, at least 1.
    pub retry_after: Duration,
}

/// The cause of a refusal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BusyCause {
    /// The key exceeded its request rate.
    ClientRate,
    /// Too many requests without a credential came from the caller's address.
    AddressRate,
    /// The key used up its quota of the day or month.
    ClientQuota,
    /// The client has reached a bound on what it may keep in the session store.
    ClientStorage(ClientBound),
    /// The client holds its share of the jobs in flight.
    ClientShare,
    /// Too many wrong credentials came from the caller's address, or for its user.
    FailedLogins,
    /// This gateway has as many jobs in flight as its concurrency limit allows.
    InFlight,
    /// This gateway holds as many bytes of requests as its limit allows.
    Bytes,
    /// The broker's job queue is full.
    QueueFull,
    /// The expected waiting time in the queue exceeds the deadline.
    Wait,
    /// No worker took the job in time.
    NoWorker,
    /// The broker is unreachable.
    BrokerUnreachable,
    /// The broker takes no jobs, because its memory or disk is full.
    BrokerBlocked,
    /// The session store or the object store is unreachable.
    StoreUnreachable,
    /// The deadline passed while the job waited in the queue.
    DeadlineQueued {
        /// Whether the caller set the deadline.
        callers_own: bool,
    },
}

impl Busy {
    /// The text for the caller.
    fn message(&self) -> &'static str {
        match self.cause {
            BusyCause::ClientRate => "the request rate of this key is exceeded",
            BusyCause::AddressRate => "the request rate of this address is exceeded",
            BusyCause::ClientQuota => "the request quota of this key is used up",
            BusyCause::ClientStorage(bound) => match bound {
                ClientBound::Sessions => "this client has as many sessions as it may have at the same time",
                ClientBound::Faces => "this client has as many faces in its sessions as it may have",
                ClientBound::SessionBytes => {
                    "the sessions of this client are as large as they may be together"
                }
                ClientBound::IdempotencyRecords => {
                    "this client has used as many idempotency keys as are kept for it"
                }
                ClientBound::IdempotencyBytes => {
                    "the answers that are kept for idempotency keys of this client are as large as they may be"
                }
            },
            BusyCause::ClientShare => "this client has too many requests in progress",
            BusyCause::FailedLogins => "too many wrong credentials came from this address or for this user",
            BusyCause::BrokerUnreachable | BusyCause::BrokerBlocked | BusyCause::StoreUnreachable => {
                "the service is temporarily unavailable, please try again shortly"
            }
            BusyCause::InFlight
            | BusyCause::Bytes
            | BusyCause::QueueFull
            | BusyCause::Wait
            | BusyCause::NoWorker
            | BusyCause::DeadlineQueued { .. } => {
                "the server is currently experiencing high demand, please try again shortly"
            }
        }
    }

    /// The value of `Retry-After`: whole seconds, rounded up, at least 1.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        whole_seconds(self.retry_after)
    }
}

fn whole_seconds(retry_after: Duration) -> u64 {
    (retry_after.as_millis() as u64).div_ceil(1000).max(1)
}

/// The gRPC status codes that the service uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum GrpcCode {
    /// `INVALID_ARGUMENT`, 3.
    InvalidArgument = 3,
    /// `DEADLINE_EXCEEDED`, 4.
    DeadlineExceeded = 4,
    /// `NOT_FOUND`, 5.
    NotFound = 5,
    /// `PERMISSION_DENIED`, 7.
    PermissionDenied = 7,
    /// `RESOURCE_EXHAUSTED`, 8.
    ResourceExhausted = 8,
    /// `FAILED_PRECONDITION`, 9.
    FailedPrecondition = 9,
    /// `UNIMPLEMENTED`, 12.
    Unimplemented = 12,
    /// `INTERNAL`, 13.
    Internal = 13,
    /// `UNAVAILABLE`, 14.
    Unavailable = 14,
    /// `UNAUTHENTICATED`, 16.
    Unauthenticated = 16,
}

/// A row of the error table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorRow {
    /// The label in metrics, logs and usage records.
    pub label: &'static str,
    /// The HTTP status in Biometric Services.
    pub biometric_services: u16,
    /// The HTTP status in Face Liveness.
    pub face_liveness: u16,
    /// The HTTP status in the REST form of BWS.
    pub bws_rest: u16,
    /// The gRPC status code in BWS.
    pub grpc: GrpcCode,
}

impl Fault {
    /// A refusal that the caller can retry after `retry_after`.
    #[must_use]
    pub fn busy(cause: BusyCause, retry_after: Duration) -> Self {
        Self::Busy(Busy { cause, retry_after })
    }

    /// The row of this error in the table.
    #[must_use]
    pub fn row(&self) -> ErrorRow {
        let same = |label, status, grpc| ErrorRow {
            label,
            biometric_services: status,
            face_liveness: status,
            bws_rest: status,
            grpc,
        };
        match self {
            Self::Invalid(_) => same("invalid", 400, GrpcCode::InvalidArgument),
            Self::UrlNotAllowed(_) => same("url_not_allowed", 400, GrpcCode::InvalidArgument),
            Self::Unauthenticated => same("unauthenticated", 401, GrpcCode::Unauthenticated),
            Self::Forbidden(_) => same("forbidden", 403, GrpcCode::PermissionDenied),
            Self::NotFound(_) => same("not_found", 404, GrpcCode::NotFound),
            Self::Conflict(_) => same("conflict", 409, GrpcCode::FailedPrecondition),
            Self::InProgress { .. } => same("in_progress", 409, GrpcCode::FailedPrecondition),
            Self::UploadInProgress { .. } => same("upload_in_progress", 409, GrpcCode::FailedPrecondition),
            Self::KeyReused => same("key_reused", 422, GrpcCode::InvalidArgument),
            Self::MethodNotAllowed => same("method_not_allowed", 405, GrpcCode::Unimplemented),
            Self::NotImplemented(_) => same("not_implemented", 501, GrpcCode::Unimplemented),
            Self::SlowBody => same("slow_body", 408, GrpcCode::DeadlineExceeded),
            Self::TooLarge { .. } => same("too_large", 413, GrpcCode::InvalidArgument),
            Self::Busy(busy) => busy.cause.row(),
            Self::DeadlineRunning { callers_own } => ErrorRow {
                bws_rest: if *callers_own { 408 } else { 500 },
                ..same("deadline_running", 500, GrpcCode::DeadlineExceeded)
            },
            Self::NotWorking => same("not_working", 500, GrpcCode::Unavailable),
            Self::Internal => same("internal", 500, GrpcCode::Internal),
        }
    }

    /// The value of `Retry-After`, for errors that have one: whole seconds, rounded up, at least 1.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Busy(busy) => Some(busy.retry_after_seconds()),
            Self::InProgress { retry_after } | Self::UploadInProgress { retry_after } => {
                Some(whole_seconds(*retry_after))
            }
            _ => None,
        }
    }

    /// The refusal, where the error is one.
    #[must_use]
    pub fn as_busy(&self) -> Option<&Busy> {
        match self {
            Self::Busy(busy) => Some(busy),
            _ => None,
        }
    }
}

impl BusyCause {
    /// The row of this cause in the table (ARCHITECTURE.md, *One error table*).
    #[must_use]
    pub fn row(self) -> ErrorRow {
        let demand = |label, bws_rest, grpc| ErrorRow {
            label,
            biometric_services: 429,
            face_liveness: 429,
            bws_rest,
            grpc,
        };
        let outage = |label| ErrorRow {
            label,
            biometric_services: 503,
            face_liveness: 503,
            bws_rest: 503,
            grpc: GrpcCode::Unavailable,
        };
        match self {
            Self::ClientRate => demand("client_rate", 429, GrpcCode::ResourceExhausted),
            Self::AddressRate => demand("address_rate", 429, GrpcCode::ResourceExhausted),
            Self::ClientQuota | Self::ClientStorage(_) => {
                demand("client_quota", 429, GrpcCode::ResourceExhausted)
            }
            Self::ClientShare => demand("client_share", 429, GrpcCode::ResourceExhausted),
            Self::FailedLogins => demand("failed_logins", 429, GrpcCode::ResourceExhausted),
            Self::InFlight => demand("in_flight", 503, GrpcCode::Unavailable),
            Self::Bytes => demand("bytes", 503, GrpcCode::Unavailable),
            Self::QueueFull => demand("queue_full", 503, GrpcCode::Unavailable),
            Self::Wait => demand("wait", 503, GrpcCode::Unavailable),
            Self::NoWorker => demand("no_worker", 503, GrpcCode::Unavailable),
            Self::DeadlineQueued { callers_own } => demand(
                "deadline_queued",
                503,
                if callers_own { GrpcCode::DeadlineExceeded } else { GrpcCode::Unavailable },
            ),
            Self::BrokerUnreachable => outage("broker_unreachable"),
            Self::BrokerBlocked => outage("broker_blocked"),
            Self::StoreUnreachable => outage("store_unreachable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(fault: &Fault) -> (u16, u16, u16, u8) {
        let row = fault.row();
        (row.biometric_services, row.face_liveness, row.bws_rest, row.grpc as u8)
    }

    #[test]
    fn overload_is_said_as_the_decisions_have_it() {
        let busy = |cause| statuses(&Fault::busy(cause, Duration::ZERO));
        for cause in [
            BusyCause::ClientRate,
            BusyCause::AddressRate,
            BusyCause::ClientQuota,
            BusyCause::ClientStorage(ClientBound::Faces),
            BusyCause::ClientShare,
            BusyCause::FailedLogins,
        ] {
            assert_eq!(busy(cause), (429, 429, 429, 8), "{cause:?}");
        }
        for cause in [
            BusyCause::InFlight,
            BusyCause::Bytes,
            BusyCause::QueueFull,
            BusyCause::Wait,
            BusyCause::NoWorker,
        ] {
            assert_eq!(busy(cause), (429, 429, 503, 14), "{cause:?}");
        }
        for cause in [BusyCause::BrokerUnreachable, BusyCause::BrokerBlocked, BusyCause::StoreUnreachable] {
            assert_eq!(busy(cause), (503, 503, 503, 14), "{cause:?}");
        }
        assert_eq!(busy(BusyCause::DeadlineQueued { callers_own: true }), (429, 429, 503, 4));
        assert_eq!(busy(BusyCause::DeadlineQueued { callers_own: false }), (429, 429, 503, 14));
        assert_eq!(statuses(&Fault::DeadlineRunning { callers_own: true }), (500, 500, 408, 4));
        assert_eq!(statuses(&Fault::DeadlineRunning { callers_own: false }), (500, 500, 500, 4));
    }

    #[test]
    fn what_is_not_there_is_not_implemented_in_grpc() {
        assert_eq!(statuses(&Fault::NotImplemented(String::new())), (501, 501, 501, 12));
        assert_eq!(statuses(&Fault::MethodNotAllowed), (405, 405, 405, 12));
    }

    #[test]
    fn retry_after_is_at_least_a_second_and_never_early() {
        let seconds = |millis| {
            Busy { cause: BusyCause::Wait, retry_after: Duration::from_millis(millis) }.retry_after_seconds()
        };
        assert_eq!([seconds(0), seconds(1), seconds(1000), seconds(1001)], [1, 1, 1, 2]);
    }
}
