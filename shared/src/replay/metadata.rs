//! The metadata of an upload: the device's description of its video, and the key that opens it.
//!
//! It is a JSON object, encrypted as a [JWE](super::jwe). Bytes are written in base64 with padding (RFC 4648, 4), like those of the
//! replay's parameters. Unknown members are ignored.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, Digest, SHA256};
use serde::{Deserialize, Serialize};

use super::challenge::MAX_CHALLENGES;
use super::json_object::JsonObject;
use super::media::{MediaSecret, TAG_BYTES};
use crate::job::replay::ChallengeEvent;

/// Maximum length of a text, in characters.
pub const MAX_TEXT_CHARACTERS: usize = 200;
/// Maximum time from the first frame to the last challenge, in milliseconds.
const MAX_SHOWN_AT_MS: u64 = 3_600_000;

/// Reason why metadata is refused. The message is for the developer of the device's program.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MetadataError {
    /// It is not JSON of this form.
    #[error("the metadata is not of its form: {0}")]
    Form(String),
    /// A member has a value that is not allowed.
    #[error("the metadata's `{member}` {reason}")]
    Member {
        /// The member.
        member: &'static str,
        /// The problem with its value.
        reason: &'static str,
    },
}

/// The metadata of an upload.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadMetadata {
    /// The replay's `id`, as its parameters have it.
    pub id: String,
    /// The replay's `seed`, as its parameters have it.
    pub seed: u32,
    /// The replay's `serverRandom`, as its parameters have it.
    #[serde(with = "base64_bytes")]
    pub server_random: [u8; 32],
    /// The key of the media.
    #[serde(with = "base64_bytes")]
    pub media_key: [u8; 32],
    /// The first bytes of each nonce of the media.
    #[serde(with = "base64_bytes")]
    pub nonce_prefix: [u8; 7],
    /// Bytes of the encrypted media.
    pub media_length: u64,
    /// SHA-256 of the encrypted media.
    #[serde(with = "base64_bytes")]
    pub media_digest: [u8; 32],
    /// Media type of the video or picture before its encryption: `video/…` or `image/…`.
    pub content_type: String,
    /// Whether the pictures are mirrored, as a front camera's preview is. The clients of the original services upload mirrored ones,
    /// so this is the default.
    #[serde(default = "mirrored_by_default")]
    pub mirrored: bool,
    /// The device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_info: Option<DeviceInfo>,
    /// The program that captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk_info: Option<SdkInfo>,
    /// Times at which the device showed the challenges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ShownChallenge>,
}

/// A device, as it describes itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceInfo {
    /// Its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_model: Option<String>,
    /// Its operating system: `Android` or `iOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// The version of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

/// A program that captures, as it describes itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SdkInfo {
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk_version: Option<String>,
}

/// A challenge that was shown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownChallenge {
    /// Index of the challenge, from 0.
    pub challenge: u8,
    /// Time from the first frame, in milliseconds.
    pub shown_at: u64,
}

fn mirrored_by_default() -> bool {
    true
}

