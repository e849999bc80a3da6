//! The operation of Face Liveness.

use bytes::Bytes;
use faceline_shared::job::examination::{Examination, Examined};
use faceline_shared::job::{JobFailure, JobResult, Task};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use tokio::time::Instant;

use super::answer::{LivenessAnswer, PictureFault};
use super::request::{self, LivenessRequest, PictureSource};
use crate::admission::InFlightPermit;
use crate::families::{Verdict, VerdictMetrics, json};
use crate::fault::Fault;
use crate::jobs::{WorkerClient, unexpected_result};
use crate::outbound::{FetchError, Fetcher};
use crate::request::RequestContext;
use crate::request::record;

/// The operation of Face Liveness.
pub struct FaceLiveness {
    workers: WorkerClient,
    fetcher: Fetcher,
    /// Maximum size of a picture, in bytes.
    max_picture_bytes: usize,
    /// Scores above it count as accepted in the metric. Callers get the score, and decide themselves.
    threshold: f32,
    verdicts: VerdictMetrics,
}

/// A refused request: the error, and the session id if the body could be read that far.
#[derive(Debug, PartialEq)]
pub struct Refused {
    /// The error.
    pub fault: Fault,
    /// The `sessionId` of the request, which the answer repeats.
    pub session_id: Option<String>,
}

impl FaceLiveness {
    /// The operation, with the workers that `workers` reaches.
    ///
    /// # Errors
    /// [`rustls::Error`] if the TLS client for picture URLs cannot be set up.
    pub fn new(
        config: &Settings,
        workers: WorkerClient,
        metrics: &Metrics,
        verdicts: VerdictMetrics,
    ) -> Result<Self, rustls::Error> {
        let fetcher = Fetcher::new(config, metrics)?;
        Ok(Self {
            workers,
            fetcher,
            max_picture_bytes: config.limits.picture_bytes,
            threshold: config.liveness.security_level.threshold(),
            verdicts,
        })
    }

    /// Scores how likely the picture in a body shows a living person. `ticket` accounts for the bytes of the body,
    /// and grows by those of a fetched picture.
    ///
    /// # Errors
    /// [`Refused`] with [`Fault::Invalid`] for a bad body, [`Fault::UrlNotAllowed`] for a URL outside the allow-list,
    /// [`Fault::TooLarge`] for a long picture, [`Fault::Busy`] if the service is overloaded,
    /// [`Fault::DeadlineRunning`] if the job took too long.
    pub async fn detect(
        &self,
        body: Bytes,
        context: &RequestContext,
        ticket: &mut InFlightPermit,
    ) -> Result<Vec<u8>, Refused> {
        let LivenessRequest { session_id, source } = self.read(body).await?;
        record::update(|facts| facts.correlation_id.clone_from(&session_id));
        let judged = match source {
            Ok(source) => self.judge(source, context, ticket).await,
            Err(fault) => Err(fault),
        };
        if let Ok(judged) = &judged {
            let (verdict, reason) = match judged {
                Ok(score) if *score > self.threshold => (Verdict::Accepted, None),
                Ok(_) => (Verdict::Rejected, None),
                Err(fault) => (Verdict::NotJudged, Some(fault.code())),
            };
            self.verdicts.count("face_liveness", verdict, reason);
        }
        let written =
            judged.and_then(|score| json::answer(&LivenessAnswer::new(session_id.as_deref(), score)));
        written.map_err(|fault| Refused { fault, session_id })
    }

    /// Reads a body on a blocking thread, because parsing a long one would delay the other requests of an async
    /// thread.
    async fn read(&self, body: Bytes) -> Result<LivenessRequest, Refused> {
        let limit = self.max_picture_bytes;
        let read = tokio::task::spawn_blocking(move || LivenessRequest::read(&body, limit)).await;
        let read = read.map_err(|error| {
            tracing::error!(%error, "a body cannot be read");
            Fault::Internal
        });
        read.flatten().map_err(|fault| Refused { fault, session_id: None })
    }

    /// Examines the picture on a worker. The time for a fetch counts against the deadline of the job.
    async fn judge(
        &self,
        source: PictureSource,
        context: &RequestContext,
        ticket: &mut InFlightPermit,
    ) -> Result<Result<f32, PictureFault>, Fault> {
        let started = Instant::now();
        let picture = match source {
            PictureSource::Picture(picture) => picture,
            PictureSource::Url(url) => match self.fetch(&url, ticket).await? {
                Ok(picture) => picture,
                Err(fault) => return Ok(Err(fault)),
            },
        };
        let examination =
            Examination { live: vec![picture], photo: None, liveness: true, challenge: Vec::new() };
        match self.workers.run_after(started.elapsed(), Task::Examine(Box::new(examination)), context).await?
        {
            Ok(JobResult::Examined(examined)) => score(&examined),
            Ok(_) => Err(unexpected_result()),
            Err(failure) => picture_fault(&failure).map(Err),
        }
    }

    /// Fetches the picture behind a URL.
    async fn fetch(
        &self,
        url: &str,
        ticket: &mut InFlightPermit,
    ) -> Result<Result<Bytes, PictureFault>, Fault> {
        let mut reserve = |bytes| ticket.grow(bytes);
        match self.fetcher.fetch(url, &mut reserve).await {
            Ok(picture) => Ok(Ok(picture)),
            Err(FetchError::Form(error)) => Err(request::invalid(&format!("is not a URL: {error}"))),
            Err(FetchError::Refused(reason)) => Err(Fault::UrlNotAllowed(reason.to_string())),
            Err(FetchError::TooLarge { limit }) => Err(request::too_large(limit)),
            Err(FetchError::Busy(fault)) => Err(fault),
            Err(FetchError::Unusable(reason)) => {
                // The log omits the URL, because its path or query may contain a secret.
                tracing::info!(%reason, "a picture cannot be fetched");
                Ok(Err(PictureFault::InvalidImage))
            }
        }
    }
}

/// The score of the only face, or the reason why it has none.
fn score(examined: &Examined) -> Result<Result<f32, PictureFault>, Fault> {
    let [picture] = examined.live.as_slice() else { return Err(unexpected_result()) };
    let face = match picture.faces.as_slice() {
        [] => return Ok(Err(PictureFault::FaceNotFound)),
        [face] => face,
        [_, _, ..] => return Ok(Err(PictureFault::TooManyFaces)),
    };
    if let Some(check) = picture.rejection() {
        return Ok(Err(PictureFault::of(check)));
    }
    face.liveness.map(Ok).ok_or_else(unexpected_result)
}

/// The fault of the picture that caused the failure of a job; an error if the picture is not the cause.
fn picture_fault(failure: &JobFailure) -> Result<PictureFault, Fault> {
    match failure {
        JobFailure::BadPicture { reason, .. } => {
            tracing::info!(reason, "a picture cannot be read");
            Ok(PictureFault::InvalidImage)
        }
        JobFailure::SeveralFaces { .. } => Ok(PictureFault::TooManyFaces),
        JobFailure::NoFace { .. } => Ok(PictureFault::FaceNotFound),
        JobFailure::OtherAlgorithm { .. }
        | JobFailure::BadVideo(_)
        | JobFailure::BlobLost
        | JobFailure::Expired { .. }
        | JobFailure::Poison { .. }
        | JobFailure::Unsupported
        | JobFailure::OtherKeys
        | JobFailure::Internal => Err(Fault::Internal),
    }
}
