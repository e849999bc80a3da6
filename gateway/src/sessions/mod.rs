//! Sessions with their faces and pictures, and what follows when they end.
//!
//! A session ends by itself, or is deleted. From then on it is nowhere: who is at work on it hears so, its pictures are
//! deleted by way of the outbox (`outbox.rs`), and the log has a record of it.

mod ends;
pub mod face;
mod follow_up;
pub(crate) mod media_type;
mod metrics;
mod once;
mod outbox;
mod record;

use std::sync::Arc;
use std::time::Duration;

use crate::fault::{BusyCause, Fault};
use bytes::Bytes;
use faceline_gateway_store::session::{
    Deletion, Due, Found, Insertion, SealedSessions, SessionError, SessionName, StoreError,
};
use faceline_shared::announcement::Announcement;
use faceline_shared::broker::SharedBroker;
use faceline_shared::object::{ObjectError, SealedObjects};
use faceline_shared::settings::{self, Settings};
use faceline_shared::telemetry::Metrics;
use tokio::sync::Notify;
use uuid::Uuid;

use self::ends::{Ends, Watch};
use self::follow_up::{ClearUp, EndReason, FollowUp};
use self::metrics::SessionMetrics;
pub use self::once::{Repeatable, Run, Turn};
pub use self::outbox::Outbox;
pub use self::record::{Face, KeptPicture, Session};
use crate::admission;
use faceline_gateway_store::upload_slots::UploadSlots;

/// Time in which a picture is in the object store, or is given up.
const OBJECT_GRACE: Duration = Duration::from_secs(60);

/// The sessions of an installation, as one gateway sees them.
pub struct Sessions {
    records: SealedSessions,
    pictures: SealedObjects,
    broker: SharedBroker,
    settings: settings::SessionSettings,
    ends: Arc<Ends>,
    /// Rung when a row is due at once.
    outbox: Arc<Notify>,
    /// Of a job.
    deadline: Duration,
    /// As of [`Outbox`].
    late: Duration,
    /// Of pictures on their way into the object store.
    upload_slots: UploadSlots,
    metrics: SessionMetrics,
}

/// A session that a request is at work on.
pub struct Entered {
    /// The session.
    pub session: Session,
    left: Duration,
    watch: Watch,
}

impl Entered {
    /// Does `work` for as long as the session is there.
    ///
    /// # Errors
    /// Those of `work`; as for a session that never was when it ends first.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.watch.ended() => Err(no_session()),
            () = tokio::time::sleep(self.left) => Err(no_session()),
        }
    }
}

impl Sessions {
    /// Sessions in `records`, pictures in `pictures`.
    #[must_use]
    pub fn new(
        records: SealedSessions,
        pictures: SealedObjects,
        broker: SharedBroker,
        config: &Settings,
        metrics: &Metrics,
    ) -> Self {
        Self {
            records,
            pictures,
            broker,
            settings: config.sessions.clone(),
            ends: Arc::default(),
            outbox: Arc::default(),
            deadline: config.jobs.deadline,
            late: config.jobs.deadline + OBJECT_GRACE,
            upload_slots: UploadSlots::new(),
            metrics: SessionMetrics::new(metrics),
        }
    }

    /// The bounds.
    #[must_use]
    pub fn settings(&self) -> &settings::SessionSettings {
        &self.settings
    }

    /// Hears of sessions that other gateways ended, until the broker is closed.
    pub async fn listen(&self) {
        let mut announcements = self.broker.announcements().await;
        while let Some(body) = announcements.recv().await {
            if let Some(Announcement::SessionEnded(session)) = Announcement::decode(&body) {
                self.ends.end(session);
            }
        }
    }

    /// Keeps a new session for `ttl`. Where it is there already, the same request has made it before.
    ///
    /// # Errors
    /// The store is away.
    pub async fn create(&self, name: &SessionName, session: &Session, ttl: Duration) -> Result<(), Fault> {
        let end = ClearUp::new(name, session.keeps_pictures, EndReason::Expired);
        let end = Due { id: name.id, what: FollowUp::ClearUp(end), due_in: ttl };
        match self.records.create(name, session, ttl, &end).await {
            Ok(()) => self.metrics.created.inc(),
            // Ids are the server's and random: nobody else's session has this one.
            Err(SessionError::Store(StoreError::Exists)) => (),
            Err(error) => return Err(record_fault(&error)),
        }
        note(name, session);
        Ok(())
    }

