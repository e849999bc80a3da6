//! Sessions, and the faces in them.

use crate::fault::Fault;
use bytes::Bytes;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::face::Embedding;
use faceline_shared::job::JobResult;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::answer::{self, Face};
use super::direct::describe;
use super::failure::Parts;
use super::reference::ReferenceFace;
use super::request::{FaceRequest, SessionRequest};
use super::{BiometricServices, Json};
use crate::families::form::Form;
use crate::jobs::other_result;
use crate::request::RequestContext;
use crate::sessions::face::FaceDescription;
use crate::sessions::media_type;
use crate::sessions::{self, Claimed, IdempotentRequest, KeptPicture, SessionFace};
use crate::timestamp::Timestamp;
use faceline_shared::job::Task;

/// The picture of a face.
#[derive(Debug)]
pub struct Picture {
    /// Its media type.
    pub media_type: String,
    /// The file.
    pub file: Bytes,
}

/// A face on its way into a session.
struct NewFace<'a> {
    id: Uuid,
    description: FaceDescription,
    template: Option<String>,
    embedding: Option<Embedding>,
    /// The picture, where it is to be kept.
    file: Option<&'a Bytes>,
}

impl BiometricServices {
    /// Claims the idempotency key of a request.
    ///
    /// # Errors
    /// [`Fault::InProgress`] while another attempt holds the claim, [`Fault::KeyReused`] if the key belongs to another
    /// request, and the faults of an unavailable store.
    pub async fn claim_idempotency<A: DeserializeOwned>(
        &self,
        request: &IdempotentRequest<'_>,
    ) -> Result<Claimed<A>, Fault> {
        self.sessions.claim_idempotency(request).await
    }

    /// Creates a session, which may be there already. The body may be empty.
    ///
    /// # Errors
    /// A request that is not of the form, or the store is away.
    pub async fn create_session(&self, name: &SessionName, body: Bytes) -> Result<(), Fault> {
        let request = SessionRequest::read(body, self.sessions.settings())?;
        let created = Timestamp::now();
        let expires = created.after(request.ttl);
        let answer = self.signed(&answer::Session {
            id: name.id,
            correlation_id: request.echo.correlation_id.as_deref(),
            evidence_id: request.echo.evidence_id.as_deref(),
            image_storage_enabled: request.keeps_pictures,
            created,
            expires,
        })?;
        let session = sessions::Session {
            correlation_id: request.echo.correlation_id,
            evidence_id: request.echo.evidence_id,
            keeps_pictures: request.keeps_pictures,
            callback_url: request.callback_url,
            expires,
            answer: text(answer)?,
        };
        self.sessions.create(name, &session, request.ttl).await
    }

    /// Describes a session.
    ///
    /// # Errors
    /// There is none, or the store is away.
    pub async fn session(&self, name: &SessionName) -> Result<Json, Fault> {
        Ok(self.sessions.enter(name).await?.session.answer.into())
    }

    /// Ends a session for the caller with the key `key`.
    ///
    /// # Errors
    /// There is none, a replay is in progress, or the store is away.
    pub async fn delete_session(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        self.sessions.delete(name, key).await
    }

    /// Adds the face in a picture to a session as `id`.
    ///
    /// # Errors
    /// As for [`Self::create_face`]; there is no session (any more), or it is full.
    pub async fn create_session_face(
        &self,
        name: &SessionName,
        id: Uuid,
        form: &Form,
        context: RequestContext,
    ) -> Result<(), Fault> {
        let request = FaceRequest::read(form, &self.algorithm)?;
        let entered = self.sessions.enter(name).await?;
        let file = request.picture.picture.clone();
        let coded = entered.run(self.code(&request, context)).await?;
        let template = coded.face.as_ref().map(|face| self.template(face)).transpose()?;
        let description = describe(request, &coded);
        let embedding = coded.face.map(|face| face.embedding);
        let file = entered.session.keeps_pictures.then_some(&file);
        self.add_face(name, &entered.session, NewFace { id, description, template, embedding, file }).await
    }

