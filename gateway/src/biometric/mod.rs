//! Biometric Services: direct faces, direct matches and capabilities, without their transport.

mod answer;
mod failure;
mod reference;
mod request;

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::config::Config;
use faceline_shared::error::Fault;
use faceline_shared::face::CodedFace;
use faceline_shared::job::{JobId, JobResult};
use faceline_shared::telemetry::TraceContext;
use faceline_shared::template::TemplateCodec;

pub use self::answer::{Capabilities, Face, Match};
use self::answer::{MatchedFace, Stamp};
use self::failure::Parts;
use self::reference::ReferenceFace;
pub use self::request::{FACES, MATCH, MATCH_IMAGES};
use self::request::{FaceRequest, MatchImagesRequest, MatchRequest};
use crate::admission::{Admission, Visit};
use crate::form::Form;
use crate::jobs::{Order, SubmittedReference, Task};
use crate::submit::Submit;

/// The algorithm that faces are coded with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Algorithm {
    /// Its name: the `mode` of answers.
    pub name: String,
    /// The `templateVersion` of answers.
    pub version: u32,
}

/// Whose request it is.
#[derive(Clone, Debug)]
pub struct Call {
    /// The job's id.
    pub job: JobId,
    /// The client.
    pub client: Arc<str>,
    /// What the request is recognised by when it comes again.
    pub visit: Visit,
    /// The request's trace.
    pub trace: TraceContext,
}

/// The operations.
pub struct BiometricServices {
    submit: Arc<dyn Submit>,
    admission: Arc<Admission>,
    templates: TemplateCodec,
    algorithm: Algorithm,
    deadline: Duration,
}

impl BiometricServices {
    /// Operations over the workers behind `submit`.
    #[must_use]
    pub fn new(
        config: &Config,
        submit: Arc<dyn Submit>,
        admission: Arc<Admission>,
        templates: TemplateCodec,
    ) -> Self {
        let algorithm =
            Algorithm { name: config.face.algorithm.clone(), version: config.face.template_version };
        Self { submit, admission, templates, algorithm, deadline: config.jobs.deadline }
    }

    /// What the service can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities<'_> {
        Capabilities { current_mode: [&self.algorithm.name], version: env!("CARGO_PKG_VERSION") }
    }

    /// Describes the face in a picture.
    ///
    /// # Errors
    /// A request that is not of the form, a picture that cannot be used, no room, no answer in time.
    pub async fn create_face(&self, form: &Form, call: Call) -> Result<Face, Fault> {
        let request = FaceRequest::read(form, &self.algorithm)?;
        let parts = Parts { image: "image", ..Parts::default() };
        let task = Task::Code(request.picture.clone());
        let JobResult::Coded(coded) = self.run(task, call, &parts).await? else {
            return Err(other_result());
        };
        let template = coded.face.as_ref().map(|face| self.template(face)).transpose()?;
        Ok(Face::new(Stamp::now(), request, coded, template, &self.algorithm))
    }

    /// Compares the faces in two pictures.
    ///
    /// # Errors
    /// As for [`Self::create_face`], and where a picture has no face.
    pub async fn match_images(&self, form: &Form, call: Call) -> Result<Match, Fault> {
        let request = MatchImagesRequest::read(form)?;
        let parts = Parts { reference: "referenceImage", candidate: "candidateImage", ..Parts::default() };
        let task = Task::Match {
            reference: SubmittedReference::Picture(request.reference.clone()),
            candidate: request.candidate.clone(),
        };
        let JobResult::Matched(matched) = self.run(task, call, &parts).await? else {
            return Err(other_result());
        };
        let Some(coded) = &matched.reference else {
            return Err(other_result());
        };
        let describe = |picture, coded| MatchedFace::coded(picture, request.rotation, coded, &self.algorithm);
        Ok(Match::new(
            describe(&request.reference, coded),
            describe(&request.candidate, &matched.candidate),
            matched.far,
            request.echo,
            Stamp::now(),
        ))
    }

    /// Compares a face that was described before with the one in a picture.
    ///
    /// # Errors
    /// As for [`Self::match_images`], and for a template that this installation did not make.
    pub async fn match_face(&self, form: &Form, call: Call) -> Result<Match, Fault> {
        let request = MatchRequest::read(form)?;
        let (reference, embedding) =
            ReferenceFace::open(request.reference, &self.templates, &self.algorithm)?;
        let parts = Parts { reference: "referenceFace", candidate: "candidateImage", ..Parts::default() };
        let task = Task::Match {
            reference: SubmittedReference::Template(embedding),
            candidate: request.candidate.clone(),
        };
        let JobResult::Matched(matched) = self.run(task, call, &parts).await? else {
            return Err(other_result());
        };
        let candidate =
            MatchedFace::coded(&request.candidate, request.rotation, &matched.candidate, &self.algorithm);
        Ok(Match::new(reference, candidate, matched.far, request.echo, Stamp::now()))
    }

    async fn run(&self, task: Task, call: Call, parts: &Parts) -> Result<JobResult, Fault> {
        let order = Order {
            id: call.job,
            client: call.client.as_ref().to_owned(),
            task,
            budget: self.deadline,
            callers_own_deadline: false,
            trace: call.trace,
        };
        let result = self.submit.submit(order).await;
        result
            .map_err(|error| failure::fault(error, parts, |cause| self.admission.refusal(&call.visit, cause)))
    }

    fn template(&self, face: &CodedFace) -> Result<String, Fault> {
        self.templates.encode(&face.embedding).map_err(|error| {
            tracing::error!(%error, "a template cannot be written");
            Fault::Internal
        })
    }
}

/// A worker answered another question than the one it was asked.
fn other_result() -> Fault {
    tracing::error!("the job's result is of another kind than the job");
    Fault::Internal
}
