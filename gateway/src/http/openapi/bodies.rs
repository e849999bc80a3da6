//! The bodies that callers send.

use faceline_shared::face::ImageType;
use faceline_shared::replay::jwe::MAX_JWE_BYTES;
use utoipa::openapi::encoding::EncodingBuilder;
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, OneOfBuilder};
use utoipa::openapi::{
    Content, ContentBuilder, KnownFormat, ObjectBuilder, RefOr, Required, Schema as ApiSchema, SchemaFormat,
    Type,
};

use super::names::{LIVENESS_REQUEST, NEW_FACE, NEW_REPLAY, NEW_SESSION, NEW_WEB_CAPTURE};
use crate::families::biometric::schema::{Named, TYPES_WITH_AGE, name, reference};
use crate::families::biometric::{
    AGES, CHALLENGES, LIVENESS_TYPES, MAX_ID_CHARS, ORIGINAL_MODES, PARAMETERS, SECURITY_LEVELS, SESSION,
    THRESHOLDS, WEB_CAPTURE,
};
use crate::families::form::{Kind, MAX_VALUE_BYTES, Schema};
use crate::http::operations::{Body, FORMS, FormBody};

/// The smallest picture: one grey pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==";

/// The body of an operation; `None` where it has none that OpenAPI can describe.
pub(super) fn request_body(body: &Body) -> Option<RequestBody> {
    match *body {
        Body::None | Body::GrpcMessage | Body::GrpcService => None,
        Body::Form(form) => Some(form_body(form)),
        Body::Upload => Some(upload()),
        Body::FormOrJson { form, json } => {
            let json = Content::new(Some(reference(json)));
            Some(RequestBodyBuilder::from(form_body(form)).content("application/json", json).build())
        }
        Body::Json { schema, example } => {
            let content = ContentBuilder::new().schema(Some(reference(schema))).example(Some(example()));
            Some(RequestBodyBuilder::new().content("application/json", content.build()).build())
        }
        Body::JsonWithPictures { schema, .. } => {
            let content = Content::new(Some(reference(schema)));
            let body = RequestBodyBuilder::new().content("application/json", content);
            Some(body.required(Some(Required::True)).build())
        }
    }
}

/// A form as either kind of multipart body.
fn form_body(form: &FormBody) -> RequestBody {
    RequestBodyBuilder::new()
        .content("multipart/form-data", form_content(form))
        .content("multipart/mixed", form_content(form))
        .required(Some(Required::True))
        .build()
}

/// The upload of a replay as either kind of multipart body.
fn upload() -> RequestBody {
    let metadata =
        ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_JWE_BYTES)).description(Some(
            "The first part: a compact JWE for one of the certificates of the liveness parameters.",
        ));
    let media = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .content_media_type("application/octet-stream")
        .description(Some("The second part: the video or picture, encrypted with the key in the metadata."));
    let form: RefOr<ApiSchema> = ObjectBuilder::new()
        .property("metadata", metadata)
        .property("media", media)
        .required("metadata")
        .required("media")
        .into();
    let content = || Content::new(Some(form.clone()));
    RequestBodyBuilder::new()
        .content("multipart/form-data", content())
        .content("multipart/mixed", content())
        .required(Some(Required::True))
        .build()
}

fn form_content(form: &FormBody) -> Content {
    let mut content = ContentBuilder::new().schema(Some(reference(form.name)));
    let json = form.parts.object.iter().chain(&form.parts.document);
    for part in json {
        let encoding = EncodingBuilder::new().content_type(Some("application/json"));
        content = content.encoding(*part, encoding.build());
    }
    content.build()
}

fn form_schema(body: &FormBody) -> RefOr<ApiSchema> {
    let mut form = ObjectBuilder::new();
    for picture in body.parts.pictures {
        form = form.property(*picture, file());
    }
    if let Some(document) = body.parts.document {
        form = form.property(document, reference(name::KEPT_FACE));
    }
    if let Some(object) = body.parts.object {
        let text =
            "The values below may also be members of this object. A value in both places must be the same.";
        let part = ObjectBuilder::new().description(Some(text)).examples([(body.example)()]);
        form = form.property(object, values(part, body.parts));
    }
    form = values(form, body.parts);
    for part in body.required {
        form = form.required(*part);
    }
    form.into()
}

/// The schemas of all bodies that callers send.
pub(super) fn schemas() -> Vec<Named> {
    let face = ObjectBuilder::new().property("face", reference(name::KEPT_FACE)).required("face");
    let new_face = AnyOfBuilder::new()
        .description(Some("A face from an earlier answer, or an object with it as the member `face`."))
        .item(reference(name::KEPT_FACE))
        .item(face);
    let forms = FORMS.map(|form| (form.name.to_owned(), form_schema(form)));
    let new_session = values(ObjectBuilder::new(), &SESSION);
    let mut all = Vec::from(forms);
    all.push((NEW_SESSION.to_owned(), new_session.into()));
    all.push((NEW_FACE.to_owned(), new_face.into()));
    let replay = || values(ObjectBuilder::new(), &PARAMETERS).required("type");
    let new_replay = OneOfBuilder::new()
        .description(Some("One object, or an array with one object."))
        .item(replay())
        .item(ArrayBuilder::new().items(replay()).min_items(Some(1)).max_items(Some(1)));
    all.push((NEW_REPLAY.to_owned(), new_replay.into()));
    let new_web_capture = values(ObjectBuilder::new(), &WEB_CAPTURE).required("livenessMode");
    all.push((NEW_WEB_CAPTURE.to_owned(), new_web_capture.into()));
    all.push((LIVENESS_REQUEST.to_owned(), liveness_request().into()));
    all
}

