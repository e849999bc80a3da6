//! What callers get. The members stand in the order of the API's own samples; absent ones are left out.

use std::fmt;

use faceline_shared::face::{Eyes, ImageType, QUALITY_NOBODY};
use faceline_shared::job::CodedPicture;
use faceline_shared::score::Far;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::Algorithm;
use super::request::{Echo, FaceRequest};
use crate::jobs::SubmittedPicture;

/// RFC 3339, UTC, milliseconds.
const FORM: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time as answers show it.
#[derive(Clone, Copy)]
pub(super) struct Stamp(OffsetDateTime);

impl Stamp {
    pub(super) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.format(FORM).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

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

/// A face that was described.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Face {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    friendly_name: Option<String>,
    digest: String,
    mode: String,
    image_type: ImageType,
    quality: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    landmarks: Option<Landmarks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_rotation_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_version: Option<u32>,
    created: Stamp,
}

impl Face {
    pub(super) fn new(
        created: Stamp,
        request: FaceRequest,
        coded: CodedPicture,
        template: Option<String>,
        algorithm: &Algorithm,
    ) -> Self {
        let (quality, landmarks) = seen(&coded);
        Self {
            id: Uuid::new_v4(),
            friendly_name: request.friendly_name,
            digest: coded.digest,
            mode: algorithm.name.clone(),
            image_type: request.picture.image_type,
            quality,
            landmarks,
            image_rotation_enabled: request.rotation,
            template,
            template_version: coded.face.map(|face| face.embedding.version),
            created,
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
    pub(super) fn coded(
        picture: &SubmittedPicture,
        rotation: Option<bool>,
        coded: &CodedPicture,
        algorithm: &Algorithm,
    ) -> Self {
        let (quality, landmarks) = seen(coded);
        Self {
            id: Some(Uuid::new_v4().to_string()),
            friendly_name: None,
            // The samples of direct matches have none.
            digest: None,
            mode: algorithm.name.clone(),
            image_type: Some(picture.image_type),
            quality: Some(quality),
            image_rotation_enabled: rotation,
            landmarks,
        }
    }
}

fn seen(coded: &CodedPicture) -> (i32, Option<Landmarks>) {
    coded
        .face
        .as_ref()
        .map_or((QUALITY_NOBODY, None), |face| (face.quality, Some(Landmarks { eyes: face.eyes })))
}

/// A comparison.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    reference: MatchedFace,
    candidate: MatchedFace,
    score: f64,
    false_acceptance_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence_id: Option<String>,
    created: Stamp,
}

impl Match {
    pub(super) fn new(
        reference: MatchedFace,
        candidate: MatchedFace,
        far: Far,
        echo: Echo,
        created: Stamp,
    ) -> Self {
        Self {
            reference,
            candidate,
            score: far.score(),
            false_acceptance_rate: far.percentage(),
            correlation_id: echo.correlation_id,
            evidence_id: echo.evidence_id,
            created,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_utc_with_milliseconds() {
        let text = |time| String::from_utf8(crate::json::to_vec(&Stamp(time)).unwrap()).unwrap();
        assert_eq!(text(datetime!(2018-10-25 14:32:48.863 UTC)), r#""2018-10-25T14:32:48.863Z""#);
        assert_eq!(text(datetime!(2017-05-18 12:41:09.58 UTC)), r#""2017-05-18T12:41:09.580Z""#);
        assert_eq!(text(datetime!(2017-05-18 12:41:09 UTC)), r#""2017-05-18T12:41:09.000Z""#);
    }
}
