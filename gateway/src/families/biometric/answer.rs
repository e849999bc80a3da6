//! The answers of all operations. Members are in the order of the API's own samples; absent members are omitted.
//!
//! The comments of these types are texts of the OpenAPI document.

use bytes::Bytes;
use faceline_shared::face::{Eyes, ImageType, PixelBox, QUALITY_NOBODY};
use faceline_shared::job::{AgedPicture, CodedPicture, Coding};
use faceline_shared::score::Far;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::algorithm::Algorithm;
use super::request::{AgeRequest, CallerIdentifiers};
use super::schema::types;
use crate::sessions::face::FaceDescription;
use crate::timestamp::Timestamp;

/// The capabilities of the service.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities<'a> {
    /// The algorithm with which the service codes faces.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1, example = json!(["FL1_512"]))]
    pub(super) current_mode: [&'a str; 1],
    /// The version of the service.
    #[schema(example = "0.1.0")]
    pub(super) version: &'static str,
}

/// The positions of the face and its eyes.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Landmarks {
    /// The centres of the eyes.
    #[schema(value_type = types::LandmarksEyes)]
    eyes: Eyes,
    /// The bounding box of the face; absent if the template is of an earlier version.
    #[schema(value_type = types::LandmarksBox)]
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    face_box: Option<PixelBox>,
}

impl Landmarks {
    pub(super) fn new(eyes: Eyes, face_box: Option<PixelBox>) -> Self {
        Self { eyes, face_box }
    }
}

/// A session.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SessionAnswer<'a> {
    /// The session's id.
    pub(super) id: Uuid,
    /// The caller's own identifier, unchanged.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<&'a str>,
    /// The caller's own identifier, unchanged.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence_id: Option<&'a str>,
    /// Whether the service keeps the pictures of the session's faces.
    pub(super) image_storage_enabled: bool,
    /// The time of creation.
    pub(super) created: Timestamp,
    /// The time at which the session expires.
    pub(super) expires: Timestamp,
}

/// The description of a face.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FaceAnswer<'a> {
    /// The face's id.
    pub(super) id: Uuid,
    /// The caller's name for the face.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    friendly_name: Option<&'a str>,
    /// SHA-256 of the picture's file in lower-case hex; absent if the face was made from JSON with a template of an
    /// earlier version.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    /// The algorithm that coded the face.
    #[schema(max_length = 1024, example = "FL1_512")]
    mode: &'a str,
    /// The picture's kind; absent if the face was made from JSON with a template of an earlier version.
    #[schema(value_type = Option<types::ImageType>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    image_type: Option<ImageType>,
    /// The quality of the picture: above 100 is good; below 0 another picture is needed; -10000 if it shows no face.
    /// Absent if the face was made from JSON with a template of an earlier version.
    #[schema(minimum = -10000, maximum = 300, example = 295)]
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<i32>,
    /// The positions of the face and its eyes.
    #[serde(skip_serializing_if = "Option::is_none")]
    landmarks: Option<Landmarks>,
    /// The `imageRotationEnabled` with which the face was coded.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_rotation_enabled: Option<bool>,
    /// The sealed template, which only this installation can read.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
    /// Version of the template.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    template_version: Option<u32>,
    /// The time of creation.
    created: Timestamp,
    /// The time at which the face's session expires; absent without a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

impl<'a> FaceAnswer<'a> {
    /// Describes the face `id`. `expires` is the end of its session, if it belongs to one.
    pub(super) fn new(
        id: Uuid,
        description: &'a FaceDescription,
        template: Option<&'a str>,
        algorithm: &'a Algorithm,
        expires: Option<Timestamp>,
    ) -> Self {
        Self {
            id,
            friendly_name: description.friendly_name.as_deref(),
            digest: description.digest.as_deref(),
            mode: &algorithm.name,
            image_type: description.known_image_type(),
            quality: description.quality,
            landmarks: landmarks(description),
            image_rotation_enabled: description.rotation,
            template,
            template_version: template.map(|_| algorithm.version),
            created: Timestamp::now(),
            expires,
        }
    }
}

/// A face in a comparison, without its template.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MatchedFace {
    /// The face's id; for a `referenceFace` in the request, the caller's own id.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// The caller's name for the face.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) friendly_name: Option<String>,
    /// SHA-256 of the picture's file in lower-case hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    /// The algorithm that coded the face.
    #[schema(max_length = 1024, example = "FL1_512")]
    pub(super) mode: String,
    /// The picture's kind.
    #[schema(value_type = Option<types::ImageType>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_type: Option<ImageType>,
    /// The quality of the picture: above 100 is good; below 0 another picture is needed; -10000 if it shows no face.
    #[schema(minimum = -10000, maximum = 300, example = 295)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quality: Option<i32>,
    /// The `imageRotationEnabled` with which the face was coded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_rotation_enabled: Option<bool>,
    /// The positions of the face and its eyes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) landmarks: Option<Landmarks>,
}

