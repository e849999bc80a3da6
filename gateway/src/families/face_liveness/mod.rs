//! Face Liveness, without its transport: takes the body that a caller sent and gives the JSON text to answer.

mod answer;
mod request;

use crate::fault::Fault;
use bytes::Bytes;
use faceline_shared::job::examination::{Examination, Examined};
use faceline_shared::job::{JobFailure, JobResult};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use tokio::time::Instant;

pub use self::answer::{Answer, PictureFault, code};
use self::request::{Request, Source};
use crate::admission::InFlightPermit;
use crate::families::json;
use crate::jobs::{WorkerClient, unexpected_result};
use crate::outbound::{FetchError, Fetcher};
use crate::request::RequestContext;
use crate::request::record;
use faceline_shared::job::Task;

/// The operation.
pub struct FaceLiveness {
    workers: WorkerClient,
    fetcher: Fetcher,
    picture_bytes: usize,
}

/// Why a request has no answer of its own, and the caller's identifier, where the request was read so far.
#[derive(Debug, PartialEq)]
pub struct Refused {
    /// What is answered in its place.
    pub fault: Fault,
    /// The caller's identifier.
    pub session_id: Option<String>,
}

impl FaceLiveness {
    /// The operation over the workers behind `workers`.
    ///
    /// # Errors
    /// TLS for URLs cannot be set up.
    pub fn new(config: &Settings, workers: WorkerClient, metrics: &Metrics) -> Result<Self, rustls::Error> {
        let fetcher = Fetcher::new(config, metrics)?;
        Ok(Self { workers, fetcher, picture_bytes: config.limits.picture_bytes })
    }

    /// Says how likely the picture in a body shows a living person. `ticket` holds room for the body, and gets it for a
    /// picture that is fetched.
    ///
    /// # Errors
    /// A body that is not of the form, a URL that is not allowed, no room, no answer in time.
    pub async fn detect(
        &self,
        body: Bytes,
        context: &RequestContext,
        ticket: &mut InFlightPermit,
    ) -> Result<Vec<u8>, Refused> {
        let Request { session_id, source } = self.read(body).await?;
        record::update(|facts| facts.correlation_id.clone_from(&session_id));
        let judged = match source {
            Ok(source) => self.judge(source, context, ticket).await,
            Err(fault) => Err(fault),
        };
        let written = judged.and_then(|score| json::answer(&Answer::new(session_id.as_deref(), score)));
        written.map_err(|fault| Refused { fault, session_id })
    }

    /// Reads a body on a thread where nobody waits: it may be long.
    async fn read(&self, body: Bytes) -> Result<Request, Refused> {
        let limit = self.picture_bytes;
        let read = tokio::task::spawn_blocking(move || Request::read(&body, limit)).await;
        let read = read.map_err(|error| {
            tracing::error!(%error, "a body cannot be read");
            Fault::Internal
        });
        read.flatten().map_err(|fault| Refused { fault, session_id: None })
    }

    async fn judge(
        &self,
        source: Source,
        context: &RequestContext,
        ticket: &mut InFlightPermit,
    ) -> Result<Result<f32, PictureFault>, Fault> {
        let started = Instant::now();
        let picture = match source {
            Source::Picture(picture) => picture,
            Source::Url(url) => match self.fetch(&url, ticket).await? {
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

    async fn fetch(
        &self,
        url: &str,
        ticket: &mut InFlightPermit,
    ) -> Result<Result<Bytes, PictureFault>, Fault> {
        let mut room = |bytes| ticket.grow(bytes);
        match self.fetcher.fetch(url, &mut room).await {
            Ok(picture) => Ok(Ok(picture)),
            Err(FetchError::Form(error)) => Err(request::invalid(&format!("is not a URL: {error}"))),
            Err(FetchError::Refused(reason)) => Err(Fault::UrlNotAllowed(reason.to_string())),
            Err(FetchError::TooLarge { limit }) => Err(request::too_large(limit)),
            Err(FetchError::Busy(fault)) => Err(fault),
            Err(FetchError::Unusable(reason)) => {
                // A URL may have a secret in its path or its query, which no log is to show.
                tracing::info!(%reason, "a picture cannot be fetched");
                Ok(Err(PictureFault::InvalidImage))
            }
        }
    }
}

/// The score of the one face, or why it has none.
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

/// What a failure says of the picture.
fn picture_fault(failure: &JobFailure) -> Result<PictureFault, Fault> {
    match failure {
        JobFailure::BadPicture { reason, .. } => {
            tracing::info!(reason, "a picture cannot be read");
            Ok(PictureFault::InvalidImage)
        }
        JobFailure::SeveralFaces { .. } => Ok(PictureFault::TooManyFaces),
        JobFailure::NoFace { .. } => Ok(PictureFault::FaceNotFound),
        JobFailure::OtherAlgorithm { .. }
        | JobFailure::BlobLost
        | JobFailure::Expired { .. }
        | JobFailure::Poison { .. }
        | JobFailure::Internal => Err(Fault::Internal),
    }
}
