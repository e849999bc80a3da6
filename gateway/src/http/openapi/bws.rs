//! What the REST twins of BWS take and give.

use crate::fault::{BusyCause, Fault};
use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{ContentBuilder, Header, ObjectBuilder, Required, Type};
use utoipa::{PartialSchema, ToSchema};

use super::answers::SOON;
use crate::families::biometric::schema::{Named, reference};
use crate::families::bws::answer::{LivenessDetection, PhotoVerify};
use crate::http::answer::family::BwsError;

/// Names in the document.
pub(super) const LIVENESS_DETECTION: &str = "LivenessDetection";
pub(super) const PHOTO_VERIFY: &str = "PhotoVerify";
const IMAGE_DATA: &str = "BwsImageData";
const DETECTION: &str = "LivenessDetectionRequest";
const VERIFICATION: &str = "PhotoVerifyRequest";
const VIDEO: &str = "VideoLivenessDetectionRequest";

/// Headers of answers to what succeeds.
pub(super) const HEADERS: [(&str, &str); 4] = [
    ("jobid", "The id of the job."),
    ("bws-version", "The version of the service."),
    ("response-time-ms", "Milliseconds that the request took."),
    ("reference-number", "As it came."),
];

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn base64(description: &str) -> ObjectBuilder {
    text().content_encoding("base64").description(Some(description))
}

/// The schemas of all that callers send and get.
pub(super) fn schemas() -> Vec<Named> {
    let tags = "Where the head is to have moved since the picture before: `up`, `down`, `left`, `right`, as seen in the \
                picture. Others are ignored.";
    let tags = ArrayBuilder::new().items(text()).max_items(Some(64)).description(Some(tags));
    let image = ObjectBuilder::new()
        .property("image", base64("The picture's file: JPEG, PNG, WebP, GIF, BMP, TIFF, TGA or PNM."))
        .required("image")
        .property("tags", tags);
    let live = || ArrayBuilder::new().items(reference(IMAGE_DATA)).min_items(Some(1)).max_items(Some(2));
    let detection = ObjectBuilder::new().property("liveImages", live()).required("liveImages");
    let verification = ObjectBuilder::new()
        .property("liveImages", live())
        .required("liveImages")
        .property("photo", base64("The photo's file."))
        .required("photo")
        .property("disableLivenessDetection", ObjectBuilder::new().schema_type(Type::Boolean));
    let video = ObjectBuilder::new().property("video", base64("The video's file.")).required("video");
    let mut all: Vec<Named> = vec![
        (IMAGE_DATA.to_owned(), image.into()),
        (DETECTION.to_owned(), detection.into()),
        (VERIFICATION.to_owned(), verification.into()),
        (VIDEO.to_owned(), video.into()),
        (LIVENESS_DETECTION.to_owned(), LivenessDetection::schema()),
        (PHOTO_VERIFY.to_owned(), PhotoVerify::schema()),
        (BwsError::name().into_owned(), BwsError::schema()),
    ];
    LivenessDetection::schemas(&mut all);
    PhotoVerify::schemas(&mut all);
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.dedup_by(|(one, _), (other, _)| one == other);
    all
}

/// The body of a liveness detection.
pub(super) fn detection() -> RequestBody {
    body(DETECTION)
}

/// The body of a comparison with a photo.
pub(super) fn verification() -> RequestBody {
    body(VERIFICATION)
}

/// The body of a liveness detection in a video.
pub(super) fn video() -> RequestBody {
    body(VIDEO)
}

fn body(name: &str) -> RequestBody {
    let content = ContentBuilder::new().schema(Some(reference(name)));
    RequestBodyBuilder::new()
        .content("application/json", content.build())
        .required(Some(Required::True))
        .build()
}

/// What may come with any request.
pub(super) fn reference_number() -> Parameter {
    ParameterBuilder::new()
        .name("Reference-Number")
        .parameter_in(ParameterIn::Header)
        .description(Some("The caller's own reference: comes back, and stands in the usage record."))
        .schema(Some(text().pattern(Some("^[ -~]{0,256}$"))))
        .build()
}

/// All headers.
pub(super) fn headers() -> Vec<(&'static str, Header)> {
    let header = |(name, text): (&'static str, &str)| {
        let kind = if name == "response-time-ms" { Type::Integer } else { Type::String };
        let schema = ObjectBuilder::new().schema_type(kind);
        (name, HeaderBuilder::new().description(Some(text)).schema(Some(schema)).build())
    };
    HEADERS.into_iter().map(header).collect()
}

/// A refusal that an operation may answer with: its name in the document, the fault, and when that happens.
pub(super) fn known() -> Vec<(&'static str, Fault, &'static str)> {
    let busy = |cause| Fault::busy(cause, SOON);
    vec![
        (
            "Invalid",
            Fault::Invalid("No live images have been provided.".into()),
            "The request is not of the form, or a picture cannot be decoded.",
        ),
        ("Unauthenticated", Fault::Unauthenticated, "No token, or a wrong one."),
        ("Forbidden", Fault::Forbidden("liveness:detect"), "The key does not allow this."),
        ("TooLarge", Fault::TooLarge { limit: 70 << 20, place: String::new() }, "The body is too long."),
        ("RateExceeded", busy(BusyCause::ClientRate), "The rate, quota or share of the client is exceeded."),
        (
            "NotImplemented",
            Fault::NotImplemented("Videos are not supported by this version of the service.".into()),
            "Not in this version of the service.",
        ),
        ("Unavailable", busy(BusyCause::Wait), "There is no room now, or the broker or a store is away."),
    ]
}

/// An example of an error.
pub(super) fn example(fault: &Fault) -> serde_json::Value {
    json!({ "code": fault.row().grpc as u8, "message": fault.to_string(), "details": [] })
}
