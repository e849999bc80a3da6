//! Schemas of BWS.

use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{ObjectBuilder, Type};
use utoipa::{PartialSchema, ToSchema};

use super::names::{
    LIVENESS_DETECTION, LIVENESS_DETECTION_REQUEST, PHOTO_VERIFY, PHOTO_VERIFY_REQUEST,
    VIDEO_LIVENESS_DETECTION_REQUEST,
};
use crate::families::biometric::schema::{Named, reference};
use crate::families::bws::answer::{LivenessDetection, PhotoVerify};
use crate::http::answer::BwsError;
use crate::http::intake::limits::MAX_BWS_ELEMENTS;

/// One live image.
const IMAGE_DATA: &str = "BwsImageData";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn base64(description: &str) -> ObjectBuilder {
    text().content_encoding("base64").description(Some(description))
}

/// The schemas of requests, answers and errors.
pub(super) fn schemas() -> Vec<Named> {
    let tags = "The directions in which the head must have moved since the previous picture: `up`, `down`, \
                `left`, `right`, as seen in the picture. The service ignores others.";
    let tags = ArrayBuilder::new().items(text()).max_items(Some(MAX_BWS_ELEMENTS)).description(Some(tags));
    let image = ObjectBuilder::new()
        .property("image", base64("The picture file: JPEG, PNG, WebP, GIF, BMP, TIFF, TGA or PNM."))
        .required("image")
        .property("tags", tags);
    let live = || ArrayBuilder::new().items(reference(IMAGE_DATA)).min_items(Some(1)).max_items(Some(2));
    let detection = ObjectBuilder::new().property("liveImages", live()).required("liveImages");
    let verification = ObjectBuilder::new()
        .property("liveImages", live())
        .required("liveImages")
        .property("photo", base64("The photo file."))
        .required("photo")
        .property("disableLivenessDetection", ObjectBuilder::new().schema_type(Type::Boolean));
    let video = ObjectBuilder::new()
        .property(
            "video",
            base64("The video file: WebM, MP4, MOV or MKV, with VP8, VP9, H.264, HEVC, AV1 or MJPEG."),
        )
        .required("video");
    let mut all: Vec<Named> = vec![
        (IMAGE_DATA.to_owned(), image.into()),
        (LIVENESS_DETECTION_REQUEST.to_owned(), detection.into()),
        (PHOTO_VERIFY_REQUEST.to_owned(), verification.into()),
        (VIDEO_LIVENESS_DETECTION_REQUEST.to_owned(), video.into()),
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