impl UploadMetadata {
    /// Reads JSON, and checks all that can be checked without the replay.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn parse(json: &[u8]) -> Result<Self, MetadataError> {
        let JsonObject(metadata): JsonObject<Self> =
            serde_json::from_slice(json).map_err(|error| MetadataError::Form(error.to_string()))?;
        metadata.check()?;
        Ok(metadata)
    }

    /// The metadata as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Writing to memory does not fail, and no member's type refuses to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), MetadataError> {
        let wrong = |member, reason| Err(MetadataError::Member { member, reason });
        if self.media_length <= TAG_BYTES as u64 {
            return wrong("mediaLength", "is that of no media");
        }
        if !is_picture_type(&self.content_type) {
            return wrong("contentType", "is not the media type of a video or a picture");
        }
        let DeviceInfo { device_model, os_type, os_version } = self.device_info.clone().unwrap_or_default();
        let SdkInfo { sdk_version } = self.sdk_info.clone().unwrap_or_default();
        for (member, text) in [
            ("deviceInfo.deviceModel", device_model),
            ("deviceInfo.osType", os_type),
            ("deviceInfo.osVersion", os_version),
            ("sdkInfo.sdkVersion", sdk_version),
        ] {
            if text.is_some_and(|text| text.chars().count() > MAX_TEXT_CHARACTERS) {
                return wrong(member, "has more than 200 characters");
            }
        }
        if self.events.len() > MAX_CHALLENGES {
            return wrong("events", "has more than 6 elements");
        }
        if self.events.iter().any(|event| event.shown_at > MAX_SHOWN_AT_MS) {
            return wrong("events", "has a time of more than an hour");
        }
        Ok(())
    }

    /// Whether the upload is for the replay with these parameters. The comparison takes the same time, whatever
    /// differs.
    #[must_use]
    pub fn is_for(&self, id: &str, seed: u32, server_random: &[u8; 32]) -> bool {
        let own = replay_digest(&self.id, self.seed, &self.server_random);
        let other = replay_digest(id, seed, server_random);
        verify_slices_are_equal(own.as_ref(), other.as_ref()).is_ok()
    }

    /// The secret that opens the media.
    #[must_use]
    pub fn media_secret(&self) -> MediaSecret {
        MediaSecret { key: self.media_key, nonce_prefix: self.nonce_prefix }
    }

    /// The events in the form that a job carries.
    #[must_use]
    pub fn challenge_events(&self) -> Vec<ChallengeEvent> {
        let event =
            |&ShownChallenge { challenge, shown_at }: &_| ChallengeEvent { challenge, shown_at_ms: shown_at };
        self.events.iter().map(event).collect()
    }
}

impl fmt::Debug for UploadMetadata {
    /// Leaves out the media key and the server's random bytes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, media_length, content_type, .. } = self;
        write!(formatter, "UploadMetadata({id:?}, {media_length} bytes of {content_type})")
    }
}

/// Digest of a replay's parameters. The id comes last, since its length is not fixed.
fn replay_digest(id: &str, seed: u32, server_random: &[u8; 32]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in [server_random, &seed.to_be_bytes()[..], id.as_bytes()] {
        context.update(part);
    }
    context.finish()
}

/// Whether this is `video/…` or `image/…`, perhaps with parameters (RFC 9110, 8.3.1).
fn is_picture_type(text: &str) -> bool {
    let is_token = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    let is_visible = |character: char| matches!(character, ' '..='~');
    if text.len() > MAX_TEXT_CHARACTERS || !text.chars().all(is_visible) {
        return false;
    }
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    (kind.eq_ignore_ascii_case("video") || kind.eq_ignore_ascii_case("image")) && is_token(subtype)
}

