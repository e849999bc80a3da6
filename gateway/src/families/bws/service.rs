//! The operations of BWS.

use bytes::Bytes;
use faceline_shared::job::examination::{Examination, Examined};
use faceline_shared::job::{JobResult, Task, VideoExamination};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::score::Far;
use faceline_shared::settings::Settings;

use super::answer::{ErrorCode, ImageProperties, JobError, LivenessDetection, PhotoVerify};
use super::failure;
use super::judgement;
use super::request::{Detection, Verification};
use super::verification_level::{self, VerificationLevel};
use super::video;
use crate::families::{Verdict, VerdictMetrics};
use crate::fault::Fault;
use crate::jobs::{WorkerClient, unexpected_result};
use crate::request::RequestContext;

/// The operations of BWS.
pub struct Bws {
    workers: WorkerClient,
    /// The threshold of the configured security level. A liveness score above it counts as live.
    threshold: f32,
    /// The configured security level. It is sent to the worker with videos, because the worker judges them.
    level: SecurityLevel,
    verdicts: VerdictMetrics,
}

impl Bws {
    /// The operations, with the workers that `workers` reaches.
    #[must_use]
    pub fn new(config: &Settings, workers: WorkerClient, verdicts: VerdictMetrics) -> Self {
        let level = config.liveness.security_level;
        Self { workers, threshold: level.threshold(), level, verdicts }
    }

    /// Judges whether one or two pictures show a living person.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a bad request or an unreadable picture; those of [`WorkerClient::run`].
    pub async fn detect_liveness(
        &self,
        request: Detection,
        context: &RequestContext,
    ) -> Result<LivenessDetection, Fault> {
        let examined = self.examine(request.examination()?, context).await?;
        let detection = judgement::judge(&examined, self.threshold);
        self.count("liveness_detection", detection.live, &detection.errors);
        Ok(detection)
    }

    /// Judges whether a video shows a living person.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for an empty or unreadable video; those of [`WorkerClient::run`].
    pub async fn detect_video_liveness(
        &self,
        video: Bytes,
        context: &RequestContext,
    ) -> Result<LivenessDetection, Fault> {
        if video.is_empty() {
            return Err(Fault::Invalid("No video has been provided.".into()));
        }
        let task = Task::ExamineVideo(VideoExamination { video, level: self.level });
        match self.workers.run(task, context).await? {
            Ok(JobResult::VideoExamined(examined)) => {
                let detection = video::judge(&examined, self.threshold);
                self.count("video_liveness_detection", detection.live, &detection.errors);
                Ok(detection)
            }
            Ok(_) => Err(unexpected_result()),
            Err(failure) => Err(failure::fault(&failure)),
        }
    }

    /// Judges whether live pictures and a photo show the same person.
    ///
    /// # Errors
    /// Those of [`Self::detect_liveness`].
    pub async fn verify_photo(
        &self,
        request: Verification,
        context: &RequestContext,
    ) -> Result<PhotoVerify, Fault> {
        let wants_liveness = !request.disable_liveness_detection;
        let examined = self.examine(request.examination()?, context).await?;
        let detection = if wants_liveness {
            judgement::judge(&examined, self.threshold)
        } else {
            judgement::without_liveness(&examined)
        };
        let answer = if wants_liveness && !detection.live {
            PhotoVerify::not_compared(detection, None)
        } else {
            verified(detection, &examined)
        };
        let is_recognized = answer.verification_level != VerificationLevel::NotRecognized;
        self.count("photo_verify", is_recognized, &answer.errors);
        Ok(answer)
    }

    /// Counts the verdict of an answer.
    fn count(&self, operation: &str, is_accepted: bool, errors: &[JobError]) {
        let code = errors.first().map(|error| error.error_code);
        let verdict = match code {
            _ if is_accepted => Verdict::Accepted,
            Some(code) if !code.is_rejection() => Verdict::NotJudged,
            _ => Verdict::Rejected,
        };
        self.verdicts.count(operation, verdict, code.map(ErrorCode::as_str));
    }

    /// Examines the pictures on a worker.
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
            Ok(_) => Err(unexpected_result()),
            Err(failure) => Err(failure::fault(&failure)),
        }
    }
}

/// The answer if the live pictures passed the liveness detection, or the caller disabled it.
fn verified(detection: LivenessDetection, examined: &Examined) -> PhotoVerify {
    let Some(photo) = &examined.photo else { return PhotoVerify::not_compared(detection, None) };
    let error = judgement::photo_error(photo, examined.verification.is_some());
    // Otherwise an attacker could send a live picture of themselves together with a picture of the victim.
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
    /// Sets the result of the comparison.
    fn compared(&mut self, far: Far) {
        self.verification_level = VerificationLevel::of(far);
        self.verification_score = verification_level::score(far);
    }
}
