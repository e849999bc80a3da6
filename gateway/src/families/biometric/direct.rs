//! Faces and matches that belong to no session.

use crate::fault::Fault;
use faceline_shared::job::{CodedPicture, JobResult};
use uuid::Uuid;

use super::answer::{self, Face, Match, MatchedFace};
use super::failure::Parts;
use super::reference::ReferenceFace;
use super::request::{FaceRequest, MatchImagesRequest, MatchRequest};
use super::{BiometricServices, Json};
use crate::families::form::Form;
use crate::jobs::unexpected_result;
use crate::request::RequestContext;
use crate::sessions::face::FaceDescription;
use faceline_shared::job::{self, Reference, Task};

impl BiometricServices {
    /// Describes the face in a picture.
    ///
    /// # Errors
    /// A request that is not of the form, a picture that cannot be used, no room, no answer in time.
    pub async fn create_face(&self, form: &Form, context: RequestContext) -> Result<Json, Fault> {
        let request = FaceRequest::read(form, &self.algorithm)?;
        let signed = request.signed;
        let coded = self.code(&request, context).await?;
        let template = coded.face.as_ref().map(|face| self.template(face)).transpose()?;
        let description = describe(request, &coded);
        self.signed_if(
            signed,
            &Face::new(Uuid::new_v4(), &description, template.as_deref(), &self.algorithm, None),
        )
    }

    /// The work on a picture that makes a face.
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
    /// As for [`Self::create_face`], and where a picture has no face.
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
        self.signed(&Match::direct(
            describe(&request.reference, coded),
            describe(&request.candidate, &matched.candidate),
            matched.far,
            request.echo,
        ))
    }

    /// Compares a face that was described before with the one in a picture.
    ///
    /// # Errors
    /// As for [`Self::match_images`], and for a template that this installation did not make.
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
        self.signed(&Match::direct(reference, candidate, matched.far, request.echo))
    }
}

/// What was asked for and what was seen.
pub(super) fn describe(request: FaceRequest, coded: &CodedPicture) -> FaceDescription {
    let (quality, eyes) = answer::seen(coded);
    FaceDescription {
        friendly_name: request.friendly_name,
        digest: Some(coded.digest.clone()),
        image_type: request.picture.image_type,
        quality: Some(quality),
        eyes,
        rotation: request.rotation,
    }
}
