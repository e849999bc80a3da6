//! The OpenAPI schemas of the answers of Biometric Services, made from the types in `answer.rs`.

mod never_null;
pub(super) mod types;

use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema as _, ToSchema};

use self::never_null::never_null;
use super::answer::{AgeAnswer, Capabilities, FaceAnswer, MatchAnswer, SessionAnswer};
use super::reference_face::ReferenceFace;
use super::replay_answer::{ChallengeResult, ParametersAnswer, StatusAnswer, VideoCapabilities};

pub use self::types::TYPES_WITH_AGE;

/// A schema with its name in the document.
pub type Named = (String, RefOr<Schema>);

/// The names of the schemas in the OpenAPI document.
pub mod name {
    /// The capabilities of the service.
    pub const CAPABILITIES: &str = "Capabilities";
    /// A session.
    pub const SESSION: &str = "Session";
    /// A face that belongs to no session.
    pub const DIRECT_FACE: &str = "DirectFace";
    /// A face of a session.
    pub const SESSION_FACE: &str = "SessionFace";
    /// A comparison that belongs to no session.
    pub const DIRECT_MATCH: &str = "DirectMatch";
    /// A comparison of two faces of a session.
    pub const SESSION_MATCH: &str = "SessionMatch";
    /// An age.
    pub const AGE: &str = "Age";
    /// The parameters of a replay.
    pub const REPLAY_PARAMETERS: &str = "ReplayParameters";
    /// The status of a replay.
    pub const REPLAY_STATUS: &str = "ReplayStatus";
    /// The result of a challenge of web capture.
    pub const CHALLENGE_RESULT: &str = "ChallengeResult";
    /// The capabilities of the video server.
    pub const VIDEO_CAPABILITIES: &str = "VideoCapabilities";
    /// A face of an earlier answer, which the caller sends back.
    pub const KEPT_FACE: &str = "KeptFace";
}

/// The schemas of all answers and of the types that they contain.
#[must_use]
pub fn schemas() -> Vec<Named> {
    let signature = ["signature"];
    let mut all = vec![
        answer::<Capabilities<'_>>(name::CAPABILITIES, &[], &signature),
        answer::<SessionAnswer<'_>>(name::SESSION, &signature, &[]),
        answer::<FaceAnswer<'_>>(name::DIRECT_FACE, &["digest", "imageType", "quality"], &["expires"]),
        answer::<FaceAnswer<'_>>(name::SESSION_FACE, &["expires", "signature"], &[]),
        answer::<MatchAnswer>(name::DIRECT_MATCH, &signature, &["expires"]),
        answer::<MatchAnswer>(name::SESSION_MATCH, &["expires", "signature"], &[]),
        answer::<AgeAnswer<'_>>(name::AGE, &[], &[]),
        answer::<ParametersAnswer<'_>>(name::REPLAY_PARAMETERS, &signature, &[]),
        answer::<StatusAnswer<'_>>(name::REPLAY_STATUS, &signature, &[]),
        answer::<ChallengeResult<'_>>(name::CHALLENGE_RESULT, &signature, &[]),
        answer::<VideoCapabilities>(name::VIDEO_CAPABILITIES, &[], &signature),
        (name::KEPT_FACE.to_owned(), ReferenceFace::schema()),
    ];
    Capabilities::schemas(&mut all);
    SessionAnswer::schemas(&mut all);
    FaceAnswer::schemas(&mut all);
    MatchAnswer::schemas(&mut all);
    AgeAnswer::schemas(&mut all);
    ParametersAnswer::schemas(&mut all);
    StatusAnswer::schemas(&mut all);
    ChallengeResult::schemas(&mut all);
    ReferenceFace::schemas(&mut all);
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.dedup_by(|(one, _), (other, _)| one == other);
    for (_, schema) in &mut all {
        never_null(schema);
    }
    all
}

/// The schema `name` of an answer of type `T`, with its signature. One type can serve several operations: `required`
/// lists members that this operation always sends, `absent` those that it never sends.
fn answer<T: ToSchema>(name: &str, required: &[&str], absent: &[&str]) -> Named {
    let mut schema = T::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.properties.insert("signature".into(), signature());
        object.required.extend(required.iter().map(|member| (*member).to_owned()));
        object.properties.retain(|member, _| !absent.contains(&member.as_str()));
    }
    (name.to_owned(), schema)
}

fn signature() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("JWS (RFC 7515) over the answer's text without this member."))
        .pattern(Some(r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+$"))
        .into()
}

/// A reference to the schema `name`.
#[must_use]
pub fn reference(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

/// The schema of a list of `name`.
#[must_use]
pub fn list(name: &str) -> RefOr<Schema> {
    ArrayBuilder::new().items(Ref::from_schema_name(name)).into()
}