impl MatchedFace {
    /// A face that a session stores.
    pub(super) fn kept(id: Uuid, description: &FaceDescription, algorithm: &Algorithm) -> Self {
        Self {
            id: Some(id.to_string()),
            friendly_name: description.friendly_name.clone(),
            digest: description.digest.clone(),
            mode: algorithm.name.clone(),
            image_type: description.known_image_type(),
            quality: description.quality,
            image_rotation_enabled: description.rotation,
            landmarks: landmarks(description),
        }
    }

    /// The face that a worker found in a picture of the request.
    pub(super) fn coded(
        picture: &Coding<Bytes>,
        rotation: Option<bool>,
        coded: &CodedPicture,
        algorithm: &Algorithm,
    ) -> Self {
        let face = coded.face.as_ref();
        Self {
            id: Some(Uuid::new_v4().to_string()),
            friendly_name: None,
            // The API's samples of direct matches have no digest.
            digest: None,
            mode: algorithm.name.clone(),
            image_type: Some(picture.image_type),
            quality: Some(quality(coded)),
            image_rotation_enabled: rotation,
            landmarks: face.map(|face| Landmarks::new(face.eyes, face.face_box)),
        }
    }
}

/// The landmarks of a described face.
pub(super) fn landmarks(description: &FaceDescription) -> Option<Landmarks> {
    description.eyes.map(|eyes| Landmarks::new(eyes, description.face_box))
}

/// The quality of a picture.
pub(super) fn quality(coded: &CodedPicture) -> i32 {
    coded.face.as_ref().map_or(QUALITY_NOBODY, |face| face.quality)
}

/// The result of a comparison of two faces.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MatchAnswer {
    /// The reference face.
    pub(super) reference: MatchedFace,
    /// The candidate face.
    pub(super) candidate: MatchedFace,
    /// The similarity of the faces: a higher score means more likely the same person. One of 10000 pairs of different
    /// people reaches 3500, one of 100000 reaches 4000. 0 if the candidate's picture shows no face.
    #[schema(minimum = 0, example = 10269.438178710938)]
    pub(super) score: f64,
    /// The percentage of pairs of different people that reach this score.
    #[schema(minimum = 0, maximum = 100, example = 1e-12)]
    pub(super) false_acceptance_rate: f64,
    /// The caller's own identifier, unchanged.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
    /// The caller's own identifier, unchanged.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence_id: Option<String>,
    /// The time of the comparison.
    pub(super) created: Timestamp,
    /// The time at which the faces' session expires; absent without a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
}

impl MatchAnswer {
    /// A comparison that belongs to no session.
    pub(super) fn direct(
        reference: MatchedFace,
        candidate: MatchedFace,
        far: Far,
        identifiers: CallerIdentifiers,
    ) -> Self {
        Self {
            reference,
            candidate,
            score: far.score(),
            false_acceptance_rate: far.percentage(),
            correlation_id: identifiers.correlation_id,
            evidence_id: identifiers.evidence_id,
            created: Timestamp::now(),
            expires: None,
        }
    }
}

/// An age in years, rounded to one decimal, as callers read it. `aboveThreshold` compares the rounded age, so it
/// agrees with the age in the answer.
pub(super) fn rounded_age(age: f32) -> f64 {
    (f64::from(age) * 10.0).round() / 10.0
}

/// An age estimate.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AgeAnswer<'a> {
    /// The estimate's id.
    id: Uuid,
    /// Whether the estimated age is at least the threshold; absent if no age was estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    above_threshold: Option<bool>,
    /// The estimated age in years, with one decimal; absent if the quality is negative.
    #[schema(minimum = 0, maximum = 150, example = 23.1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    age_estimated: Option<f64>,
    /// The threshold in the request.
    #[schema(minimum = 0, maximum = 150, example = 18)]
    threshold: i64,
    /// SHA-256 of the picture's file in lower-case hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: &'a str,
    /// The picture's kind.
    #[schema(schema_with = types::image_type_with_age)]
    image_type: ImageType,
    /// The quality of the picture: above 100 is good; below 0 another picture is needed; -10000 if it shows no face.
    #[schema(minimum = -10000, maximum = 300, example = 212)]
    quality: i32,
    /// The time of the estimate.
    created: Timestamp,
}

impl<'a> AgeAnswer<'a> {
    /// The answer to `request`, whose picture a worker has judged.
    pub(super) fn new(request: &AgeRequest, aged: &'a AgedPicture) -> Self {
        let age = aged.age.map(rounded_age);
        Self {
            id: Uuid::new_v4(),
            above_threshold: age.map(|age| age >= request.threshold as f64),
            age_estimated: age,
            threshold: request.threshold,
            digest: &aged.digest,
            image_type: request.picture.image_type,
            quality: aged.quality,
            created: Timestamp::now(),
        }
    }
}
