//! The answers about replays. Members are in the order of the API's own samples; absent members are omitted.
//!
//! The comments of these types are texts of the OpenAPI document.

use faceline_shared::job::replay::ExportedMedia;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::{Landmarks, landmarks, rounded_age};
use super::replay_request::Challenge;
use super::schema::types;
use crate::replays::{EndedReplay, ReplayOrigin, ReplayRecord, ReplayStatus};

/// The algorithm of the hashes of exported media.
const HASH_ALGORITHM: &str = "SHA_256";

/// The parameters of a replay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ParametersAnswer<'a> {
    /// The replay's id: the caller's own, or a UUID if the request has none.
    #[schema(max_length = 128, example = "replay-id")]
    pub(super) id: &'a str,
    /// The type of liveness check.
    #[serde(rename = "type")]
    #[schema(schema_with = types::liveness_type)]
    pub(super) liveness: &'static str,
    /// The security level of the liveness check.
    #[schema(schema_with = types::security_level)]
    pub(super) security_level: &'static str,
    /// Number of challenges; only with `LIVENESS_ACTIVE`.
    #[schema(minimum = 1, maximum = 6, example = 2)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nb_challenge: Option<u8>,
    /// The `imageRetrievalDisabled` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_retrieval_disabled: Option<bool>,
    /// The seed from which the challenges are derived.
    #[schema(minimum = 0, maximum = 2147483647, example = 1150867590)]
    pub(super) seed: u32,
    /// The certificates for which the device may encrypt its upload, each in base64 of DER, the preferred one first.
    pub(super) certificates: Vec<String>,
    /// 32 random bytes in base64, which the upload must repeat.
    #[schema(min_length = 44, max_length = 44, example = "rnB9RqQzPnL4B0iXo3kB3Nff0Nrk3GmH5H0Sa1WqQF0=")]
    pub(super) server_random: String,
}

impl Challenge {
    /// The number of challenges, if the type has any.
    pub(super) fn shown_count(self) -> Option<u8> {
        (self.count > 0).then_some(self.count)
    }
}

/// The status of a replay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StatusAnswer<'a> {
    /// The replay's id, as in its parameters.
    #[schema(max_length = 128, example = "replay-id")]
    id: &'a str,
    /// `INITIALIZED` and `IN_PROGRESS` are followed by one of the others, which is final.
    #[schema(schema_with = types::replay_status)]
    status: ReplayStatus,
    /// The best image, a JPEG file in base64; only with `SUCCESS`, and if `imageRetrievalDisabled` is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// The positions of the face and its eyes in the best image; only with `SUCCESS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    landmarks: Option<Landmarks>,
    /// The device's description of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_info: Option<DeviceInfo>,
    /// The SDK's description of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk_info: Option<SdkInfo>,
    /// The location of the exported best image.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_storage: Option<Storage<'a>>,
    /// The location of the exported video.
    #[serde(skip_serializing_if = "Option::is_none")]
    video_storage: Option<Storage<'a>>,
}

impl<'a> StatusAnswer<'a> {
    /// The status of a replay, without its image.
    pub(super) fn new(record: &'a ReplayRecord) -> Self {
        let ended = record.ended();
        let succeeded = ended.filter(|ended| ended.status == ReplayStatus::Success);
        let (device_info, sdk_info) = record.descriptions();
        Self {
            id: &record.id,
            status: record.status(),
            image: None,
            landmarks: succeeded.and_then(|ended| landmarks(ended.best_face.as_ref()?)),
            device_info: device_info.and_then(described),
            sdk_info: sdk_info.and_then(described),
            image_storage: ended.and_then(|ended| ended.image_storage.as_ref()).map(Storage::new),
            video_storage: ended.and_then(|ended| ended.video_storage.as_ref()).map(Storage::new),
        }
    }

    /// Adds the best image in base64.
    pub(super) fn with_image(self, image: String) -> Self {
        Self { image: Some(image), ..self }
    }
}

