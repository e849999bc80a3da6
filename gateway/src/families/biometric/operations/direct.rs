//! Faces and matches that belong to no session.

use faceline_shared::job::{self, CodedPicture, JobResult, Reference, Task};
use uuid::Uuid;

use crate::families::biometric::answer::{FaceAnswer, MatchAnswer, MatchedFace, quality};
use crate::families::biometric::failure::Parts;
use crate::families::biometric::reference_face::ReferenceFace;
use crate::families::biometric::request::{FaceRequest, MatchImagesRequest, MatchRequest};
use crate::families::biometric::services::{BiometricServices, Json};
use crate::families::form::Form;
use crate::fault::Fault;
use crate::jobs::unexpected_result;
use crate::request::RequestContext;
use crate::sessions::face::FaceDescription;

impl BiometricServices {
    /// Codes the face in a picture, and returns its description with a template.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a bad request or picture, [`Fault::Busy`] if the service is overloaded,
    /// [`Fault::DeadlineRunning`] if the job took too long.
    pub async fn create_face(&self, form: &Form, context: RequestContext) -> Result<Json, Fault> {
        let request = FaceRequest::read(form, &self.algorithm)?;
        let signed = request.signed;
        let coded = self.code(&request, context).await?;
        let template = self.template(&request, &coded)?;
        let description = describe(request, &coded);
        self.signed_if(
            signed,
            &FaceAnswer::new(Uuid::new_v4(), &description, template.as_deref(), &self.algorithm, None),
        )
    }

    /// Codes the face in the picture of `request` on a worker.
    pub(super) async fn code(
        &self,
        request: &FaceRequest,
        context: RequestContext,
    ) -> Result<CodedPicture, Fault> {
        let parts = Parts { image: "image", ..Parts::default() };
        match self.run(Task::Code(request.picture.clone()), &context, &parts).await? {
            JobResult::Coded(coded) => Ok(coded),
            _ => Err(unexpected_result()),
        }
    }

    /// Compares the faces in two pictures.
    ///
    /// # Errors
    /// Those of [`Self::create_face`]; [`Fault::Invalid`] if a picture has no face.
    pub async fn match_images(&self, form: &Form, context: RequestContext) -> Result<Json, Fault> {
        let request = MatchImagesRequest::read(form)?;
        let parts = Parts { reference: "referenceImage", candidate: "candidateImage", ..Parts::default() };
        let task = Task::Match(Box::new(job::Match {
            reference: Reference::Picture(request.reference.clone()),
            candidate: request.candidate.clone(),
        }));
        let JobResult::Matched(matched) = self.run(task, &context, &parts).await? else {
            return Err(unexpected_result());
        };
        let Some(coded) = &matched.reference else {
            return Err(unexpected_result());
        };
        let describe = |picture, coded| MatchedFace::coded(picture, request.rotation, coded, &self.algorithm);
        self.signed(&MatchAnswer::direct(
            describe(&request.reference, coded),
            describe(&request.candidate, &matched.candidate),
            matched.far,
            request.identifiers,
        ))
    }

    /// Compares a face of an earlier answer with the face in a picture.
    ///
    /// # Errors
    /// Those of [`Self::match_images`]; [`Fault::Invalid`] for a template that this installation did not make.
    pub async fn match_face(&self, form: &Form, context: RequestContext) -> Result<Json, Fault> {
        let request = MatchRequest::read(form)?;
        let (reference, embedding) =
            ReferenceFace::open(request.reference, &self.templates, &self.algorithm)?;
        let parts = Parts { reference: "referenceFace", candidate: "candidateImage", ..Parts::default() };
        let task = Task::Match(Box::new(job::Match {
            reference: Reference::Template(embedding),
            candidate: request.candidate.clone(),
        }));
        let JobResult::Matched(matched) = self.run(task, &context, &parts).await? else {
            return Err(unexpected_result());
        };
        let candidate =
            MatchedFace::coded(&request.candidate, request.rotation, &matched.candidate, &self.algorithm);
        self.signed(&MatchAnswer::direct(reference, candidate, matched.far, request.identifiers))
    }
}

/// Combines the request's facts with those that the worker found.
pub(super) fn describe(request: FaceRequest, coded: &CodedPicture) -> FaceDescription {
    let face = coded.face.as_ref();
    FaceDescription {
        friendly_name: request.friendly_name,
        digest: Some(coded.digest.clone()),
        image_type: request.picture.image_type,
        image_type_is_claimed: false,
        quality: Some(quality(coded)),
        eyes: face.map(|face| face.eyes),
        face_box: face.and_then(|face| face.face_box),
        rotation: request.rotation,
    }
}
