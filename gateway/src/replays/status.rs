//! Reads replays.

use bytes::Bytes;
use faceline_gateway_store::sessions::SessionName;
use serde_json::Value;

use super::record::{EndedReplay, ReplayRecord, ReplayState, ReplayStatus};
use super::service::Replays;
use crate::fault::Fault;

impl ReplayRecord {
    /// The end of the replay; `None` before it.
    #[must_use]
    pub fn ended(&self) -> Option<&EndedReplay> {
        match &self.state {
            ReplayState::Ended(ended) => Some(ended),
            ReplayState::Initialized | ReplayState::Uploading { .. } | ReplayState::InProgress(_) => None,
        }
    }

    /// The descriptions that device and SDK gave of themselves in the upload: JSON of `DeviceInfo` and `SdkInfo`.
    #[must_use]
    pub fn descriptions(&self) -> (Option<&Value>, Option<&Value>) {
        match &self.state {
            ReplayState::InProgress(submitted) => {
                (submitted.device_info.as_ref(), submitted.sdk_info.as_ref())
            }
            ReplayState::Ended(ended) => (ended.device_info.as_ref(), ended.sdk_info.as_ref()),
            ReplayState::Initialized | ReplayState::Uploading { .. } => (None, None),
        }
    }
}

impl Replays {
    /// The replay of a session.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, or no replay in it, and the faults of an unavailable store.
    pub async fn find(&self, name: &SessionName) -> Result<ReplayRecord, Fault> {
        // Opening the session also notes it for the usage record.
        self.sessions.open(name).await?;
        let found = self.sessions.replay(name).await?;
        found.map(|replay| replay.record).ok_or_else(|| Fault::NotFound("Replay liveness not found".into()))
    }

    /// The best image of a replay that succeeded, if its caller asked for it.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session has ended, [`Fault::Internal`] if the image was lost, and the faults of an unavailable
    /// store.
    pub async fn returned_image(
        &self,
        name: &SessionName,
        record: &ReplayRecord,
    ) -> Result<Option<Bytes>, Fault> {
        if record.returns_image { self.best_image(name, record).await } else { Ok(None) }
    }

    /// The best image of a replay that succeeded.
    ///
    /// # Errors
    /// Those of [`Self::returned_image`].
    pub async fn best_image(
        &self,
        name: &SessionName,
        record: &ReplayRecord,
    ) -> Result<Option<Bytes>, Fault> {
        let ended = record.ended().filter(|ended| ended.status == ReplayStatus::Success);
        match ended.and_then(|ended| ended.best_image.as_ref()) {
            Some(key) => self.sessions.best_image(name, key).await.map(Some),
            None => Ok(None),
        }
    }
}
