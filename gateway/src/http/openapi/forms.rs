//! What callers send, by the tables that forms are read with.

use faceline_shared::face::ImageType;
use serde_json::json;
use utoipa::openapi::encoding::EncodingBuilder;
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{
    Content, ContentBuilder, KnownFormat, ObjectBuilder, RefOr, Required, Schema, SchemaFormat, Type,
};

use crate::families::biometric::schema::{Named, TYPES_WITH_AGE, name, reference};
use crate::families::biometric::{AGES, FACES, MATCH, MATCH_IMAGES, ORIGINAL_MODES, SESSION, THRESHOLDS};
use crate::families::form::{self, Kind, MAX_VALUE_BYTES};

/// A form: its name in the document, its table, and what it cannot do without.
pub(super) struct Form {
    name: &'static str,
    table: &'static form::Schema,
    required: &'static [&'static str],
    /// What makes the shortest JSON part do.
    example: fn() -> serde_json::Value,
}

pub(super) static FACE: Form = Form {
    name: "FaceForm",
    table: &FACES,
    required: &["image"],
    example: || json!({"imageType": "SELFIE"}),
};
pub(super) static AGE: Form =
    Form { name: "AgeForm", table: &AGES, required: &["image"], example: || json!({"threshold": 18}) };
pub(super) static IMAGES: Form = Form {
    name: "MatchImagesForm",
    table: &MATCH_IMAGES,
    required: &["referenceImage", "candidateImage", "referenceImageType", "candidateImageType"],
    example: || json!({}),
};
pub(super) static REFERENCE: Form = Form {
    name: "MatchForm",
    table: &MATCH,
    required: &["candidateImage", "candidateImageType", "referenceFace"],
    example: || json!({}),
};

/// Name of a session's JSON.
const NEW_SESSION: &str = "NewSession";
/// Name of a face's JSON.
const NEW_FACE: &str = "NewFace";

/// Name of the JSON that Face Liveness takes.
const LIVENESS: &str = "LivenessRequest";
/// The smallest picture: one grey pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==";

/// The schemas of all that callers send.
pub(super) fn schemas() -> Vec<Named> {
    let face = ObjectBuilder::new().property("face", reference(name::KEPT_FACE)).required("face");
    let new_face = AnyOfBuilder::new()
        .description(Some("A face of an earlier answer, or an object with it as the member `face`."))
        .item(reference(name::KEPT_FACE))
        .item(face);
    let forms = [&FACE, &AGE, &IMAGES, &REFERENCE].map(|form| (form.name.to_owned(), form.schema()));
    let new_session = values(ObjectBuilder::new(), &SESSION);
    let mut all = Vec::from(forms);
    all.push((NEW_SESSION.to_owned(), new_session.into()));
    all.push((NEW_FACE.to_owned(), new_face.into()));
    all.push((LIVENESS.to_owned(), liveness_request().into()));
    all
}

/// The body that makes a session. It may be empty.
pub(super) fn new_session() -> RequestBody {
    let example = json!({
        "correlationId": "891a6728-1ac4-11e7-93ae-92361f002671",
        "imageStorageEnabled": true
    });
    let content = ContentBuilder::new().schema(Some(reference(NEW_SESSION))).example(Some(example));
    RequestBodyBuilder::new().content("application/json", content.build()).build()
}

/// The body that Face Liveness takes.
pub(super) fn liveness() -> RequestBody {
    let content = Content::new(Some(reference(LIVENESS)));
    RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build()
}

fn liveness_request() -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let session = text()
        .max_length(Some(MAX_VALUE_BYTES))
        .examples(["bbbf9002-c3a2-4308-b103-d80b9f5a2b84"])
        .description(Some("The caller's own identifier, which answers repeat."));
    let picture = text().examples([PIXEL]).description(Some(
        "The picture's file in base64, maybe as a data URL, or an http or https URL of it at a host that the service \
         is set to allow.",
    ));
    ObjectBuilder::new()
        .property("sessionId", session)
        .property("faceImageBase", picture)
        .required("faceImageBase")
}

/// The body that makes a face of a session.
pub(super) fn new_face() -> RequestBody {
    RequestBodyBuilder::from(FACE.body())
        .content("application/json", Content::new(Some(reference(NEW_FACE))))
        .build()
}

