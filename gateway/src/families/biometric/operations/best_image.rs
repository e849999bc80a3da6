//! Makes a face of a session from the best image of a video, in the same way as from an uploaded selfie.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::face::ImageType;
use faceline_shared::job::replay::BestImage;
use faceline_shared::job::{Coding, JobResult, Task};
use faceline_shared::retry::Backoff;
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::TraceContext;
use uuid::Uuid;

use super::stored_text::stored_text;
use crate::families::biometric::algorithm::Algorithm;
use crate::families::biometric::answer::FaceAnswer;
use crate::families::biometric::face_facts::FaceFacts;
use crate::families::biometric::template::TemplateCodec;
use crate::fault::Fault;
use crate::jobs::{JobRequest, Submit, SubmitError};
use crate::replays::BestImageFaces;
use crate::sessions::face::FaceDescription;
use crate::sessions::{KeptPicture, SessionFace, Sessions, media_type};
use crate::signing::Signer;

/// The kind of picture that a best image is.
const IMAGE_TYPE: ImageType = ImageType::Selfie;
/// Maximum number of attempts to get an age while the workers are too busy.
const MAX_AGE_ATTEMPTS: u32 = 3;

/// Makes faces from best images.
pub struct BestImages {
    templates: TemplateCodec,
    sessions: Arc<Sessions>,
    signer: Arc<Signer>,
    algorithm: Algorithm,
    workers: Arc<dyn Submit>,
    deadline: Duration,
}

impl BestImages {
    /// Makes faces in `sessions`, and estimates their ages with `workers`.
    #[must_use]
    pub fn new(
        settings: &Settings,
        templates: TemplateCodec,
        sessions: Arc<Sessions>,
        signer: Arc<Signer>,
        workers: Arc<dyn Submit>,
    ) -> Self {
        let algorithm = Algorithm::of(settings);
        Self { templates, sessions, signer, algorithm, workers, deadline: settings.jobs.deadline }
    }

    /// Creates the face: its description, its template, and the signed JSON of both.
    fn face(
        &self,
        id: Uuid,
        session: &crate::sessions::Session,
        best: &BestImage,
    ) -> Result<SessionFace, Fault> {
        let BestImage { jpeg, digest, face, .. } = best;
        let facts = FaceFacts {
            digest: digest.clone(),
            image_type: IMAGE_TYPE,
            quality: face.quality,
            eyes: face.eyes,
            face_box: face.face_box,
            rotation: None,
        };
        let internal = |what: &str, error: &dyn std::fmt::Display| {
            tracing::error!(%error, what, "a best image cannot become a face");
            Fault::Internal
        };
        let template = self.templates.encode(&face.embedding, Some(&facts));
        let template = template.map_err(|error| internal("its template", &error))?;
        let description = FaceDescription::of_best_image(best);
        let shown =
            FaceAnswer::new(id, &description, Some(&template), &self.algorithm, Some(session.expires));
        let answer = self.signer.signed(&shown).map_err(|error| internal("its answer", &error))?;
        let picture = KeptPicture { media_type: media_type::JPEG.to_owned(), length: jpeg.len() };
        Ok(SessionFace {
            description,
            embedding: Some(face.embedding.clone()),
            picture: Some(picture),
            answer: stored_text(answer)?,
        })
    }
}

#[async_trait]
impl BestImageFaces for BestImages {
    async fn add(&self, name: &SessionName, id: Uuid, best: &BestImage) -> Result<(), Fault> {
        let handle = self.sessions.open(name).await?;
        let face = self.face(id, &handle.session, best)?;
        self.sessions.add_face(name, id, &face, Some(&best.jpeg)).await
    }

    async fn retract(&self, name: &SessionName, id: Uuid) -> Result<(), Fault> {
        match self.sessions.retract_face(name, id).await {
            // The session's end has deleted its faces.
            Err(Fault::NotFound(_)) => Ok(()),
            retracted => retracted,
        }
    }

    async fn age(&self, client: &str, best: &BestImage, trace: TraceContext) -> Option<f32> {
        let task =
            Task::EstimateAge(Coding { picture: best.jpeg.clone(), image_type: IMAGE_TYPE, rotate: false });
        let mut retries = Backoff::REQUEST.retries();
        for _ in 0..MAX_AGE_ATTEMPTS {
            let job = JobRequest {
                id: Uuid::now_v7(),
                client: client.to_owned(),
                task: task.clone(),
                budget: self.deadline,
                callers_own_deadline: false,
                trace: trace.clone(),
            };
            match self.workers.submit(job).await {
                Ok(JobResult::Aged(aged)) => return aged.age,
                Err(SubmitError::Busy(cause)) => {
                    tracing::warn!(?cause, "no worker estimates an age now");
                    retries.wait().await;
                }
                other => {
                    tracing::error!(?other, "an age cannot be estimated");
                    return None;
                }
            }
        }
        None
    }
}
