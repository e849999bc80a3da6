//! Consumes the results of replays' jobs, any of which may reach any gateway, and ends the replays.
//!
//! A gateway acknowledges a result when the replay has ended in the store. If it dies before, another gateway gets
//! the result. The best image and the face, which are written before that end, have keys and ids that are derived
//! from the job. So a repetition writes the same objects again.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::sealed::RecordError;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::broker::{Delivery, Message, Queue, Settlement, SharedBroker};
use faceline_shared::job::replay::{BestImage, Replayed};
use faceline_shared::job::{JobId, JobResult, MessageError, Outcome, ReplyEnvelope};
use faceline_shared::object::{ObjectError, SealedObjects};
use faceline_shared::retry::Backoff;
use faceline_shared::seal::{KeyRing, SealError};
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::{MessageStep, TraceContext};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::best_image::BestImageFaces;
use super::context::{self, ContextError};
use super::ending::{FoundReplay, ReplayEnds, best_face_id, ended_without_image};
use super::judgement::Judgement;
use super::record::{EndedReplay, ReplayOrigin, ReplayState, ReplayStatus};
use super::service::Replays;
use super::unreadable::UnreadableResults;
use crate::fault::{BusyCause, Fault};
use crate::request::record::RequestRecord;
use crate::sessions::face::FaceDescription;

/// Maximum number of results on which this gateway works at the same time.
const PREFETCH: u16 = 8;
/// Delays of retries while a store is unavailable.
const RETRIES: Backoff = Backoff::BACKGROUND;
/// Time for which a result is kept while a store is unavailable, before it goes back to the queue. The broker's own
/// limit is far above.
const RETRY_TIME: Duration = Duration::from_mins(5);
/// Time for which results are still worked on after a shutdown has begun.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);
/// Pause before a result that this gateway cannot read goes back, so it does not circulate at full speed.
const GIVE_BACK_PAUSE: Duration = Duration::from_secs(1);

/// Reason why a result cannot be used yet. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Unavailable {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("the face of the best image cannot be written: {0}")]
    Face(Fault),
    #[error("the replay keeps changing")]
    Changed,
}

/// The outcome of handling a result.
enum Handled {
    /// The replay has ended.
    Ended,
    /// The result changes nothing, for this reason.
    Dropped(&'static str),
    /// Another gateway may be able to read it: one of a newer build, or with the right keys.
    NotReadableHere(String),
    /// No gateway can read it.
    Broken(String),
}

/// Consumes results in the background.
pub(super) struct ResultConsumer {
    pub(super) replays: Arc<Replays>,
    pub(super) broker: SharedBroker,
    pub(super) keys: KeyRing,
    pub(super) ends: ReplayEnds,
    pub(super) images: SealedObjects,
    pub(super) faces: Arc<dyn BestImageFaces>,
    pub(super) unreadable: UnreadableResults,
}

impl ResultConsumer {
    /// Consumes results until `shutdown`. It then finishes the results that it has, unless a store is unavailable.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let consumer = Arc::new(self);
        let tasks = TaskTracker::new();
        let mut results = consumer.broker.consume(&Queue::Results, PREFETCH).await;
        loop {
            let delivery = tokio::select! {
                () = shutdown.cancelled() => break,
                delivery = results.next() => delivery,
            };
            // Otherwise the broker was closed.
            let Some(delivery) = delivery else { break };
            let (consumer, shutdown) = (Arc::clone(&consumer), shutdown.clone());
            tasks.spawn(async move {
                let settlement = consumer.settlement(&delivery, &shutdown).await;
                if let Err(error) = delivery.settle(settlement).await {
                    tracing::debug!(%error, job = %delivery.message.id, "a result is not settled and comes again");
                }
            });
        }
        results.close().await;
        tasks.close();
        if timeout(SHUTDOWN_TIME, tasks.wait()).await.is_err() {
            tracing::warn!(results = tasks.len(), "results of replays are left to other gateways");
        }
    }

