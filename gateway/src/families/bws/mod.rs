//! BWS, without HTTP or gRPC around it: liveness detection, and the comparison of live pictures with a photo.

pub mod answer;
mod judgement;
mod level;
mod request;

use crate::fault::Fault;
use bytes::Bytes;
use faceline_shared::job::examination::{Examination, Examined};
use faceline_shared::job::{JobFailure, JobResult, Subject};
use faceline_shared::score::Far;
use faceline_shared::settings::Settings;

use self::answer::{ImageProperties, LivenessDetection, PhotoVerify};
use self::level::Level;
pub use self::request::{Detection, LiveImage, Verification};
use crate::jobs::WorkerClient;
use crate::request::RequestContext;
use faceline_shared::job::Task;

/// The operations.
pub struct Bws {
    workers: WorkerClient,
    /// A score above it is live.
    threshold: f32,
}

impl Bws {
    /// Operations over the workers behind `workers`.
    #[must_use]
    pub fn new(config: &Settings, workers: WorkerClient) -> Self {
        Self { workers, threshold: config.liveness.security_level.threshold() }
    }

    /// Says whether one or two pictures show a living person.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where the request is not of the form or a picture cannot be read; as of [`WorkerClient::run`].
    pub async fn detect_liveness(
        &self,
        request: Detection,
        context: &RequestContext,
    ) -> Result<LivenessDetection, Fault> {
        let examined = self.examine(request.examination()?, context).await?;
        Ok(judgement::judge(&examined, self.threshold))
    }

    /// Says whether live pictures and a photo show the same person.
    ///
    /// # Errors
    /// As of [`Self::detect_liveness`].
    pub async fn verify_photo(
        &self,
        request: Verification,
        context: &RequestContext,
    ) -> Result<PhotoVerify, Fault> {
        let is_live_asked = !request.disable_liveness_detection;
        let examined = self.examine(request.examination()?, context).await?;
        let detection = if is_live_asked {
            judgement::judge(&examined, self.threshold)
        } else {
            judgement::not_judged(&examined)
        };
        if is_live_asked && !detection.live {
            return Ok(PhotoVerify::not_compared(detection, None));
        }
        Ok(verified(detection, &examined))
    }

    async fn examine(
        &self,
        examination: Examination<Bytes>,
        context: &RequestContext,
    ) -> Result<Examined, Fault> {
        let pictures = (examination.live.len(), examination.photo.is_some());
        match self.workers.run(Task::Examine(Box::new(examination)), context).await? {
            Ok(JobResult::Examined(examined))
                if (examined.live.len(), examined.photo.is_some()) == pictures =>
            {
                Ok(*examined)
            }
            Ok(_) => {
                tracing::error!("a worker answered something else than it was asked");
                Err(Fault::Internal)
            }
            Err(failure) => Err(fault(&failure)),
        }
    }
}

/// The answer where liveness does not stand against it.
fn verified(detection: LivenessDetection, examined: &Examined) -> PhotoVerify {
    let Some(photo) = &examined.photo else { return PhotoVerify::not_compared(detection, None) };
    let error = judgement::of_photo(photo, examined.verification.is_some());
    // Else whoever has a picture of the victim could add it to one of themselves.
    let is_one_person = examined.same_person != Some(false);
    let is_comparable = error.is_none() && detection.errors.is_empty() && is_one_person;
    let mut answer = PhotoVerify::not_compared(detection, Some(ImageProperties::new(photo, None)));
    answer.errors.extend(error);
    if let Some(far) = examined.verification.filter(|_| is_comparable) {
        answer.compared(far);
    }
    answer
}

impl PhotoVerify {
    fn compared(&mut self, far: Far) {
        self.verification_level = Level::of(far);
        self.verification_score = level::score(far);
    }
}

/// The fault of a failure that is a picture's.
fn fault(failure: &JobFailure) -> Fault {
    let name = |subject: &Subject| match subject {
        Subject::Live(at) => format!("live image {}", u32::from(*at) + 1),
        Subject::Photo => "photo".to_owned(),
        // Not asked for in this family.
        Subject::Image | Subject::Reference | Subject::Candidate => "image".to_owned(),
    };
    match failure {
        JobFailure::BadPicture { subject, reason } => {
            Fault::Invalid(format!("The {} cannot be decoded: {reason}.", name(subject)))
        }
        JobFailure::NoFace { subject } => {
            Fault::Invalid(format!("No face was found in the {}.", name(subject)))
        }
        JobFailure::SeveralFaces { subject } => {
            Fault::Invalid(format!("More than one face was found in the {}.", name(subject)))
        }
        JobFailure::OtherAlgorithm { .. }
        | JobFailure::BlobLost
        | JobFailure::Expired { .. }
        | JobFailure::Poison { .. }
        | JobFailure::Internal => Fault::Internal,
    }
}