/// Parses the description that a device or an SDK gave of itself; `None` if it does not have the form.
fn described<T: for<'de> Deserialize<'de>>(value: &serde_json::Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// A device's description of itself.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceInfo {
    /// The model of the device.
    #[schema(example = "SM-G935F")]
    #[serde(skip_serializing_if = "Option::is_none")]
    device_model: Option<String>,
    /// The operating system.
    #[schema(example = "Android")]
    #[serde(skip_serializing_if = "Option::is_none")]
    os_type: Option<String>,
    /// The version of the operating system.
    #[schema(example = "7.0")]
    #[serde(skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
}

/// An SDK's description of itself.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SdkInfo {
    /// The version of the SDK.
    #[schema(example = "1.0.0")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk_version: Option<String>,
}

/// The location of an exported file.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Storage<'a> {
    /// Region of the bucket.
    #[schema(example = "eu-central-1")]
    region: &'a str,
    /// Name of the bucket.
    #[schema(example = "wbs-video-storage")]
    bucket_name: &'a str,
    /// Key of the file in the bucket.
    key: &'a str,
    /// SHA-256 of the file in lower-case hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: &'a str,
    /// Always `SHA_256`.
    #[schema(example = "SHA_256")]
    hash_algorithm: &'static str,
    /// Media type of the file.
    #[schema(example = "video/webm")]
    content_type: &'a str,
}

impl<'a> Storage<'a> {
    fn new(media: &'a ExportedMedia) -> Self {
        Self {
            region: &media.region,
            bucket_name: &media.bucket,
            key: &media.key,
            hash: &media.hash,
            hash_algorithm: HASH_ALGORITHM,
            content_type: &media.content_type,
        }
    }
}

/// The result of a challenge of web capture.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChallengeResult<'a> {
    /// `IN_PROGRESS` is followed by one of the others, which is final. `ERROR` has a `diagnostic`.
    #[schema(schema_with = types::challenge_status)]
    liveness_status: ReplayStatus,
    /// The id of the session's face that was made from the best image.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_image_id: Option<Uuid>,
    /// The age; only if the session was created with an `ageThreshold`, and after the challenge has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<ChallengeAge>,
    /// A hint for the person, or the reason for an error.
    #[schema(example = "No face detected")]
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostic: Option<&'a str>,
}

/// The age of the person in a challenge.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChallengeAge {
    /// Whether the estimated age is at least the threshold; absent if no age was estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    above_threshold: Option<bool>,
    /// The estimated age in years, with one decimal; absent if the best image does not allow an estimate.
    #[schema(minimum = 0, maximum = 150, example = 23.1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    age_estimated: Option<f64>,
    /// The `ageThreshold` of the session.
    #[schema(minimum = 0, maximum = 150, example = 18)]
    threshold: u16,
}

impl<'a> ChallengeResult<'a> {
    /// The result of the replay of a session.
    pub(super) fn new(record: &'a ReplayRecord) -> Self {
        let ended = record.ended();
        let liveness_status = match record.status() {
            ReplayStatus::Initialized => ReplayStatus::InProgress,
            ReplayStatus::Failed => ReplayStatus::Error,
            other => other,
        };
        Self {
            liveness_status,
            best_image_id: ended.and_then(|ended| ended.best_face_id),
            age: ended.and_then(|ended| age(record, ended)),
            // Pages show the text to their users. It must not reveal to an attacker what exposed the attack.
            diagnostic: ended
                .filter(|ended| ended.status != ReplayStatus::Spoof)
                .and_then(|ended| ended.diagnostic.as_deref()),
        }
    }
}

fn age(record: &ReplayRecord, ended: &EndedReplay) -> Option<ChallengeAge> {
    let ReplayOrigin::WebCapture { age_threshold: Some(threshold) } = record.origin else { return None };
    let age_estimated = ended.age.map(rounded_age);
    let above_threshold = age_estimated.map(|age| age >= f64::from(threshold));
    Some(ChallengeAge { above_threshold, age_estimated, threshold })
}

/// The public capabilities of the video server.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VideoCapabilities {
    /// The version of the service.
    #[schema(example = "0.1.0")]
    pub(super) version: &'static str,
}
