//! What the description of the API says of answers: their types as they are written, with what is added to them later.

use faceline_shared::face::ImageType as Kind;
use serde::Serialize;
use utoipa::openapi::schema::{ArrayBuilder, RefBuilder, SchemaType};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::answer::{Age, Capabilities, Face, Match, Session};
use super::reference::ReferenceFace;

/// A schema under the name by which others refer to it.
pub type Named = (String, RefOr<Schema>);

/// The kind of a picture; decides how several faces are treated.
pub(super) struct ImageType;

impl ToSchema for ImageType {}

impl PartialSchema for ImageType {
    fn schema() -> RefOr<Schema> {
        one_of(&Kind::ALL)
    }
}

/// The kinds of a picture whose person's age can be estimated.
pub const PERSONS: [Kind; 2] = [Kind::Selfie, Kind::VideoFrame];

pub(super) fn picture_of_a_person() -> RefOr<Schema> {
    one_of(&PERSONS)
}

fn one_of(kinds: &[Kind]) -> RefOr<Schema> {
    let names = kinds.iter().map(|kind| kind.as_str());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
}

/// The centres of the eyes, in pixels of the picture as it was sent, after its EXIF orientation.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LandmarksEyes {
    /// Left eye in the picture, from the left edge.
    #[schema(example = 1191.4584)]
    x1: f32,
    /// Left eye in the picture, from the upper edge.
    #[schema(example = 582.79565)]
    y1: f32,
    /// Right eye in the picture, from the left edge.
    #[schema(example = 1477.8955)]
    x2: f32,
    /// Right eye in the picture, from the upper edge.
    #[schema(example = 580.3324)]
    y2: f32,
}

/// Names of what operations answer with.
pub mod name {
    /// What the service can do.
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
    /// A face as a caller kept it.
    pub const KEPT_FACE: &str = "KeptFace";
}

/// The schemas of all answers and of what they are made of.
#[must_use]
pub fn schemas() -> Vec<Named> {
    let signature = ["signature"];
    let mut all = vec![
        answer::<Capabilities<'_>>(name::CAPABILITIES, &[], &signature),
        answer::<Session<'_>>(name::SESSION, &signature, &[]),
        answer::<Face<'_>>(name::DIRECT_FACE, &["digest", "quality"], &["expires"]),
        answer::<Face<'_>>(name::SESSION_FACE, &["expires", "signature"], &[]),
        answer::<Match>(name::DIRECT_MATCH, &signature, &["expires"]),
        answer::<Match>(name::SESSION_MATCH, &["expires", "signature"], &[]),
        answer::<Age<'_>>(name::AGE, &[], &[]),
        (name::KEPT_FACE.to_owned(), ReferenceFace::schema()),
    ];
    Capabilities::schemas(&mut all);
    Session::schemas(&mut all);
    Face::schemas(&mut all);
    Match::schemas(&mut all);
    Age::schemas(&mut all);
    ReferenceFace::schemas(&mut all);
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.dedup_by(|(one, _), (other, _)| one == other);
    for (_, schema) in &mut all {
        never_null(schema);
    }
    all
}

/// The answer `T` with its signature: some members are always there, though not in every answer made of `T`, and some
/// never.
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

/// A reference to a schema.
#[must_use]
pub fn reference(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

/// A list of what a schema describes.
#[must_use]
pub fn list(name: &str) -> RefOr<Schema> {
    ArrayBuilder::new().items(Ref::from_schema_name(name)).into()
}

/// What is absent is left out of an answer and never null, while the derived schema of an `Option` allows both.
fn never_null(whole: &mut RefOr<Schema>) {
    let RefOr::T(schema) = whole else { return };
    match schema {
        Schema::Object(object) => {
            object.schema_type = without_null(&object.schema_type);
            object.properties.values_mut().for_each(never_null);
        }
        Schema::Array(array) => array.schema_type = without_null(&array.schema_type),
        // Null, or another schema.
        Schema::OneOf(either) => {
            let other = either.items.iter().find_map(|item| match item {
                RefOr::Ref(other) => Some(other.ref_location.clone()),
                RefOr::T(_) => None,
            });
            if let (Some(location), true) = (other, either.items.iter().any(is_null)) {
                let text = either.description.clone();
                *whole = RefBuilder::new().ref_location(location).description(text).build().into();
            }
        }
        _ => {}
    }
}

fn without_null(kind: &SchemaType) -> SchemaType {
    let SchemaType::Array(kinds) = kind else { return kind.clone() };
    match kinds.iter().filter(|kind| **kind != Type::Null).collect::<Vec<_>>().as_slice() {
        [only] => SchemaType::Type((*only).clone()),
        _ => kind.clone(),
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
