//! Adds, describes and deletes the faces of a session.

use bytes::Bytes;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::face::Embedding;
use faceline_shared::job::{JobResult, Task};
use uuid::Uuid;

use super::direct::describe;
use super::stored_text::stored_text;
use crate::families::biometric::answer::FaceAnswer;
use crate::families::biometric::failure::Parts;
use crate::families::biometric::reference_face::ReferenceFace;
use crate::families::biometric::request::FaceRequest;
use crate::families::biometric::services::{BiometricServices, Json};
use crate::families::form::Form;
use crate::fault::Fault;
use crate::jobs::unexpected_result;
use crate::request::RequestContext;
use crate::sessions::face::FaceDescription;
use crate::sessions::media_type;
use crate::sessions::{KeptPicture, Session, SessionFace};

/// The picture file of a face.
#[derive(Debug)]
pub struct FacePicture {
    /// The media type of the file.
    pub media_type: String,
    /// The bytes of the file.
    pub file: Bytes,
}

/// A face that is about to be added to a session.
struct NewFace<'a> {
    id: Uuid,
    description: FaceDescription,
    template: Option<String>,
    embedding: Option<Embedding>,
    /// The picture file, if the session keeps pictures.
    file: Option<&'a Bytes>,
}

impl BiometricServices {
    /// Adds the face in a picture to a session as `id`.
    ///
    /// # Errors
    /// Those of [`Self::create_face`]; [`Fault::NotFound`] if the session does not exist or ends meanwhile;
    /// [`Fault::Invalid`] if it is full.
    pub async fn create_session_face(
        &self,
        name: &SessionName,
        id: Uuid,
        form: &Form,
        context: RequestContext,
    ) -> Result<(), Fault> {
        let request = FaceRequest::read(form, &self.algorithm)?;
        let handle = self.sessions.open(name).await?;
        let file = request.picture.picture.clone();
        let coded = handle.run(self.code(&request, context)).await?;
        let template = self.template(&request, &coded)?;
        let description = describe(request, &coded);
        let embedding = coded.face.map(|face| face.embedding);
        let file = handle.session.keeps_pictures.then_some(&file);
        self.add_face(name, &handle.session, NewFace { id, description, template, embedding, file }).await
    }

    /// Adds a face of an earlier answer to a session as `id`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a template that this installation did not make, or if the session is full;
    /// [`Fault::NotFound`] if the session does not exist.
    pub async fn create_session_face_from_json(
        &self,
        name: &SessionName,
        id: Uuid,
        json: &str,
    ) -> Result<(), Fault> {
        let handle = self.sessions.open(name).await?;
        let (description, template, embedding) =
            ReferenceFace::open_for_session(json, &self.templates, &self.algorithm)?;
        let (template, embedding) = (Some(template), Some(embedding));
        let face = NewFace { id, description, template, embedding, file: None };
        self.add_face(name, &handle.session, face).await
    }

    /// Signs the description of a face, and stores both with its picture.
    async fn add_face(&self, name: &SessionName, session: &Session, face: NewFace<'_>) -> Result<(), Fault> {
        let NewFace { id, description, template, embedding, file } = face;
        let shown =
            FaceAnswer::new(id, &description, template.as_deref(), &self.algorithm, Some(session.expires));
        let answer = stored_text(self.signed(&shown)?)?;
        let picture =
            file.map(|file| KeptPicture { media_type: media_type::of(file).to_owned(), length: file.len() });
        let face = SessionFace { description, embedding, picture, answer };
        self.sessions.add_face(name, id, &face, file).await
    }

    /// Describes a face of a session.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session or the face does not exist, [`Fault::Busy`] if the store is unreachable.
    pub async fn face(&self, name: &SessionName, face: Uuid) -> Result<Json, Fault> {
        Ok(self.sessions.face(name, face).await?.answer.into())
    }

    /// Describes all faces of a session in the order in which they were added.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session does not exist, [`Fault::Busy`] if the store is unreachable.
    pub async fn faces(&self, name: &SessionName) -> Result<Json, Fault> {
        let faces = self.sessions.faces(name).await?;
        let answers: Vec<&str> = faces.iter().map(|(_, face)| face.answer.as_str()).collect();
        Ok(format!("[{}]", answers.join(",")).into())
    }

    /// Type and size of the picture of a face; `None` if the session keeps no pictures.
    ///
    /// # Errors
    /// Those of [`Self::face`].
    pub async fn kept_picture(&self, name: &SessionName, face: Uuid) -> Result<Option<KeptPicture>, Fault> {
        Ok(self.sessions.face(name, face).await?.picture)
    }

    /// The picture of a face as it was received.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the picture no longer exists, [`Fault::Busy`] if the store is unreachable.
    pub async fn picture(
        &self,
        name: &SessionName,
        face: Uuid,
        kept: KeptPicture,
    ) -> Result<FacePicture, Fault> {
        Ok(FacePicture { media_type: kept.media_type, file: self.sessions.picture(name, face).await? })
    }

    /// The picture of a face as a JPEG, which a worker creates.
    ///
    /// # Errors
    /// Those of [`Self::picture`]; [`Fault::Busy`] if the service is overloaded, [`Fault::DeadlineRunning`] if the
    /// job took too long.
    pub async fn compressed_picture(
        &self,
        name: &SessionName,
        face: Uuid,
        kept: KeptPicture,
        context: RequestContext,
    ) -> Result<FacePicture, Fault> {
        let handle = self.sessions.open(name).await?;
        let picture = self.picture(name, face, kept).await?;
        let parts = Parts { image: "image", ..Parts::default() };
        let task = Task::Compress(picture.file);
        let JobResult::Compressed(file) = handle.run(self.run(task, &context, &parts)).await? else {
            return Err(unexpected_result());
        };
        Ok(FacePicture { media_type: media_type::JPEG.to_owned(), file })
    }

    /// Deletes a face on behalf of the caller with the key id `key`.
    ///
    /// # Errors
    /// Those of [`Self::face`].
    pub async fn delete_face(&self, name: &SessionName, face: Uuid, key: &str) -> Result<(), Fault> {
        self.sessions.delete_face(name, face, key).await
    }

    /// Deletes all faces of a session on behalf of the caller with the key id `key`.
    ///
    /// # Errors
    /// Those of [`Self::faces`].
    pub async fn delete_faces(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        self.sessions.delete_faces(name, key).await
    }
}