    /// Handles a result. Returns its settlement.
    async fn settlement(&self, delivery: &Delivery, shutdown: &CancellationToken) -> Settlement {
        let message = &delivery.message;
        let dropped = |reason| self.ends.metrics.dropped.with_label_values(&[reason]).inc();
        // This work belongs to no request, so its record of facts is not used.
        let handling = RequestRecord::default().scope(self.handle_with_retries(message, shutdown));
        match handling.await {
            Some(Handled::Ended) => Settlement::Ack,
            Some(Handled::Dropped(reason)) => {
                tracing::info!(job = %message.id, reason, "the result of a replay changes nothing");
                dropped(reason);
                Settlement::Ack
            }
            Some(Handled::Broken(error)) => {
                tracing::error!(error, job = %message.id, "the result of a replay goes to the dead letters");
                dropped("unreadable");
                Settlement::DeadLetter
            }
            Some(Handled::NotReadableHere(error)) if self.unreadable.is_given_up(message.id) => {
                tracing::error!(error, job = %message.id, "no gateway can read the result of a replay; it goes to the dead letters");
                dropped("unreadable");
                Settlement::DeadLetter
            }
            Some(Handled::NotReadableHere(error)) => {
                tracing::warn!(error, job = %message.id, "the result of a replay is left to other gateways");
                shutdown.run_until_cancelled(tokio::time::sleep(GIVE_BACK_PAUSE)).await;
                Settlement::GiveBack
            }
            None => Settlement::GiveBack,
        }
    }

    /// Handles a result, and retries while a store is unavailable; `None` after [`RETRY_TIME`], or at the shutdown.
    async fn handle_with_retries(&self, message: &Message, shutdown: &CancellationToken) -> Option<Handled> {
        let started = tokio::time::Instant::now();
        let mut failures = 0;
        loop {
            let error = match self.handle(message).await {
                Ok(handled) => return Some(handled),
                Err(error) => error,
            };
            failures += 1;
            let delay = RETRIES.delay(failures);
            tracing::warn!(%error, job = %message.id, ?delay, "the result of a replay cannot be used yet");
            shutdown.run_until_cancelled(tokio::time::sleep(delay)).await?;
            if started.elapsed() >= RETRY_TIME {
                return None;
            }
        }
    }

    async fn handle(&self, message: &Message) -> Result<Handled, Unavailable> {
        let (envelope, name) = match self.read(message) {
            Ok(read) => read,
            Err(handled) => return Ok(handled),
        };
        let job = envelope.id;
        let Some(found) = self.ends.find(&name).await? else { return Ok(Handled::Dropped("session_gone")) };
        let Some(submitted) = found.in_progress(job) else {
            return Ok(Handled::Dropped(match &found.replay.record.state {
                ReplayState::Ended(ended) if ended.job == Some(job) => {
                    self.retract_unnamed(&name, job, ended).await?;
                    "duplicate"
                }
                _ => "other_job",
            }));
        };
        let mut span = submitted.trace().message_span(MessageStep::Process, Queue::Results.name(), job);
        let outcome = match envelope.open(&self.keys) {
            Ok(outcome) => outcome,
            Err(error) if error.is_deferrable() => return Ok(Handled::NotReadableHere(error.to_string())),
            Err(error) => return Ok(Handled::Broken(error.to_string())),
        };
        let Some(judgement) = Judgement::of(&outcome) else {
            tracing::warn!(%job, ?outcome, "a worker has not judged a replay; its job is published once more in time");
            return Ok(Handled::Dropped("left_to_retry"));
        };
        if outcome.is_ok() {
            self.replays.note_judged(Duration::from_millis(envelope.service_ms));
        }
        span.set("faceline.outcome", judgement.reason);
        let trace = span.context();
        let logged =
            tracing::info_span!("result", %job, trace_id = trace.trace_id(), span_id = trace.span_id());
        let ended = self.end(&name, job, found, judgement, outcome, trace).instrument(logged).await;
        if ended.is_err() {
            span.fail("unavailable");
        }
        ended
    }

    /// Reads the parts that do not depend on the outcome: the envelope and the session.
    fn read(&self, message: &Message) -> Result<(ReplyEnvelope, SessionName), Handled> {
        let envelope = ReplyEnvelope::decode(&message.body).map_err(|error| match error {
            MessageError::Version(_) => Handled::NotReadableHere(error.to_string()),
            error => Handled::Broken(error.to_string()),
        })?;
        let Some(context) = &envelope.context else {
            return Err(Handled::Broken("it has no context".to_owned()));
        };
        let name = context::open(&self.keys, envelope.id, context).map_err(|error| match error {
            ContextError::Seal(SealError::UnknownKey(_)) | ContextError::Newer(_) => {
                Handled::NotReadableHere(error.to_string())
            }
            error => Handled::Broken(error.to_string()),
        })?;
        Ok((envelope, name))
    }

