//! The description of an operation in openapi.json, apart from the facts in the other columns.

/// The description of an operation and of its answers.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Description {
    /// The group that it belongs to.
    pub(in crate::http) tag: Tag,
    /// The effect of the operation, in a few words.
    pub(in crate::http) summary: &'static str,
    /// Further facts that a caller needs; may be empty.
    pub(in crate::http) details: &'static str,
    /// The answer to a request that succeeds.
    pub(in crate::http) success: Success,
    /// Statuses of the refusals that callers or outages cause. All other errors are the response `default`.
    /// Operations that read `Idempotency-Key` have 409 and 422 besides.
    pub(in crate::http) refusals: &'static [u16],
}

/// Refusals of operations whose body is read.
pub(super) const REFUSALS_WITH_BODY: &[u16] = &[400, 401, 403, 413, 429, 503];
/// Refusals of operations on a session or what is in it.
pub(super) const REFUSALS_IN_SESSION: &[u16] = &[400, 401, 403, 404, 429, 503];

/// The answer to a request that succeeds.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Success {
    /// 200 with a value of the schema with this name.
    One(&'static str),
    /// 200 with a value of the schema with this name, and a capture token.
    NewReplay(&'static str),
    /// 201 without a body, with a capture token.
    NewWebCapture,
    /// 200 with a value of the schema with this name, from an operation that has a successor.
    Deprecated(&'static str),
    /// 200 with an answer of Face Liveness.
    Liveness,
    /// 200 with a list of values of the schema with this name.
    List(&'static str),
    /// 201 without a body.
    Created,
    /// 202 without a body.
    Accepted,
    /// 204.
    NoContent,
    /// 200 with a picture, or 204.
    Picture,
    /// 200 with public keys.
    Keys,
    /// 200 with text of this media type.
    Text(&'static str),
}

/// A group of operations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::http) enum Tag {
    FacesAndMatches,
    Sessions,
    SessionFaces,
    Replays,
    WebCapture,
    Bws,
    FaceLiveness,
    Service,
    Public,
}

impl Tag {
    /// All groups, in the order of the document.
    pub(in crate::http) const ALL: [Self; 9] = [
        Self::FacesAndMatches,
        Self::Sessions,
        Self::SessionFaces,
        Self::Replays,
        Self::WebCapture,
        Self::Bws,
        Self::FaceLiveness,
        Self::Service,
        Self::Public,
    ];

    /// The group's name in the document.
    pub(in crate::http) fn name(self) -> &'static str {
        match self {
            Self::FacesAndMatches => "Faces and matches",
            Self::Sessions => "Sessions",
            Self::SessionFaces => "Faces of a session",
            Self::Replays => "Replay liveness",
            Self::WebCapture => "Web capture",
            Self::Bws => "BWS",
            Self::FaceLiveness => "Face Liveness",
            Self::Service => "Service",
            Self::Public => "Public",
        }
    }

    /// The description of the group.
    pub(in crate::http) fn text(self) -> &'static str {
        match self {
            Self::FacesAndMatches => "Operations outside sessions. Neither pictures nor faces are kept.",
            Self::Sessions => "The end of a session deletes all that belongs to it.",
            Self::SessionFaces => "Faces that are kept until they are deleted, or the session ends.",
            Self::Replays => "Liveness detection in a video that a device captures.",
            Self::WebCapture => "Replay liveness for web pages, under the original service's paths.",
            Self::Bws => "Liveness detection, and comparison with a photo. Also available over gRPC.",
            Self::FaceLiveness => "Passive liveness detection, with HTTP Basic authentication.",
            Self::Service => "The capabilities of the service.",
            Self::Public => "Operations that need no credential.",
        }
    }
}