/// Bytes as base64.
mod base64_bytes {
    use base64_simd::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<const N: usize, S: Serializer>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode_to_string(bytes))
    }

    pub(super) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode_to_vec(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom(format_args!("a value is not base64 of {N} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn metadata() -> UploadMetadata {
        UploadMetadata {
            id: "replay".into(),
            seed: 7,
            server_random: [1; 32],
            media_key: [2; 32],
            nonce_prefix: [3; 7],
            media_length: 1000,
            media_digest: [4; 32],
            content_type: "video/mp4".into(),
            mirrored: true,
            device_info: Some(DeviceInfo { device_model: Some("SM-G935F".into()), ..DeviceInfo::default() }),
            sdk_info: Some(SdkInfo { sdk_version: Some("1.0.0".into()) }),
            events: vec![ShownChallenge { challenge: 0, shown_at: 1200 }],
        }
    }

    fn with(pointer: &str, value: Value) -> Result<UploadMetadata, MetadataError> {
        let mut json: Value = serde_json::from_slice(&metadata().to_json()).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        UploadMetadata::parse(json.to_string().as_bytes())
    }

    #[test]
    fn the_members_have_the_documented_names_and_forms() {
        let json: Value = serde_json::from_slice(&metadata().to_json()).unwrap();
        let expected = json!({
            "id": "replay",
            "seed": 7,
            "serverRandom": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            "mediaKey": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
            "noncePrefix": "AwMDAwMDAw==",
            "mediaLength": 1000,
            "mediaDigest": "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=",
            "contentType": "video/mp4",
            "mirrored": true,
            "deviceInfo": {"deviceModel": "SM-G935F"},
            "sdkInfo": {"sdkVersion": "1.0.0"},
            "events": [{"challenge": 0, "shownAt": 1200}],
        });
        assert_eq!(json, expected);
        assert_eq!(UploadMetadata::parse(json.to_string().as_bytes()), Ok(metadata()));
    }

    #[test]
    fn the_device_need_not_describe_itself_and_may_say_more() {
        let mut json: Value = serde_json::from_slice(&metadata().to_json()).unwrap();
        let members = json.as_object_mut().unwrap();
        for member in ["mirrored", "deviceInfo", "sdkInfo", "events"] {
            members.remove(member);
        }
        members.insert("later".into(), json!([1]));
        let parsed = UploadMetadata::parse(json.to_string().as_bytes()).unwrap();
        assert!(parsed.mirrored && parsed.device_info.is_none() && parsed.events.is_empty());
        for member in ["id", "seed", "serverRandom", "mediaKey", "noncePrefix", "mediaLength", "mediaDigest"]
        {
            let mut without = json.clone();
            without.as_object_mut().unwrap().remove(member);
            let error = UploadMetadata::parse(without.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().contains(member), "{error}");
        }
    }

    #[test]
    fn values_are_bounded() {
        let long = "x".repeat(MAX_TEXT_CHARACTERS + 1);
        for (pointer, value) in [
            ("/seed", json!(-1)),
            ("/seed", json!(1_u64 << 32)),
            ("/serverRandom", json!("AQEB")),
            ("/mediaKey", json!("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI")),
            ("/noncePrefix", json!("AwMDAwMDAwM=")),
            ("/mediaLength", json!(16)),
            ("/mediaLength", json!(1.5)),
            ("/contentType", json!("text/html")),
            ("/contentType", json!("video/")),
            ("/contentType", json!("video/mp4\n")),
            ("/contentType", json!("video/mp 4")),
            ("/contentType", json!(format!("video/{long}"))),
            ("/deviceInfo/deviceModel", json!(long)),
            ("/sdkInfo/sdkVersion", json!(long)),
            ("/deviceInfo", json!("phone")),
            ("/events", json!(vec![json!({"challenge": 0, "shownAt": 0}); 7])),
            ("/events/0/challenge", json!(256)),
            ("/events/0/shownAt", json!(3_600_001)),
        ] {
            assert!(with(pointer, value.clone()).is_err(), "{pointer}: {value}");
        }
        for (pointer, value) in [
            ("/seed", json!(u32::MAX)),
            ("/contentType", json!("VIDEO/webm; codecs=\"vp9\"")),
            ("/contentType", json!("image/jpeg")),
            ("/deviceInfo/deviceModel", json!("é".repeat(MAX_TEXT_CHARACTERS))),
        ] {
            assert!(with(pointer, value.clone()).is_ok(), "{pointer}: {value}");
        }
        assert!(UploadMetadata::parse(b"[]").is_err());
        assert!(UploadMetadata::parse(b"").is_err());
        let doubled = String::from_utf8(metadata().to_json()).unwrap().replacen('{', "{\"seed\":8,", 1);
        assert!(UploadMetadata::parse(doubled.as_bytes()).is_err());
    }

    #[test]
    fn each_parameter_of_the_replay_must_be_repeated() {
        let metadata = metadata();
        assert!(metadata.is_for("replay", 7, &[1; 32]));
        assert!(!metadata.is_for("replay2", 7, &[1; 32]));
        assert!(!metadata.is_for("", 7, &[1; 32]));
        assert!(!metadata.is_for("replay", 8, &[1; 32]));
        let mut other = [1; 32];
        other[31] = 0;
        assert!(!metadata.is_for("replay", 7, &other));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", metadata()), "UploadMetadata(\"replay\", 1000 bytes of video/mp4)");
    }
}
