//! Finds the replay that an upload is for, and checks that it waits for the upload.

use faceline_gateway_store::sealed::OpenedReplay;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::replay::jwe::MAX_JWE_BYTES;
use faceline_shared::replay::metadata::UploadMetadata;

use crate::fault::Fault;
use crate::replays::record::{ReplayRecord, ReplayState};
use crate::replays::service::Replays;
use crate::sessions::SessionHandle;

/// A replay for which an upload is being received.
pub(crate) struct AwaitedUpload {
    pub(super) name: SessionName,
    /// The session, with a watch for its end.
    pub(super) handle: SessionHandle,
    pub(super) replay: OpenedReplay<ReplayRecord>,
}

/// An upload whose metadata was read.
pub(crate) struct IdentifiedUpload {
    pub(super) awaited: AwaitedUpload,
    pub(super) metadata: UploadMetadata,
}

/// The result of reading an upload's metadata.
pub(crate) enum Identity {
    /// The replay waits for this upload.
    New(Box<IdentifiedUpload>),
    /// The replay already has this video.
    Repeated,
}

/// The error for metadata that does not open, and also for metadata that belongs to another replay. Different errors
/// would tell an attacker which replay a stolen upload is for.
fn not_for_this_replay() -> Fault {
    Fault::Invalid("`metadata` does not open, or is not for this replay".into())
}

fn too_late() -> Fault {
    Fault::Conflict("The time for the upload is over".into())
}

impl Replays {
    /// The replay of a session, if it can take an upload.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, or it has no replay; [`Fault::Conflict`] if the time for the
    /// upload is over; and the faults of an unavailable store.
    pub(crate) async fn awaited_upload(&self, name: &SessionName) -> Result<AwaitedUpload, Fault> {
        let handle = self.sessions.open(name).await?;
        let replay = self.find_awaited(name).await?;
        Ok(AwaitedUpload { name: name.clone(), handle, replay })
    }

    /// Like [`Replays::awaited_upload`], without opening the session.
    pub(super) async fn find_awaited(&self, name: &SessionName) -> Result<OpenedReplay<ReplayRecord>, Fault> {
        let found = self.sessions.replay(name).await?;
        let replay: OpenedReplay<ReplayRecord> = found
            .ok_or_else(|| Fault::NotFound("The session has no liveness parameters to upload for".into()))?;
        let is_late = match &replay.record.state {
            ReplayState::Initialized => replay.upload_left.is_zero(),
            // An upload that began in time may continue. The claim decides whether this upload may.
            ReplayState::Uploading { .. } => replay.upload_left.is_zero() && replay.lease_left.is_zero(),
            ReplayState::InProgress(_) => false,
            ReplayState::Ended(ended) => ended.media_digest.is_none(),
        };
        if is_late {
            return Err(too_late());
        }
        Ok(replay)
    }

    /// Reads the metadata of an upload.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if it does not open, is not for this replay, or is not of its form; [`Fault::TooLarge`] for
    /// media above the limit; [`Fault::UploadInProgress`] while another upload runs; [`Fault::Conflict`] if the
    /// replay has another video.
    pub(crate) fn identify_upload(&self, awaited: AwaitedUpload, metadata: &[u8]) -> Result<Identity, Fault> {
        let text = std::str::from_utf8(metadata).unwrap_or_default().trim_ascii();
        debug_assert!(metadata.len() <= MAX_JWE_BYTES, "the part has this limit");
        let plain = self.recipients.open(text).map_err(|_| not_for_this_replay())?;
        let parsed = UploadMetadata::parse(&plain);
        let record = &awaited.replay.record;
        let is_for_this =
            |metadata: &UploadMetadata| metadata.is_for(&record.id, record.seed, &record.server_random);
        if parsed.as_ref().is_ok_and(|metadata| !is_for_this(metadata)) {
            return Err(not_for_this_replay());
        }
        let metadata = parsed.map_err(|error| Fault::Invalid(error.to_string()))?;
        let limit = self.settings.replay.media_bytes;
        if metadata.media_length > limit {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            return Err(Fault::TooLarge { limit, place: " in `media`".into() });
        }
        if metadata.events.iter().any(|event| event.challenge >= record.challenge_count) {
            let message = "the metadata's `events` names a challenge that the replay does not have";
            return Err(Fault::Invalid(message.into()));
        }
        Ok(if is_repeated(&awaited.replay, &metadata)? {
            Identity::Repeated
        } else {
            Identity::New(Box::new(IdentifiedUpload { awaited, metadata }))
        })
    }
}

/// Returns whether a replay already has the announced video; false if it waits for it.
///
/// # Errors
/// [`Fault::UploadInProgress`] while another upload runs, [`Fault::Conflict`] if the replay has another video or its
/// time is over.
pub(super) fn is_repeated(
    replay: &OpenedReplay<ReplayRecord>,
    metadata: &UploadMetadata,
) -> Result<bool, Fault> {
    let OpenedReplay { record, upload_left, lease_left, .. } = replay;
    let present = match &record.state {
        ReplayState::Uploading { .. } if !lease_left.is_zero() => {
            return Err(Fault::UploadInProgress { retry_after: *lease_left });
        }
        ReplayState::Initialized | ReplayState::Uploading { .. } => {
            return if upload_left.is_zero() { Err(too_late()) } else { Ok(false) };
        }
        ReplayState::InProgress(submitted) => Some(submitted.media_digest),
        ReplayState::Ended(ended) => ended.media_digest,
    };
    if present == Some(metadata.media_digest) {
        return Ok(true);
    }
    Err(Fault::Conflict("The replay has another video already".into()))
}