    /// Adds a face that was described before to a session as `id`.
    ///
    /// # Errors
    /// A template that this installation did not make; there is no session, or it is full.
    pub async fn create_session_face_from_json(
        &self,
        name: &SessionName,
        id: Uuid,
        json: &str,
    ) -> Result<(), Fault> {
        let entered = self.sessions.enter(name).await?;
        let (description, template, embedding) =
            ReferenceFace::open_for_session(json, &self.templates, &self.algorithm)?;
        let (template, embedding) = (Some(template), Some(embedding));
        let face = NewFace { id, description, template, embedding, file: None };
        self.add_face(name, &entered.session, face).await
    }

    async fn add_face(
        &self,
        name: &SessionName,
        session: &sessions::Session,
        face: NewFace<'_>,
    ) -> Result<(), Fault> {
        let NewFace { id, description, template, embedding, file } = face;
        let shown = Face::new(id, &description, template.as_deref(), &self.algorithm, Some(session.expires));
        let answer = text(self.signed(&shown)?)?;
        let picture =
            file.map(|file| KeptPicture { media_type: media_type::of(file).to_owned(), length: file.len() });
        let face = SessionFace { description, embedding, picture, answer };
        self.sessions.add_face(name, id, &face, file).await
    }

    /// Describes a face.
    ///
    /// # Errors
    /// There is no session or no such face in it, or the store is away.
    pub async fn face(&self, name: &SessionName, face: Uuid) -> Result<Json, Fault> {
        Ok(self.sessions.face(name, face).await?.answer.into())
    }

    /// Describes all faces of a session in the order in which they were added.
    ///
    /// # Errors
    /// There is no session, or the store is away.
    pub async fn faces(&self, name: &SessionName) -> Result<Json, Fault> {
        let faces = self.sessions.faces(name).await?;
        let answers: Vec<&str> = faces.iter().map(|(_, face)| face.answer.as_str()).collect();
        Ok(format!("[{}]", answers.join(",")).into())
    }

    /// Where the picture of a face is, and its size; `None` where it was not kept.
    ///
    /// # Errors
    /// As for [`Self::face`].
    pub async fn kept_picture(&self, name: &SessionName, face: Uuid) -> Result<Option<KeptPicture>, Fault> {
        Ok(self.sessions.face(name, face).await?.picture)
    }

    /// The picture of a face as it was received.
    ///
    /// # Errors
    /// It is gone, or the store is away.
    pub async fn picture(&self, name: &SessionName, face: Uuid, kept: KeptPicture) -> Result<Picture, Fault> {
        Ok(Picture { media_type: kept.media_type, file: self.sessions.picture(name, face).await? })
    }

    /// The picture of a face as a JPEG.
    ///
    /// # Errors
    /// As for [`Self::picture`]; no room, no answer in time.
    pub async fn compressed_picture(
        &self,
        name: &SessionName,
        face: Uuid,
        kept: KeptPicture,
        context: RequestContext,
    ) -> Result<Picture, Fault> {
        let entered = self.sessions.enter(name).await?;
        let picture = self.picture(name, face, kept).await?;
        let parts = Parts { image: "image", ..Parts::default() };
        let task = Task::Compress(picture.file);
        let JobResult::Compressed(file) = entered.run(self.run(task, &context, &parts)).await? else {
            return Err(other_result());
        };
        Ok(Picture { media_type: media_type::JPEG.to_owned(), file })
    }

    /// Deletes a face for the caller with the key `key`.
    ///
    /// # Errors
    /// As for [`Self::face`].
    pub async fn delete_face(&self, name: &SessionName, face: Uuid, key: &str) -> Result<(), Fault> {
        self.sessions.delete_face(name, face, key).await
    }

    /// Deletes all faces of a session for the caller with the key `key`.
    ///
    /// # Errors
    /// As for [`Self::faces`].
    pub async fn delete_faces(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        self.sessions.delete_faces(name, key).await
    }
}

fn text(json: Json) -> Result<String, Fault> {
    String::from_utf8(json).map_err(|error| {
        tracing::error!(%error, "JSON is not UTF-8");
        Fault::Internal
    })
}
