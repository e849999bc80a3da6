//! The sessions of an installation: creating, opening, and deleting them.

use std::sync::Arc;
use std::time::Duration;

use crate::admission::UploadSlots;
use faceline_gateway_store::StoreError;
use faceline_gateway_store::sealed::{RecordError, SealedIdempotency, SealedSessions, UnsealedRow};
use faceline_gateway_store::sessions::{Deletion, SessionName};
use faceline_shared::announcement::Announcement;
use faceline_shared::broker::SharedBroker;
use faceline_shared::object::SealedObjects;
use faceline_shared::settings::{SessionSettings, Settings};
use faceline_shared::telemetry::Metrics;
use tokio::sync::Notify;
use url::Url;

use super::client_bounds::ClientBoundPolicy;
use super::ends::{EndWatch, SessionEnds};
use super::faults::{no_session, record_fault};
use super::follow_up::{ClearUp, EndReason, FollowUp};
use super::metrics::SessionMetrics;
use super::record::Session;
use crate::accounts::Accounts;
use crate::fault::Fault;
use crate::outbox::OutboxMetrics;
use crate::request::record::{self, note_work_done, to_its_end};

/// Time limit of an upload to the object store. After it, the picture of the upload can no longer appear there.
const UPLOAD_GRACE: Duration = Duration::from_secs(60);

/// The sessions of an installation, as one gateway uses them.
pub struct Sessions {
    pub(super) records: SealedSessions,
    pub(super) idempotency: SealedIdempotency,
    pub(super) pictures: SealedObjects,
    broker: SharedBroker,
    pub(super) settings: SessionSettings,
    ends: Arc<SessionEnds>,
    /// Notified when a row of the outbox is due at once.
    pub(super) row_is_due: Arc<Notify>,
    /// Deadline of a job.
    pub(super) deadline: Duration,
    /// Longest time after a session's end at which a picture of it may still arrive in the object store.
    pub(super) last_upload_after_end: Duration,
    /// Bounds of what each client keeps.
    pub(super) bounds: ClientBoundPolicy,
    /// Bounds the uploads to the object store.
    pub(super) upload_slots: UploadSlots,
    /// Rights and limits of single clients.
    accounts: Option<Arc<Accounts>>,
    pub(super) metrics: SessionMetrics,
}

/// A session that a request works on, with a watch for its end.
pub struct SessionHandle {
    /// The session.
    pub session: Session,
    time_left: Duration,
    watch: EndWatch,
}

impl SessionHandle {
    /// Time until the session ends, as it was when the request opened it.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.time_left
    }

    /// Runs `work`, and drops it when the session ends.
    ///
    /// # Errors
    /// Those of `work`, and [`Fault::NotFound`] if the session ends first.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.watch.ended() => Err(no_session()),
            () = tokio::time::sleep(self.time_left) => Err(no_session()),
        }
    }
}

impl Sessions {
    /// Sessions in `records`, with pictures in `pictures`.
    #[must_use]
    pub fn new(
        records: SealedSessions,
        idempotency: SealedIdempotency,
        pictures: SealedObjects,
        broker: SharedBroker,
        config: &Settings,
        metrics: &Metrics,
    ) -> Self {
        Self {
            records,
            idempotency,
            pictures,
            broker,
            settings: config.sessions.clone(),
            ends: Arc::default(),
            row_is_due: Arc::default(),
            deadline: config.jobs.deadline,
            last_upload_after_end: config.jobs.deadline + UPLOAD_GRACE,
            bounds: ClientBoundPolicy::new(&config.limits, metrics),
            upload_slots: UploadSlots::new(),
            accounts: None,
            metrics: SessionMetrics::new(metrics),
        }
    }

    /// Adds the limits that single clients have in `accounts`.
    #[must_use]
    pub fn with_client_limits(self, accounts: Arc<Accounts>) -> Self {
        Self { bounds: self.bounds.with_accounts(Arc::clone(&accounts)), accounts: Some(accounts), ..self }
    }

    /// Exports the use of the clients' bounds as metrics until the future is dropped.
    pub async fn watch_bounds(&self) {
        self.bounds.watch(&self.records).await;
    }

    /// The broker.
    pub(crate) fn broker(&self) -> &SharedBroker {
        &self.broker
    }

    /// The bounds of sessions.
    #[must_use]
    pub fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// The metrics of the outbox, which all lanes share.
    pub(crate) fn outbox_metrics(&self) -> OutboxMetrics {
        self.metrics.outbox.clone()
    }

    /// Listens for the ends of sessions that other gateways announce, until the broker is closed.
    pub async fn listen(&self) {
        let mut announcements = self.broker.announcements().await;
        while let Some(body) = announcements.recv().await {
            if let Some(Announcement::SessionEnded(session)) = Announcement::decode(&body) {
                self.ends.end(session);
            }
        }
    }