    /// Goes to work on a session.
    ///
    /// # Errors
    /// There is none, or the store is away.
    pub async fn enter(&self, name: &SessionName) -> Result<Entered, Fault> {
        // Watched before it is looked up, so that no end is missed in between.
        let watch = self.ends.watch(name.id);
        let found = self.records.session(name).await.map_err(|error| record_fault(&error))?;
        let (session, left) = found.ok_or_else(no_session)?;
        note(name, &session);
        Ok(Entered { session, left, watch })
    }

    /// Ends a session now, with everything that belongs to it, for the caller with the key `key`.
    ///
    /// # Errors
    /// There is none, a replay is in progress, or the store is away.
    pub async fn delete(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        let Entered { session, .. } = self.enter(name).await?;
        let end = ClearUp::new(name, session.keeps_pictures, EndReason::Deleted { key: key.to_owned() });
        let end = Due { id: name.id, what: FollowUp::ClearUp(end), due_in: Duration::ZERO };
        match self.records.delete(name, &end).await.map_err(|error| record_fault(&error))? {
            Deletion::NoSession => return Err(no_session()),
            Deletion::ReplayInProgress => {
                return Err(Fault::Conflict("There is replay liveness in progress".into()));
            }
            Deletion::Deleted => (),
        }
        self.ends.end(name.id);
        self.broker.announce(Announcement::SessionEnded(name.id).encode()).await;
        if session.keeps_pictures {
            // So that they are gone when the caller hears so. The outbox does it again, also where this fails.
            self.forget(&follow_up::folder(name.id)).await;
        }
        self.outbox.notify_one();
        Ok(())
    }

    async fn forget(&self, folder: &str) {
        if let Err(error) = self.pictures.delete_all(folder).await {
            tracing::warn!(%error, folder, "pictures are left to the outbox");
        }
    }

    /// Adds a face, and its picture where there is one.
    ///
    /// # Errors
    /// There is no session (any more), it has as many faces as it may, or a store is away.
    pub async fn add_face(
        &self,
        name: &SessionName,
        id: Uuid,
        face: &Face,
        picture: Option<&Bytes>,
    ) -> Result<(), Fault> {
        let key = follow_up::picture(name.id, id);
        if let Some(picture) = picture {
            // First, so that no face is without its picture. What is left of a gateway that dies in between goes with the
            // session's folder.
            self.keep(name, &key, picture).await?;
        }
        let added = self.records.add_face(name, id, face, self.settings.most_faces).await;
        let fault = match added {
            Ok(Insertion::Added) => return Ok(()),
            Ok(Insertion::NoSession) => no_session(),
            Ok(Insertion::Full) => {
                let most = self.settings.most_faces;
                Fault::Invalid(format!("the bio-session has {most} faces, and no more are allowed"))
            }
            // It may have been added.
            Err(error @ SessionError::Store(_)) => return Err(record_fault(&error)),
            Err(error) => record_fault(&error),
        };
        if picture.is_some()
            && let Err(error) = self.pictures.delete(&key).await
        {
            tracing::warn!(%error, key, "a picture is left to the end of its session");
        }
        Err(fault)
    }

    async fn keep(&self, name: &SessionName, key: &str, picture: &Bytes) -> Result<(), Fault> {
        let _slot = self.upload_slots.acquire(picture.len()).await;
        self.pictures.put(&name.client, key, picture).await.map_err(|error| object_fault(&error))
    }

    /// A face.
    ///
    /// # Errors
    /// There is no session, or no such face in it, or the store is away.
    pub async fn face(&self, name: &SessionName, id: Uuid) -> Result<Face, Fault> {
        match self.records.face(name, id).await.map_err(|error| record_fault(&error))? {
            Found::Yes(face) => Ok(face),
            Found::NoSession => Err(no_session()),
            Found::NoFace => Err(no_face()),
        }
    }