fn liveness_request() -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let session = text()
        .max_length(Some(MAX_VALUE_BYTES))
        .examples(["bbbf9002-c3a2-4308-b103-d80b9f5a2b84"])
        .description(Some("The caller's own identifier, which the answer repeats."));
    let picture = text().examples([PIXEL]).description(Some(
        "The picture file in base64, optionally as a data URL, or an http or https URL of the file. The \
         service's settings list the allowed hosts.",
    ));
    ObjectBuilder::new()
        .property("sessionId", session)
        .property("faceImageBase", picture)
        .required("faceImageBase")
}

fn file() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .content_media_type("application/octet-stream")
        .description(Some("The picture file: JPEG, PNG, WebP, GIF, BMP, TIFF, TGA or PNM."))
}

/// Adds the values of a form as properties.
fn values(mut to: ObjectBuilder, table: &Schema) -> ObjectBuilder {
    for (name, kind) in table.values {
        to = to.property(*name, value(table, name, *kind));
    }
    to
}

/// A value, with an example that makes a valid request: pages on which requests can be tried start with it.
fn value(table: &Schema, name: &str, kind: Kind) -> ObjectBuilder {
    let value = ObjectBuilder::new();
    let value = match kind {
        Kind::Text => value.schema_type(Type::String).max_length(Some(MAX_VALUE_BYTES)),
        Kind::Flag => value.schema_type(Type::Boolean).examples([false]),
        Kind::Integer => value.schema_type(Type::Integer),
    };
    let of_a_person = table.object == AGES.object;
    match name {
        "imageType" if of_a_person => kinds(value, &TYPES_WITH_AGE, "The picture's kind; SELFIE if absent."),
        "imageType" => kinds(value, &ImageType::ALL, "The picture's kind. Required, here or in `face`."),
        "referenceImageType" | "candidateImageType" => kinds(value, &ImageType::ALL, "The picture's kind."),
        "mode" => value.examples(ORIGINAL_MODES.last().copied()).description(Some(format!(
            "The algorithm. There is only one, and the original service's names {} are accepted for it.",
            ORIGINAL_MODES.join(", ")
        ))),
        "friendlyName" => value
            .examples(["Presidential portrait"])
            .description(Some("A name for the face, which the answer repeats.")),
        "correlationId" | "evidenceId" => value
            .examples(["c5a0aec2-1262-41b6-82bd-e9d60da92ef2"])
            .description(Some("The caller's own identifier.")),
        "signatureDisabled" => {
            value.description(Some("Whether to omit the answer's signature; false if absent."))
        }
        "imageRotationEnabled" => value
            .description(Some("Whether the face may be rotated by 90, 180 or 270 degrees; false if absent.")),
        "imageStorageEnabled" => value.description(Some(
            "Whether the service keeps the pictures of the session's faces; false if absent.",
        )),
        "type" | "livenessMode" => {
            value.enum_values(Some(LIVENESS_TYPES)).examples(["LIVENESS_PASSIVE_VIDEO"]).description(Some(
                "The type of liveness check. LIVENESS_HIGH is the old name of LIVENESS_ACTIVE.",
            ))
        }
        "securityLevel" => value
            .enum_values(Some(SECURITY_LEVELS))
            .examples(["HIGH"])
            .description(Some("The security level of the liveness check; HIGH if absent.")),
        "nbChallenge" | "numberOfChallenge" => value
            .minimum(Some(*CHALLENGES.start()))
            .maximum(Some(*CHALLENGES.end()))
            .examples([2])
            .description(Some("Number of challenges of LIVENESS_ACTIVE; 2 if absent.")),
        "imageRetrievalDisabled" => {
            value.description(Some("Whether the status omits the best image; true if absent."))
        }
        "id" => value
            .max_length(Some(MAX_ID_CHARS))
            .pattern(Some("^[!-~]+$"))
            .examples(["replay-id"])
            .description(Some("The caller's own id of the replay, which answers repeat.")),
        "ageThreshold" => value
            .minimum(Some(*THRESHOLDS.start()))
            .maximum(Some(*THRESHOLDS.end()))
            .examples([18])
            .description(Some("The age with which to compare the estimated age.")),
        "threshold" => value
            .minimum(Some(*THRESHOLDS.start()))
            .maximum(Some(*THRESHOLDS.end()))
            .examples([18])
            .description(Some("The age with which to compare. Required, here or in `age`.")),
        "ttlSeconds" => value
            .minimum(Some(1))
            .examples([1800])
            .description(Some("The session's lifetime in seconds, limited by the service's settings.")),
        "callbackURL" => value
            .format(Some(SchemaFormat::Custom("uri".into())))
            .examples(["https://service.example/callback"])
            .description(Some("The http or https URL to which the service sends results.")),
        _ => value,
    }
}

fn kinds(value: ObjectBuilder, kinds: &[ImageType], text: &str) -> ObjectBuilder {
    value
        .enum_values(Some(kinds.iter().map(|kind| kind.as_str())))
        .examples([ImageType::Selfie.as_str()])
        .description(Some(text))
}
