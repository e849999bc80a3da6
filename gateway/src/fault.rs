//! The one error table: what went wrong, and how each API family says it.
//!
//! A [`Fault`] carries words for the caller only; detail goes to the log where it happens.

use std::time::Duration;

/// What a caller is told.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The request is not of the form, or its content cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The request names a URL that the service does not follow.
    #[error("the URL is not allowed: {0}")]
    UrlNotAllowed(String),
    /// No credential, or a wrong one.
    #[error("authentication is required")]
    Unauthenticated,
    /// The credential does not allow this.
    #[error("the permission `{0}` is missing")]
    Forbidden(&'static str),
    /// Nothing is there, or it belongs to another client.
    #[error("{0}")]
    NotFound(String),
    /// Not now, because of something that is under way.
    #[error("{0}")]
    Conflict(String),
    /// The same request is under way, and is answered by then.
    #[error("the request with this key is still in progress")]
    InProgress {
        /// When to come again; shown in whole seconds, at least one.
        retry_after: Duration,
    },
    /// The key of a request was used for another one.
    #[error("this key was used for another request")]
    KeyReused,
    /// The path is there and takes other methods.
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    /// What the API has and this service has not.
    #[error("{0}")]
    NotImplemented(String),
    /// The body stopped coming.
    #[error("the request's body did not arrive in time")]
    SlowBody,
    /// The body, or one part of it, is too long.
    #[error("the request is too big: at most {limit} bytes are allowed{place}")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
        /// Empty, or where, as in ` in image`.
        place: String,
    },
    /// There is no room for this request now.
    #[error("{}", .0.message())]
    Busy(Busy),
    /// The deadline passed while a worker was at it.
    #[error("the request took too long")]
    DeadlineRunning {
        /// The caller named the deadline.
        callers_own: bool,
    },
    /// What the instance needs is not there; /readyz says what.
    #[error("the instance is not working properly")]
    NotWorking,
    /// Anything else; the log has the detail.
    #[error("internal error")]
    Internal,
}

/// Why there is no room, and when to come again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Busy {
    /// Why.
    pub cause: BusyCause,
    /// When to come again; shown in whole seconds, at least one.
    pub retry_after: Duration,
}

/// Causes of a refusal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BusyCause {
    /// The key's rate.
    ClientRate,
    /// The key's quota.
    ClientQuota,
    /// The client's share of what is in flight.
    ClientShare,
    /// Wrong credentials that came from the caller's address.
    FailedLogins,
    /// This gateway's jobs in flight.
    InFlight,
    /// This gateway's bytes in flight.
    Bytes,
    /// The broker's queue.
    QueueFull,
    /// Jobs wait too long at the moment.
    Wait,
    /// No worker came to the job in time.
    NoWorker,
    /// The broker does not answer.
    BrokerUnreachable,
    /// A store does not answer.
    StoreUnreachable,
    /// The deadline passed in the queue.
    DeadlineQueued {
        /// The caller named the deadline.
        callers_own: bool,
    },
}

impl Busy {
    fn message(&self) -> &'static str {
        match self.cause {
            BusyCause::ClientRate => "the request rate of this key is exceeded",
            BusyCause::ClientQuota => "the request quota of this key is used up",
            BusyCause::ClientShare => "this client has too many requests in progress",
            BusyCause::FailedLogins => "too many wrong credentials came from this address",
            BusyCause::BrokerUnreachable | BusyCause::StoreUnreachable => {
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

    /// `Retry-After`: whole seconds, at least one.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        whole_seconds(self.retry_after)
    }
}

fn whole_seconds(retry_after: Duration) -> u64 {
    (retry_after.as_millis() as u64).div_ceil(1000).max(1)
}

/// The status codes of gRPC that the service uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum GrpcCode {
    /// 3
    InvalidArgument = 3,
    /// 4
    DeadlineExceeded = 4,
    /// 5
    NotFound = 5,
    /// 7
    PermissionDenied = 7,
    /// 8
    ResourceExhausted = 8,
    /// 9
    FailedPrecondition = 9,
    /// 12
    Unimplemented = 12,
    /// 13
    Internal = 13,
    /// 14
    Unavailable = 14,
    /// 16
    Unauthenticated = 16,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// Label in metrics and logs.
    pub label: &'static str,
    /// HTTP status of Biometric Services.
    pub biometric_services: u16,
    /// HTTP status of Face Liveness.
    pub face_liveness: u16,
    /// HTTP status of the BWS REST twins.
    pub bws_rest: u16,
    /// Status of gRPC.
    pub grpc: GrpcCode,
}

impl Fault {
    /// A refusal.
    #[must_use]
    pub fn busy(cause: BusyCause, retry_after: Duration) -> Self {
        Self::Busy(Busy { cause, retry_after })
    }

    /// How each family says it.
    #[must_use]
    pub fn row(&self) -> Row {
        let same = |label, status, grpc| Row {
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
            Self::KeyReused => same("key_reused", 422, GrpcCode::InvalidArgument),
            Self::MethodNotAllowed => same("method_not_allowed", 405, GrpcCode::Unimplemented),
            Self::NotImplemented(_) => same("not_implemented", 501, GrpcCode::Unimplemented),
            Self::SlowBody => same("slow_body", 408, GrpcCode::DeadlineExceeded),
            Self::TooLarge { .. } => same("too_large", 413, GrpcCode::InvalidArgument),
            Self::Busy(busy) => busy.cause.row(),
            Self::DeadlineRunning { callers_own } => Row {
                bws_rest: if *callers_own { 408 } else { 500 },
                ..same("deadline_running", 500, GrpcCode::DeadlineExceeded)
            },
            Self::NotWorking => same("not_working", 500, GrpcCode::Unavailable),
            Self::Internal => same("internal", 500, GrpcCode::Internal),
        }
    }

    /// `Retry-After`, where the answer has one: whole seconds, at least one.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Busy(busy) => Some(busy.retry_after_seconds()),
            Self::InProgress { retry_after } => Some(whole_seconds(*retry_after)),
            _ => None,
        }
    }

    /// The refusal in it, where it is one.
    #[must_use]
    pub fn as_busy(&self) -> Option<&Busy> {
        match self {
            Self::Busy(busy) => Some(busy),
            _ => None,
        }
    }
}

impl BusyCause {
    /// How each family says it (`decisions` 5 of the specification).
    #[must_use]
    pub fn row(self) -> Row {
        let demand = |label, bws_rest, grpc| Row {
            label,
            biometric_services: 429,
            face_liveness: 429,
            bws_rest,
            grpc,
        };
        let outage = |label| Row {
            label,
            biometric_services: 503,
            face_liveness: 503,
            bws_rest: 503,
            grpc: GrpcCode::Unavailable,
        };
        match self {
            Self::ClientRate => demand("client_rate", 429, GrpcCode::ResourceExhausted),
            Self::ClientQuota => demand("client_quota", 429, GrpcCode::ResourceExhausted),
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
        for cause in
            [BusyCause::ClientRate, BusyCause::ClientQuota, BusyCause::ClientShare, BusyCause::FailedLogins]
        {
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
        for cause in [BusyCause::BrokerUnreachable, BusyCause::StoreUnreachable] {
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
