//! Sets the parameters of replays and describes replays, which [`crate::replays`] stores.

use base64_simd::STANDARD;
use bytes::Bytes;
use faceline_gateway_store::sessions::SessionName;
use uuid::Uuid;

use super::stored_text::stored_text;
use crate::families::biometric::answer::SessionAnswer;
use crate::families::biometric::replay_answer::{
    ChallengeResult, ParametersAnswer, StatusAnswer, VideoCapabilities,
};
use crate::families::biometric::replay_request::{Challenge, ParametersRequest, WebCaptureRequest};
use crate::families::biometric::services::{BiometricServices, Json};
use crate::fault::Fault;
use crate::replays::{DrawnReplay, ReplayOrigin, ReplayRecord, ReplayState};
use crate::sessions::{Session, SessionHandle};
use crate::timestamp::Timestamp;

/// The answer to a request that sets the parameters of a replay.
pub struct NewReplay {
    /// The parameters.
    pub answer: Json,
    /// The capture token for the device.
    pub capture_token: String,
}

/// The caller's choices for a replay.
struct Chosen {
    id: Option<String>,
    origin: ReplayOrigin,
    challenge: Challenge,
    image_retrieval_disabled: Option<bool>,
}

impl BiometricServices {
    /// Sets the parameters of a session's replay. They replace an earlier replay unless it is being judged. `key` is
    /// the id of the caller's API key.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a bad request, [`Fault::NotFound`] if the session does not exist, [`Fault::Conflict`]
    /// while a video is being judged, [`Fault::Busy`] if the client has reached a bound, or the store is unreachable.
    pub async fn init_replay(&self, name: &SessionName, key: &str, body: &Bytes) -> Result<NewReplay, Fault> {
        let ParametersRequest { challenge, image_retrieval_disabled, id } = ParametersRequest::read(body)?;
        let handle = self.sessions.open(name).await?;
        let origin = ReplayOrigin::NativeSdk;
        self.begin_replay(name, &handle, key, Chosen { id, origin, challenge, image_retrieval_disabled })
            .await
    }

    /// Creates a session of web capture with its replay. The session keeps pictures, since its best image becomes one
    /// of its faces. It may already exist if a caller retries with an idempotency key.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a bad request, and those of [`Self::init_replay`].
    pub async fn init_web_capture(
        &self,
        name: &SessionName,
        key: &str,
        body: Bytes,
    ) -> Result<NewReplay, Fault> {
        let WebCaptureRequest { identifiers, challenge, age_threshold, callback_url } =
            WebCaptureRequest::read(body)?;
        let ttl = self.sessions.settings().default_ttl;
        let created = Timestamp::now();
        let expires = created.after(ttl);
        let answer = self.signed(&SessionAnswer {
            id: name.id,
            correlation_id: identifiers.correlation_id.as_deref(),
            evidence_id: identifiers.evidence_id.as_deref(),
            image_storage_enabled: true,
            created,
            expires,
        })?;
        let session = Session {
            correlation_id: identifiers.correlation_id,
            evidence_id: identifiers.evidence_id,
            keeps_pictures: true,
            callback_url,
            expires,
            answer: stored_text(answer)?,
        };
        self.sessions.create(name, &session, ttl).await?;
        self.replays.keep_owner(name, key, ttl).await?;
        let handle = self.sessions.open(name).await?;
        let origin = ReplayOrigin::WebCapture { age_threshold };
        let chosen = Chosen { id: None, origin, challenge, image_retrieval_disabled: None };
        self.begin_replay(name, &handle, key, chosen).await
    }

    async fn begin_replay(
        &self,
        name: &SessionName,
        handle: &SessionHandle,
        key: &str,
        chosen: Chosen,
    ) -> Result<NewReplay, Fault> {
        let DrawnReplay { seed, server_random, capture_token, token_digest } =
            self.replays.draw(name, key)?;
        let Chosen { id, origin, challenge, image_retrieval_disabled } = chosen;
        let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
        let answer = self.signed(&ParametersAnswer {
            id: &id,
            liveness: challenge.liveness.as_str(),
            security_level: challenge.level_name(),
            nb_challenge: challenge.shown_count(),
            image_retrieval_disabled,
            seed,
            certificates: self.replays.certificates(),
            server_random: STANDARD.encode_to_string(server_random),
        })?;
        let record = ReplayRecord {
            id,
            origin,
            liveness: challenge.liveness,
            level: challenge.level,
            challenge_count: challenge.count,
            returns_image: image_retrieval_disabled == Some(false),
            seed,
            server_random,
            capture_token: token_digest,
            answer: stored_text(answer)?,
            state: ReplayState::Initialized,
        };
        self.replays.begin(name, handle, &record).await?;
        Ok(NewReplay { answer: record.answer.into(), capture_token })
    }

    /// The parameters of a session's replay: the same answer as to the request that set them.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session does not exist, or has no replay, [`Fault::Busy`] if the store is
    /// unreachable.
    pub async fn replay_parameters(&self, name: &SessionName) -> Result<Json, Fault> {
        Ok(self.replays.find(name).await?.answer.into())
    }

    /// The status of a session's replay.
    ///
    /// # Errors
    /// Those of [`Self::replay_parameters`], [`Fault::Internal`] if the best image was lost.
    pub async fn replay_status(&self, name: &SessionName) -> Result<Json, Fault> {
        let record = self.replays.find(name).await?;
        let answer = StatusAnswer::new(&record);
        match self.replays.returned_image(name, &record).await? {
            Some(image) => self.signed_detached(&answer.with_image(STANDARD.encode_to_string(image))),
            None => self.signed(&answer),
        }
    }

    /// The best image of a session's replay, a JPEG file; `None` unless the replay has succeeded.
    ///
    /// # Errors
    /// Those of [`Self::replay_status`].
    pub async fn best_image(&self, name: &SessionName) -> Result<Option<Bytes>, Fault> {
        let record = self.replays.find(name).await?;
        self.replays.best_image(name, &record).await
    }

    /// The result of a session's challenge, as clients of web capture read it.
    ///
    /// # Errors
    /// Those of [`Self::replay_parameters`].
    pub async fn challenge_result(&self, name: &SessionName) -> Result<Json, Fault> {
        self.signed(&ChallengeResult::new(&self.replays.find(name).await?))
    }

    /// As [`Self::challenge_result`], for older clients, which repeat the challenge that they requested. A result is
    /// never that of an easier challenge.
    ///
    /// # Errors
    /// Those of [`Self::replay_parameters`], [`Fault::Invalid`] if the challenge was another one.
    pub async fn challenge_result_of(
        &self,
        name: &SessionName,
        mode: &str,
        level: &str,
        count: Option<&str>,
    ) -> Result<Json, Fault> {
        let asked = Challenge::of_result(mode, level, count)?;
        let record = self.replays.find(name).await?;
        let begun =
            Challenge { liveness: record.liveness, level: record.level, count: record.challenge_count };
        // A client that states no number accepts any.
        let is_open = count.is_none() && asked.liveness == begun.liveness;
        let asked = if is_open { Challenge { count: begun.count, ..asked } } else { asked };
        if asked != begun {
            return Err(Fault::Invalid(format!("the session's challenge is {begun} and not {asked}")));
        }
        self.signed(&ChallengeResult::new(&record))
    }

    /// The capabilities of the video server, for browsers.
    #[must_use]
    pub fn video_capabilities(&self) -> VideoCapabilities {
        VideoCapabilities { version: env!("CARGO_PKG_VERSION") }
    }
}
