//! Captures a replay: from the session to the status. `docs/capture-client.md` describes every step.
//!
//! [`capture`] performs all steps. [`CaptureClient`] has the single steps, and [`seal`] the encryption.

mod client;
mod command;
mod parameters;
mod sealed;
mod verified;

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::replay::LivenessType;
use faceline_shared::replay::metadata::{DeviceInfo, SdkInfo, ShownChallenge};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::client::{CaptureClient, Credential, UploadAnswer};
pub use self::command::CaptureCommand;
pub use self::parameters::Parameters;
pub use self::sealed::{SealedUpload, seal};
pub use self::verified::PinnedKeys;

/// A recording to capture, and the parameters of its judgement.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The type of liveness that the video must prove.
    pub liveness: LivenessType,
    /// `LOW`, `MEDIUM` or `HIGH`; the service's default if absent.
    pub level: Option<String>,
    /// Number of challenges; the service's default if absent.
    pub challenges: Option<u8>,
    /// Whether the status is to contain the best image.
    pub returns_image: bool,
    /// The JSON that creates the session.
    pub session: Value,
    /// The video or picture.
    pub recording: Recording,
    /// The longest time from the upload to the end.
    pub timeout: Duration,
}

/// A recording of a device.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file.
    pub file: Bytes,
    /// Its media type.
    pub content_type: String,
    /// Whether its pictures are mirrored.
    pub mirrored: bool,
    /// When the challenges were shown.
    pub events: Vec<ShownChallenge>,
    /// Description of the device.
    pub device_info: Option<DeviceInfo>,
    /// Description of the program that recorded.
    pub sdk_info: Option<SdkInfo>,
}

impl Recording {
    /// A recording with defaults for everything but the file and its media type.
    #[must_use]
    pub fn of(file: impl Into<Bytes>, content_type: &str) -> Self {
        Self {
            file: file.into(),
            content_type: content_type.to_owned(),
            mirrored: true,
            events: vec![],
            device_info: None,
            sdk_info: None,
        }
    }
}

impl Capture {
    /// A capture with the service's defaults.
    #[must_use]
    pub fn new(liveness: LivenessType, recording: Recording) -> Self {
        Self {
            liveness,
            level: None,
            challenges: None,
            returns_image: false,
            session: json!({}),
            recording,
            timeout: Duration::from_mins(5),
        }
    }

    /// The JSON of `init-liveness-parameters`.
    #[must_use]
    pub fn parameters(&self) -> Value {
        let mut body = json!({"type": self.liveness.as_str(), "imageRetrievalDisabled": !self.returns_image});
        if let Some(level) = &self.level {
            body["securityLevel"] = json!(level);
        }
        if let Some(challenges) = self.challenges {
            body["nbChallenge"] = json!(challenges);
        }
        body
    }
}

/// A replay that has ended.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The session.
    pub session: Uuid,
    /// The parameters of the replay.
    pub parameters: Parameters,
    /// The status (v3) as JSON.
    pub status: Value,
}

/// Creates a session, sets the parameters of a replay, uploads a recording, and waits for the end. The upload uses the
/// capture token, as a device does, and everything else the API key.
///
/// # Errors
/// A request is refused for good, an answer is not signed by `keys`, or the replay does not end in time.
pub async fn capture(
    client: &CaptureClient,
    keys: &PinnedKeys,
    capture: &Capture,
) -> anyhow::Result<Captured> {
    let session = client.create_session(&capture.session).await?;
    let parameters = client.set_parameters(session, &capture.parameters(), keys).await?;
    let upload = seal(session, &parameters, &capture.recording)?;
    client.upload_until_accepted(session, &upload, &parameters).await?;
    let status = client.wait_for_end(session, keys, capture.timeout).await?;
    Ok(Captured { session, parameters, status })
}