    /// Ends the replay. If it succeeded, first stores the best image and the face that its status reports.
    async fn end(
        &self,
        name: &SessionName,
        job: JobId,
        found: FoundReplay,
        mut judgement: Judgement,
        outcome: Outcome,
        trace: &TraceContext,
    ) -> Result<Handled, Unavailable> {
        let mut ended = ended_without_image(&found, &judgement);
        if let Ok(JobResult::Replayed(replayed)) = outcome {
            let Replayed { best_image, image_storage, video_storage, .. } = *replayed;
            ended = EndedReplay { image_storage, video_storage, ..ended };
            if let Some(best) = best_image
                && judgement.status == ReplayStatus::Success
            {
                match self.keep(name, job, &found, &best, ended, trace).await? {
                    Kept::Image(kept) => ended = *kept,
                    Kept::SessionGone => return Ok(Handled::Dropped("session_gone")),
                    Kept::NoRoom => {
                        judgement = Judgement::no_room_for_face();
                        ended = ended_without_image(&found, &judgement);
                    }
                }
            }
        }
        let best_image = ended.best_image.clone();
        if self.ends.end(name, found, judgement.reason, ended).await? {
            return Ok(Handled::Ended);
        }
        // Another gateway has ended the replay, or the session has ended. In the latter case the sessions' outbox may
        // have deleted the session's folder before the image was written.
        if let Some(key) = best_image
            && self.ends.find(name).await?.is_none()
        {
            self.images.delete(&key).await?;
            return Ok(Handled::Dropped("session_gone"));
        }
        Err(Unavailable::Changed)
    }

    /// Stores the best image, makes a face from it, and estimates the age, as far as the replay requires it.
    async fn keep(
        &self,
        name: &SessionName,
        job: JobId,
        found: &FoundReplay,
        best: &BestImage,
        ended: EndedReplay,
        trace: &TraceContext,
    ) -> Result<Kept, Unavailable> {
        let record = &found.replay.record;
        let mut kept = EndedReplay { best_face: Some(FaceDescription::of_best_image(best)), ..ended };
        if let ReplayOrigin::WebCapture { age_threshold } = record.origin {
            if age_threshold.is_some() {
                kept.age = self.faces.age(&name.client, best, trace.clone()).await;
            }
            let id = best_face_id(job);
            match self.faces.add(name, id, best).await {
                Ok(()) => kept.best_face_id = Some(id),
                Err(Fault::NotFound(_)) => return Ok(Kept::SessionGone),
                Err(Fault::Invalid(_)) => return Ok(Kept::NoRoom),
                Err(fault) if is_client_full(&fault) => return Ok(Kept::NoRoom),
                Err(fault) => return Err(Unavailable::Face(fault)),
            }
        }
        if record.returns_image || matches!(record.origin, ReplayOrigin::WebCapture { .. }) {
            let key = best_image_key(name, job);
            self.images.put(&name.client, &key, &best.jpeg).await?;
            kept.best_image = Some(key);
        }
        Ok(Kept::Image(Box::new(kept)))
    }

    /// Removes the best image and the face that an attempt may have stored while another result of the job, or its
    /// deadline, ended the replay without them. Callers do not expect a face that the replay's end does not name.
    async fn retract_unnamed(
        &self,
        name: &SessionName,
        job: JobId,
        ended: &EndedReplay,
    ) -> Result<(), Unavailable> {
        if ended.best_face_id.is_none() {
            self.faces.retract(name, best_face_id(job)).await.map_err(Unavailable::Face)?;
        }
        if ended.best_image.is_none() {
            self.images.delete(&best_image_key(name, job)).await?;
        }
        Ok(())
    }
}

/// The key of a replay's best image in the object store.
fn best_image_key(name: &SessionName, job: JobId) -> String {
    format!("sessions/{}/replay-{job}", name.id)
}

/// The outcome of storing a best image.
enum Kept {
    /// The image is stored, as the ended replay states.
    Image(Box<EndedReplay>),
    /// The session has ended.
    SessionGone,
    /// The session is full, or its client has reached a bound.
    NoRoom,
}

fn is_client_full(fault: &Fault) -> bool {
    fault.as_busy().is_some_and(|busy| matches!(busy.cause, BusyCause::ClientStorage(_)))
}