impl Form {
    /// As either kind of multipart body.
    pub(super) fn body(&self) -> RequestBody {
        RequestBodyBuilder::new()
            .content("multipart/form-data", self.content())
            .content("multipart/mixed", self.content())
            .required(Some(Required::True))
            .build()
    }

    fn content(&self) -> Content {
        let mut content = ContentBuilder::new().schema(Some(reference(self.name)));
        let json = self.table.object.iter().chain(&self.table.document);
        for part in json {
            let encoding = EncodingBuilder::new().content_type(Some("application/json"));
            content = content.encoding(*part, encoding.build());
        }
        content.build()
    }

    fn schema(&self) -> RefOr<Schema> {
        let mut form = ObjectBuilder::new();
        for picture in self.table.pictures {
            form = form.property(*picture, file());
        }
        if let Some(document) = self.table.document {
            form = form.property(document, reference(name::KEPT_FACE));
        }
        if let Some(object) = self.table.object {
            let text = "The values below may stand here, too; the same value twice is fine, two different ones are not.";
            let part = ObjectBuilder::new().description(Some(text)).examples([(self.example)()]);
            form = form.property(object, values(part, self.table));
        }
        form = values(form, self.table);
        for part in self.required {
            form = form.required(*part);
        }
        form.into()
    }
}

fn file() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .content_media_type("application/octet-stream")
        .description(Some("The picture's file: JPEG, PNG, WebP, GIF, BMP, TIFF, TGA or PNM."))
}

/// Adds the values of a table.
fn values(mut to: ObjectBuilder, table: &form::Schema) -> ObjectBuilder {
    for (name, kind) in table.values {
        to = to.property(*name, value(table, name, *kind));
    }
    to
}

/// A value with an example that does as it is, since pages on which requests can be tried begin with it.
fn value(table: &form::Schema, name: &str, kind: Kind) -> ObjectBuilder {
    let value = ObjectBuilder::new();
    let value = match kind {
        Kind::Text => value.schema_type(Type::String).max_length(Some(MAX_VALUE_BYTES)),
        Kind::Flag => value.schema_type(Type::Boolean).examples([false]),
        Kind::Integer => value.schema_type(Type::Integer),
    };
    let of_a_person = table.object == AGES.object;
    match name {
        "imageType" if of_a_person => {
            kinds(value, &TYPES_WITH_AGE, "The picture's kind; SELFIE where it is absent.")
        }
        "imageType" => kinds(value, &ImageType::ALL, "The picture's kind. Required, here or in `face`."),
        "referenceImageType" | "candidateImageType" => kinds(value, &ImageType::ALL, "The picture's kind."),
        "mode" => value.examples(ORIGINAL_MODES.last().copied()).description(Some(format!(
            "The algorithm. There is one; the names {} of the original service stand for it, too.",
            ORIGINAL_MODES.join(", ")
        ))),
        "friendlyName" => value
            .examples(["Presidential portrait"])
            .description(Some("A name for the face, which answers repeat.")),
        "correlationId" | "evidenceId" => value
            .examples(["c5a0aec2-1262-41b6-82bd-e9d60da92ef2"])
            .description(Some("The caller's own identifier.")),
        "signatureDisabled" => {
            value.description(Some("Whether the answer needs no signature; false where it is absent."))
        }
        "imageRotationEnabled" => value.description(Some(
            "Whether the face may be turned by a quarter or half; false where it is absent.",
        )),
        "imageStorageEnabled" => value.description(Some(
            "Whether the pictures of the session's faces are kept; false where it is absent.",
        )),
        "threshold" => value
            .minimum(Some(*THRESHOLDS.start()))
            .maximum(Some(*THRESHOLDS.end()))
            .examples([18])
            .description(Some("The age to compare with. Required, here or in `age`.")),
        "ttlSeconds" => value
            .minimum(Some(1))
            .examples([1800])
            .description(Some("The session ends after so many seconds; bounded by the service's settings.")),
        "callbackURL" => value
            .format(Some(SchemaFormat::Custom("uri".into())))
            .examples(["https://service.example/callback"])
            .description(Some("Where to tell of results: an http or https URL.")),
        _ => value,
    }
}

fn kinds(value: ObjectBuilder, kinds: &[ImageType], text: &str) -> ObjectBuilder {
    value
        .enum_values(Some(kinds.iter().map(|kind| kind.as_str())))
        .examples([ImageType::Selfie.as_str()])
        .description(Some(text))
}