    /// All faces in the order in which they were added.
    ///
    /// # Errors
    /// There is no session, or the store is away.
    pub async fn faces(&self, name: &SessionName) -> Result<Vec<(Uuid, Face)>, Fault> {
        let faces = self.records.faces(name).await.map_err(|error| record_fault(&error))?;
        faces.ok_or_else(no_session)
    }

    /// The picture of a face.
    ///
    /// # Errors
    /// It is gone, or the store is away.
    pub async fn picture(&self, name: &SessionName, face: Uuid) -> Result<Bytes, Fault> {
        let key = follow_up::picture(name.id, face);
        let found = self.pictures.get(&name.client, &key).await.map_err(|error| object_fault(&error))?;
        if let Some(picture) = found {
            return Ok(picture);
        }
        // Deleted just now, with its picture; or else the picture is lost.
        self.face(name, face).await?;
        tracing::error!(key, "a face has no picture in the object store; do all gateways use the same one?");
        Err(Fault::Internal)
    }

    /// Deletes a face and its picture.
    ///
    /// # Errors
    /// As for [`Sessions::face`].
    pub async fn delete_face(&self, name: &SessionName, id: Uuid, key: &str) -> Result<(), Fault> {
        let Entered { session, .. } = self.enter(name).await?;
        match self.delete_these(name, &session, &[id], key).await? {
            0 => Err(no_face()),
            _ => Ok(()),
        }
    }

    /// Deletes all faces that are there, and their pictures.
    ///
    /// # Errors
    /// As for [`Sessions::faces`].
    pub async fn delete_faces(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        let Entered { session, .. } = self.enter(name).await?;
        let faces: Vec<Uuid> = self.faces(name).await?.into_iter().map(|(id, _)| id).collect();
        if !faces.is_empty() {
            self.delete_these(name, &session, &faces, key).await?;
        }
        Ok(())
    }

    async fn delete_these(
        &self,
        name: &SessionName,
        session: &Session,
        faces: &[Uuid],
        key: &str,
    ) -> Result<usize, Fault> {
        let pictures = session.keeps_pictures.then(|| Due {
            id: Uuid::new_v4(),
            what: FollowUp::DeletePictures { session: name.id, faces: faces.to_vec() },
            due_in: Duration::ZERO,
        });
        let deleted = self.records.delete_faces(name, faces, pictures.as_ref()).await;
        let deleted = deleted.map_err(|error| record_fault(&error))?.ok_or_else(no_session)?;
        if deleted > 0 {
            tracing::info!(target: "faceline::audit", session = %name.id, client = name.client, key, faces = deleted, "faces deleted");
        }
        if deleted > 0 && pictures.is_some() {
            // As for a whole session: gone when the caller hears so, and the outbox sees to it.
            if let Err(error) = outbox::delete_pictures(&self.pictures, name.id, faces).await {
                tracing::warn!(%error, session = %name.id, "pictures are left to the outbox");
            }
            self.outbox.notify_one();
        }
        Ok(deleted)
    }
}

/// What a usage record says of a session.
fn note(name: &SessionName, session: &Session) {
    crate::request::record::update(|facts| {
        facts.session = Some(name.id);
        facts.correlation_id.clone_from(&session.correlation_id);
        facts.evidence_id.clone_from(&session.evidence_id);
    });
}

fn no_session() -> Fault {
    Fault::NotFound("Session not found".into())
}

fn no_face() -> Fault {
    Fault::NotFound("Face not found".into())
}

fn record_fault(error: &SessionError) -> Fault {
    match error {
        SessionError::Store(error @ StoreError::Broken(_)) => {
            tracing::error!(%error, "the session store needs somebody to look at it");
            Fault::Internal
        }
        SessionError::Store(error) => {
            tracing::warn!(%error, "the session store does not do what it is asked");
            admission::outage(BusyCause::StoreUnreachable)
        }
        error => {
            tracing::error!(%error, "a session cannot be read or written");
            Fault::Internal
        }
    }
}

fn object_fault(error: &ObjectError) -> Fault {
    match error {
        ObjectError::Seal(error) => {
            tracing::error!(%error, "a picture does not open");
            Fault::Internal
        }
        error => {
            tracing::warn!(%error, "the object store does not do what it is asked");
            admission::outage(BusyCause::StoreUnreachable)
        }
    }
}
