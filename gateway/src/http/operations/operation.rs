//! The columns of a row.

use super::body::Body;
use super::description::Description;
use crate::accounts::Permission;
use crate::http::family::Family;

/// One operation: what the gateway does for a request with this method to this path.
#[derive(Debug)]
pub struct Operation {
    /// The name in metrics, logs, usage records and openapi.json. Operations that operators need not tell apart share
    /// one: an operation of BWS and its gRPC method, the pages of the documentation.
    pub name: &'static str,
    /// The method. A path that is read with GET answers HEAD, too.
    pub method: HttpMethod,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// Decides which kind of credential is read, and how errors are written.
    pub family: Family,
    /// The callers that are accepted.
    pub access: Access,
    /// Whether a request becomes a job for the workers.
    pub makes_job: MakesJob,
    /// Whether `Idempotency-Key` is read: a request that is sent again with the same key gets the first one's answer.
    pub is_idempotent: bool,
    /// The body that a request has.
    pub(in crate::http) body: Body,
    /// The operation's description in openapi.json; `None` leaves the operation out.
    pub(in crate::http) description: Option<Description>,
}

/// The method of an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HttpMethod {
    /// `GET`, and `HEAD`.
    Get,
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
}

impl HttpMethod {
    /// The method as a request line has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// The callers that an operation accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Everybody, without a credential.
    Public,
    /// Callers whose key has this permission.
    Permission(Permission),
    /// Callers whose key has this permission, and devices that hold the capture token of the replay of the session in
    /// the path.
    PermissionOrCaptureToken(Permission),
    /// The same, and capture pages that know the id of the session in the path, where
    /// `capture.session_id_authorises` is set.
    PermissionOrCapturePage(Permission),
}

/// Whether a request becomes a job for the workers, and which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MakesJob {
    /// The gateway answers by itself.
    Never,
    /// Every request takes a slot among the jobs in flight when it is admitted, and becomes a job unless there is
    /// nothing to compute.
    Always,
    /// The same for jobs about videos, which have slots of their own.
    Video,
    /// Some requests become jobs. The handler decides, and takes the slot among the jobs in flight then.
    Sometimes,
}
