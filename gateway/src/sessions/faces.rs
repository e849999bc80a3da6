//! The faces of sessions, and their pictures.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::StoreError;
use faceline_gateway_store::sealed::{RecordError, UnsealedRow};
use faceline_gateway_store::sessions::{FaceLookup, Insertion, SessionName};
use uuid::Uuid;

use super::faults::{no_face, no_session, object_fault, record_fault};
use super::follow_up::{FollowUp, picture_key};
use super::pictures::delete_pictures;
use super::record::{Session, SessionFace};
use super::service::{SessionHandle, Sessions};
use crate::fault::Fault;
use crate::request::record::{note_work_done, to_its_end};

impl Sessions {
    /// Adds a face, and its picture if there is one.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, [`Fault::Invalid`] if it has its maximum number of faces,
    /// [`Fault::Busy`] if the client has reached a bound, and the faults of an unavailable store.
    pub async fn add_face(
        &self,
        name: &SessionName,
        id: Uuid,
        face: &SessionFace,
        picture: Option<&Bytes>,
    ) -> Result<(), Fault> {
        let key = picture_key(name.id, id);
        if let Some(picture) = picture {
            // The picture is written first, so every face has its picture. If the gateway dies in between, the
            // picture is deleted with the session's folder.
            self.upload(name, &key, picture).await?;
        }
        let bounds = self.bounds.of(&name.client);
        let added = self.records.add_face(name, id, face, self.settings.max_faces, &bounds).await;
        let fault = match added {
            Ok(Insertion::Added) => {
                note_work_done();
                return Ok(());
            }
            Ok(Insertion::NoSession) => no_session(),
            Ok(Insertion::Full) => {
                let max_faces = self.settings.max_faces;
                Fault::Invalid(format!("the bio-session has {max_faces} faces, and no more are allowed"))
            }
            Err(error @ RecordError::Store(StoreError::ClientFull(_))) => self.bounds.creation_fault(&error),
            // The face may have been added, so its picture stays.
            Err(error @ RecordError::Store(_)) => return Err(record_fault(&error)),
            Err(error) => record_fault(&error),
        };
        if picture.is_some()
            && let Err(error) = self.pictures.delete(&key).await
        {
            tracing::warn!(%error, key, "a picture cannot be deleted now; it stays until its session ends");
        }
        Err(fault)
    }

    async fn upload(&self, name: &SessionName, key: &str, picture: &Bytes) -> Result<(), Fault> {
        let _slot = self.upload_slots.acquire(picture.len()).await;
        self.pictures.put(&name.client, key, picture).await.map_err(|error| object_fault(&error))
    }

    /// Reads a face.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session or no such face in it, and the faults of an unavailable store.
    pub async fn face(&self, name: &SessionName, id: Uuid) -> Result<SessionFace, Fault> {
        match self.records.face(name, id).await.map_err(|error| record_fault(&error))? {
            FaceLookup::Found(face) => Ok(face),
            FaceLookup::NoSession => Err(no_session()),
            FaceLookup::NoFace => Err(no_face()),
        }
    }

    /// Reads all faces in the order in which they were added.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, and the faults of an unavailable store.
    pub async fn faces(&self, name: &SessionName) -> Result<Vec<(Uuid, SessionFace)>, Fault> {
        let faces = self.records.faces(name).await.map_err(|error| record_fault(&error))?;
        faces.ok_or_else(no_session)
    }

    /// Reads the picture of a face.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the face was deleted, [`Fault::Internal`] if it exists without its picture, and the faults of
    /// an unavailable store.
    pub async fn picture(&self, name: &SessionName, face: Uuid) -> Result<Bytes, Fault> {
        let key = picture_key(name.id, face);
        let found = self.pictures.get(&name.client, &key).await.map_err(|error| object_fault(&error))?;
        if let Some(picture) = found {
            return Ok(picture);
        }
        // Either the face has just been deleted with its picture, or the picture is lost.
        self.face(name, face).await?;
        tracing::error!(key, "a face has no picture in the object store; do all gateways use the same one?");
        Err(Fault::Internal)
    }

    /// Deletes a face and its picture. `key` is the id of the caller's API key.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session or no such face in it, and the faults of an unavailable store.
    pub async fn delete_face(&self, name: &SessionName, id: Uuid, key: &str) -> Result<(), Fault> {
        let SessionHandle { session, .. } = self.open(name).await?;
        match self.delete_listed(name, &session, &[id], key).await? {
            0 => Err(no_face()),
            _ => Ok(()),
        }
    }

    /// Deletes all faces and their pictures. `key` is the id of the caller's API key.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, and the faults of an unavailable store.
    pub async fn delete_faces(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        let SessionHandle { session, .. } = self.open(name).await?;
        let faces: Vec<Uuid> = self.faces(name).await?.into_iter().map(|(id, _)| id).collect();
        if !faces.is_empty() {
            self.delete_listed(name, &session, &faces, key).await?;
        }
        Ok(())
    }

    /// Removes a face that the service itself added, if it exists.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, and the faults of an unavailable store.
    pub(crate) async fn retract_face(&self, name: &SessionName, id: Uuid) -> Result<(), Fault> {
        let SessionHandle { session, .. } = self.open(name).await?;
        self.delete_listed(name, &session, &[id], "").await.map(drop)
    }

    async fn delete_listed(
        &self,
        name: &SessionName,
        session: &Session,
        faces: &[Uuid],
        key: &str,
    ) -> Result<usize, Fault> {
        let pictures = session.keeps_pictures.then(|| UnsealedRow {
            id: Uuid::new_v4(),
            payload: FollowUp::DeletePictures { session: name.id, faces: faces.to_vec() },
            due_in: Duration::ZERO,
        });
        let keeps_pictures = pictures.is_some();
        let (records, session, listed, key) =
            (self.records.clone(), name.clone(), faces.to_vec(), key.to_owned());
        // The deletion runs in a task of its own, so its audit record is written even if the caller disconnects.
        let delete = async move {
            let deleted = records.delete_faces(&session, &listed, pictures.as_ref()).await?;
            if let Some(faces @ 1..) = deleted {
                note_work_done();
                tracing::info!(target: "faceline::audit", session = %session.id, client = session.client, key, faces, "faces deleted");
            }
            Ok::<_, RecordError>(deleted)
        };
        let deleted = to_its_end(delete).await?;
        let deleted = deleted.map_err(|error| record_fault(&error))?.ok_or_else(no_session)?;
        if deleted > 0 && keeps_pictures {
            // The answer tells the caller that the pictures are deleted, so they are deleted before it. If this
            // fails, the outbox repeats it.
            if let Err(error) = delete_pictures(&self.pictures, name.id, faces).await {
                tracing::warn!(%error, session = %name.id, "pictures cannot be deleted now; the outbox will delete them");
            }
            self.row_is_due.notify_one();
        }
        Ok(deleted)
    }
}
