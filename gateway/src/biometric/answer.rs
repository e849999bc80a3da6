//! What callers get. The members stand in the order of the API's own samples; absent ones are left out.

use faceline_shared::face::{Eyes, ImageType, QUALITY_NOBODY};
use faceline_shared::job::{AgedPicture, CodedPicture};
use faceline_shared::score::Far;
use serde::Serialize;
use uuid::Uuid;

use super::Algorithm;
use super::request::{AgeRequest, Echo};
use crate::face::FaceDescription;
use crate::jobs::SubmittedPicture;
use crate::stamp::Stamp;

/// `GET /bioserver-app/v2/capabilities`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities<'a> {
    pub(super) current_mode: [&'a str; 1],
    pub(super) version: &'static str,
}

/// Where the eyes are.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Landmarks {
    pub(super) eyes: Eyes,
}

/// `GET` of a session.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session<'a> {
    pub(super) id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence_id: Option<&'a str>,
    pub(super) image_storage_enabled: bool,
    pub(super) created: Stamp,
    pub(super) expires: Stamp,
}

/// A face that was described.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Face<'a> {
    pub(super) id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    friendly_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    mode: &'a str,
    image_type: ImageType,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    landmarks: Option<Landmarks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_rotation_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_version: Option<u32>,
    created: Stamp,
    /// Where it belongs to a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Stamp>,
}

impl<'a> Face<'a> {
    /// A face under a new id.
    pub(super) fn new(
        id: Uuid,
        description: &'a FaceDescription,
        template: Option<&'a str>,
        algorithm: &'a Algorithm,
        expires: Option<Stamp>,
    ) -> Self {
        Self {
            id,
            friendly_name: description.friendly_name.as_deref(),
            digest: description.digest.as_deref(),
            mode: &algorithm.name,
            image_type: description.image_type,
            quality: description.quality,
            landmarks: description.eyes.map(|eyes| Landmarks { eyes }),
            image_rotation_enabled: description.rotation,
            template,
            template_version: template.map(|_| algorithm.version),
            created: Stamp::now(),
            expires,
        }
    }
}

/// A face in a comparison: without its template.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MatchedFace {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) friendly_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    pub(super) mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_type: Option<ImageType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quality: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_rotation_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) landmarks: Option<Landmarks>,
}

impl MatchedFace {
    /// A face of a session.
    pub(super) fn kept(id: Uuid, description: &FaceDescription, algorithm: &Algorithm) -> Self {
        Self {
            id: Some(id.to_string()),
            friendly_name: description.friendly_name.clone(),
            digest: description.digest.clone(),
            mode: algorithm.name.clone(),
            image_type: Some(description.image_type),
            quality: description.quality,
            image_rotation_enabled: description.rotation,
            landmarks: description.eyes.map(|eyes| Landmarks { eyes }),
        }
    }

    pub(super) fn coded(
        picture: &SubmittedPicture,
        rotation: Option<bool>,
        coded: &CodedPicture,
        algorithm: &Algorithm,
    ) -> Self {
        let (quality, eyes) = seen(coded);
        Self {
            id: Some(Uuid::new_v4().to_string()),
            friendly_name: None,
            // The samples of direct matches have none.
            digest: None,
            mode: algorithm.name.clone(),
            image_type: Some(picture.image_type),
            quality: Some(quality),
            image_rotation_enabled: rotation,
            landmarks: eyes.map(|eyes| Landmarks { eyes }),
        }
    }
}

/// Quality and eyes of the face in a picture.
pub(super) fn seen(coded: &CodedPicture) -> (i32, Option<Eyes>) {
    coded.face.as_ref().map_or((QUALITY_NOBODY, None), |face| (face.quality, Some(face.eyes)))
}

/// A comparison.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Match {
    pub(super) reference: MatchedFace,
    pub(super) candidate: MatchedFace,
    pub(super) score: f64,
    pub(super) false_acceptance_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence_id: Option<String>,
    pub(super) created: Stamp,
    /// Where it belongs to a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Stamp>,
}

impl Match {
    /// A comparison that belongs to no session.
    pub(super) fn direct(reference: MatchedFace, candidate: MatchedFace, far: Far, echo: Echo) -> Self {
        Self {
            reference,
            candidate,
            score: far.score(),
            false_acceptance_rate: far.percentage(),
            correlation_id: echo.correlation_id,
            evidence_id: echo.evidence_id,
            created: Stamp::now(),
            expires: None,
        }
    }
}

/// An estimate of somebody's age.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Age<'a> {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    above_threshold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_estimated: Option<f64>,
    threshold: i64,
    digest: &'a str,
    image_type: ImageType,
    quality: i32,
    created: Stamp,
}

impl<'a> Age<'a> {
    pub(super) fn new(request: &AgeRequest, aged: &'a AgedPicture) -> Self {
        // A tenth of a year; what is compared is what is shown.
        let age = aged.age.map(|age| (f64::from(age) * 10.0).round() / 10.0);
        Self {
            id: Uuid::new_v4(),
            above_threshold: age.map(|age| age >= request.threshold as f64),
            age_estimated: age,
            threshold: request.threshold,
            digest: &aged.digest,
            image_type: request.picture.image_type,
            quality: aged.quality,
            created: Stamp::now(),
        }
    }
}
