//! Receives the media of an upload unchanged and in bounded memory.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use faceline_shared::job::replay::{EncryptedMedia, Replay};
use faceline_shared::object::{ObjectStore, ObjectUpload};
use faceline_shared::replay::metadata::UploadMetadata;
use faceline_shared::replay::{LivenessType, challenges};
use faceline_shared::settings::ExportSettings;
use faceline_shared::telemetry::TraceContext;
use prometheus::IntCounter;
use serde::Serialize;
use tracing::Instrument as _;

use super::claim::Claim;
use crate::fault::Fault;
use crate::replays::record::SubmittedReplay;
use crate::replays::service::Replays;
use crate::request::record::{self, RequestRecord};
use crate::sessions::object_fault;

/// Encrypted media as it arrives.
pub(crate) trait MediaSource: Send {
    /// The next bytes; `None` once all have arrived and nothing follows them.
    ///
    /// # Errors
    /// [`Fault::SlowBody`] if the bytes arrive too slowly, [`Fault::Invalid`] if they end early or further bytes
    /// follow them.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Fault>> + Send;
}

/// Receives media under a claim, and submits it.
///
/// # Errors
/// Those of [`Replays::receive_upload`]. The replay then waits for an upload again, and the upload's object is deleted.
pub(super) async fn receive(
    replays: &Arc<Replays>,
    mut claim: Claim,
    metadata: &UploadMetadata,
    media: &mut impl MediaSource,
    trace: &TraceContext,
) -> Result<(), Fault> {
    let sink = Sink { store: &*replays.media, received_bytes: &replays.uploads.metrics.bytes };
    let key = claim.object().to_owned();
    let received = tokio::select! {
        biased;
        received = sink.receive(&key, metadata, media) => received,
        lost = claim.keep() => Err(lost),
    };
    let object = match received {
        Ok(object) => object,
        Err(fault) => {
            claim.give_back().await;
            return Err(fault);
        }
    };
    let job = claim.job;
    record::update(|facts| {
        facts.is_received = true;
        facts.job = Some(job);
    });
    let submitted = submitted(&claim, metadata, &replays.settings.exports, trace);
    // All media has arrived, so the rest runs in a task of its own, even if the device disconnects.
    let submit = submit(claim, object, submitted);
    let submit = RequestRecord::current()?.scope(submit).in_current_span();
    tokio::spawn(submit).await.map_err(|error| {
        tracing::error!(%error, "submitting an upload panicked");
        Fault::Internal
    })??;
    replays.note_due_rows();
    Ok(())
}

/// Finishes the object, and makes it the replay's video.
async fn submit(
    mut claim: Claim,
    object: Box<dyn ObjectUpload>,
    submitted: SubmittedReplay,
) -> Result<(), Fault> {
    let finished = tokio::select! {
        biased;
        finished = object.finish() => finished.map_err(|error| object_fault(&error)),
        lost = claim.keep() => Err(lost),
    };
    let submitted = match finished {
        Ok(()) => claim.submit(submitted).await,
        Err(fault) => Err(fault),
    };
    if submitted.is_err() {
        // If the outcome of the change is unknown, this does not release an upload that was submitted.
        claim.give_back().await;
    }
    submitted
}

/// The destination of media.
struct Sink<'a> {
    store: &'a dyn ObjectStore,
    received_bytes: &'a IntCounter,
}

impl Sink<'_> {
    /// Writes all of `media`, which must have the announced length and digest.
    async fn receive(
        &self,
        key: &str,
        metadata: &UploadMetadata,
        media: &mut impl MediaSource,
    ) -> Result<Box<dyn ObjectUpload>, Fault> {
        let other_media = |what| Fault::Invalid(format!("`media` has another {what} than `metadata` says"));
        let mut object = self.store.upload(key).await.map_err(|error| object_fault(&error))?;
        let (mut length, mut digest) = (0, Context::new(&SHA256));
        while let Some(bytes) = media.next().await? {
            length += bytes.len() as u64;
            self.received_bytes.inc_by(bytes.len() as u64);
            if length > metadata.media_length {
                return Err(other_media("length"));
            }
            digest.update(&bytes);
            object.write(bytes).await.map_err(|error| object_fault(&error))?;
        }
        if length != metadata.media_length {
            return Err(other_media("length"));
        }
        if verify_slices_are_equal(digest.finish().as_ref(), &metadata.media_digest).is_err() {
            return Err(other_media("digest"));
        }
        Ok(object)
    }
}

/// The upload as the replay's record keeps it, with the task for a worker.
fn submitted(
    claim: &Claim,
    metadata: &UploadMetadata,
    exports: &ExportSettings,
    trace: &TraceContext,
) -> SubmittedReplay {
    let record = claim.record();
    let challenges = match record.liveness {
        LivenessType::Active => challenges(record.seed, record.challenge_count.into()),
        LivenessType::Passive | LivenessType::PassiveVideo => vec![],
    };
    let media = EncryptedMedia {
        object: claim.object().to_owned(),
        length: metadata.media_length,
        key: metadata.media_key,
        nonce_prefix: metadata.nonce_prefix,
        session: claim.name.id,
        replay: record.id.clone(),
        content_type: metadata.content_type.clone(),
    };
    let task = Replay {
        media,
        liveness: record.liveness,
        level: record.level,
        challenges,
        events: metadata.challenge_events(),
        mirrored: metadata.mirrored,
        exports_image: exports.images,
        exports_video: exports.videos,
    };
    SubmittedReplay {
        job: claim.job,
        media_digest: metadata.media_digest,
        task,
        device_info: json(metadata.device_info.as_ref()),
        sdk_info: json(metadata.sdk_info.as_ref()),
        traceparent: trace.to_string(),
        tracestate: trace.tracestate().map(str::to_owned),
    }
}

fn json(value: Option<&impl Serialize>) -> Option<serde_json::Value> {
    value.and_then(|value| serde_json::to_value(value).ok())
}