    /// Stores a new session for `ttl`. A session of this name can only be from an earlier attempt of the same
    /// request, so the call succeeds if there is one.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if the client's callbacks may not go to the session's URL, [`Fault::Busy`] if the client
    /// has reached a bound, and the faults of an unavailable store.
    pub async fn create(&self, name: &SessionName, session: &Session, ttl: Duration) -> Result<(), Fault> {
        self.check_callback(&name.client, session.callback_url.as_deref())?;
        let end = ClearUp::new(name, session.keeps_pictures, false, EndReason::Expired);
        let end = UnsealedRow { id: name.id, payload: FollowUp::ClearUp(end), due_in: ttl };
        match self.records.create(name, session, ttl, &end, &self.bounds.of(&name.client)).await {
            Ok(()) => self.metrics.created.inc(),
            // The server assigns random ids, so the session of this id is the caller's.
            Err(RecordError::Store(StoreError::Exists)) => (),
            Err(error) => return Err(self.bounds.creation_fault(&error)),
        }
        note_for_usage(name, session);
        note_work_done();
        Ok(())
    }

    fn check_callback(&self, client: &str, url: Option<&str>) -> Result<(), Fault> {
        let (Some(accounts), Some(url)) = (&self.accounts, url) else { return Ok(()) };
        if Url::parse(url).is_ok_and(|url| accounts.callbacks(client).allow(&url)) {
            return Ok(());
        }
        Err(Fault::Invalid("`callbackURL` leads to a host that is not allowed for this client".into()))
    }

    /// Reads a session, and watches for its end.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is none, and the faults of an unavailable store.
    pub async fn open(&self, name: &SessionName) -> Result<SessionHandle, Fault> {
        // The watch starts before the lookup, so an end in between is not missed.
        let watch = self.ends.watch(name.id);
        let found = self.records.session(name).await.map_err(|error| record_fault(&error))?;
        let (session, time_left) = found.ok_or_else(no_session)?;
        note_for_usage(name, &session);
        Ok(SessionHandle { session, time_left, watch })
    }

    /// Deletes a session with everything that belongs to it. `key` is the id of the caller's API key.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is none, [`Fault::Conflict`] while a replay is in progress, and the faults of an
    /// unavailable store.
    pub async fn delete(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        let SessionHandle { session, .. } = self.open(name).await?;
        // A replay that another request begins now has no media yet.
        let has_replay = self.has_replay(name).await?;
        let reason = EndReason::Deleted { key: key.to_owned() };
        let end = ClearUp::new(name, session.keeps_pictures, has_replay, reason);
        let folders = end.folders();
        let end = UnsealedRow { id: name.id, payload: FollowUp::ClearUp(end), due_in: Duration::ZERO };
        let (records, ends, broker) = (self.records.clone(), Arc::clone(&self.ends), self.broker.clone());
        let deleted = name.clone();
        // The deletion runs in a task of its own, so the requests that work on the session are notified even if the
        // caller disconnects.
        let delete = async move {
            let deletion = records.delete(&deleted, &end).await?;
            if deletion == Deletion::Deleted {
                note_work_done();
                ends.end(deleted.id);
                broker.announce(Announcement::SessionEnded(deleted.id).encode()).await;
            }
            Ok::<_, RecordError>(deletion)
        };
        match to_its_end(delete).await?.map_err(|error| record_fault(&error))? {
            Deletion::NoSession => return Err(no_session()),
            Deletion::ReplayInProgress => {
                return Err(Fault::Conflict("There is replay liveness in progress".into()));
            }
            Deletion::Deleted => (),
        }
        for folder in folders {
            // The answer tells the caller that the pictures are deleted, so they are deleted before it. If this
            // fails, the outbox repeats it.
            self.delete_objects(&folder).await;
        }
        self.row_is_due.notify_one();
        Ok(())
    }

    async fn delete_objects(&self, folder: &str) {
        if let Err(error) = self.pictures.delete_all(folder).await {
            tracing::warn!(%error, folder, "objects cannot be deleted now; the outbox will delete them");
        }
    }
}

/// Adds the session to the request's usage record. An identifier that the request itself contains is kept.
fn note_for_usage(name: &SessionName, session: &Session) {
    record::update(|facts| {
        facts.session = Some(name.id);
        for (own, sessions) in [
            (&mut facts.correlation_id, &session.correlation_id),
            (&mut facts.evidence_id, &session.evidence_id),
        ] {
            if own.is_none() {
                own.clone_from(sessions);
            }
        }
    });
}
