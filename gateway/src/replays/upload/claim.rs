//! An upload's claim to its replay.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::{OpenedReplay, UnsealedChange, UnsealedRow};
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::job::JobId;
use faceline_shared::replay::metadata::UploadMetadata;
use tokio::time::{Instant, sleep_until};

use super::identify::is_repeated;
use crate::fault::Fault;
use crate::replays::record::{ReplayRecord, ReplayState, SubmittedReplay};
use crate::replays::rows::{ReplayRow, ReplayWork};
use crate::replays::service::Replays;
use crate::request::record::RequestRecord;
use crate::sessions::Sessions;

/// Time after which a claim without a renewal ends, and another upload may claim the replay.
const LEASE: Duration = Duration::from_secs(30);
/// Time between two renewals. Two of them may fail before the lease ends.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);
/// Time after the end of a lease, if the claim was not released, at which the upload's object is deleted. Operations
/// on a store that began before the end of the lease are over by then.
const ORPHAN_MARGIN: Duration = Duration::from_secs(90);
/// Maximum number of attempts at a change that others prevent, or whose outcome is unknown.
const MAX_ATTEMPTS: u32 = 4;

/// An upload's claim to its replay. It must be renewed, and ends with [`Claim::submit`] or [`Claim::give_back`]. A
/// claim that is dropped before is released in the background.
pub(super) struct Claim {
    sessions: Arc<Sessions>,
    pub(super) name: SessionName,
    record: ReplayRecord,
    revision: u64,
    /// The id of the upload, which becomes the id of the job.
    pub(super) job: JobId,
    object: String,
    /// Start of the last renewal.
    renewed: Instant,
    is_open: bool,
}

/// The result of claiming a replay.
pub(super) enum Claimed {
    /// The upload holds the claim.
    New(Box<Claim>),
    /// Meanwhile the replay has received the same video.
    Repeated,
}

/// The state of a claim in the store, after a change that had no effect or whose outcome is unknown.
enum ClaimState {
    /// The upload still holds the claim, with this revision.
    Claimed(u64),
    /// The upload has been submitted.
    Submitted,
    /// The upload no longer holds the claim.
    Lost,
}

impl Replays {
    /// Claims the replay for an upload, which gets the id `job`.
    ///
    /// # Errors
    /// As [`is_repeated`], [`Fault::NotFound`] if the session has ended, and the faults of an unavailable store.
    pub(super) async fn claim(
        &self,
        name: &SessionName,
        mut replay: OpenedReplay<ReplayRecord>,
        metadata: &UploadMetadata,
        job: JobId,
    ) -> Result<Claimed, Fault> {
        for _ in 0..MAX_ATTEMPTS {
            if is_repeated(&replay, metadata)? {
                return Ok(Claimed::Repeated);
            }
            let OpenedReplay { revision, record, .. } = replay;
            let mut claim = Claim {
                sessions: Arc::clone(&self.sessions),
                object: Self::media_key(name.id, job),
                name: name.clone(),
                record: ReplayRecord { state: ReplayState::Uploading { upload: job }, ..record },
                revision,
                job,
                renewed: Instant::now(),
                is_open: true,
            };
            if claim.write_lease().await? {
                return Ok(Claimed::New(Box::new(claim)));
            }
            // Another request has changed the replay, and may have set other parameters.
            claim.is_open = false;
            replay = self.find_awaited(name).await?;
            let record = &replay.record;
            if !metadata.is_for(&record.id, record.seed, &record.server_random) {
                return Err(replaced());
            }
        }
        Err(Fault::UploadInProgress { retry_after: Duration::from_secs(1) })
    }
}

impl Claim {
    /// Key of the upload's object.
    pub(super) fn object(&self) -> &str {
        &self.object
    }

    /// The record of the replay.
    pub(super) fn record(&self) -> &ReplayRecord {
        &self.record
    }

    /// Renews the claim until it is lost, and returns the fault of the loss.
    pub(super) async fn keep(&mut self) -> Fault {
        let mut next = self.renewed + RENEWAL_INTERVAL;
        loop {
            sleep_until(next).await;
            next = Instant::now() + RENEWAL_INTERVAL;
            if let Err(fault) = self.renew().await {
                let is_outage = fault.as_busy().is_some();
                if !is_outage || self.renewed.elapsed() >= LEASE {
                    return fault;
                }
                tracing::warn!(%fault, "the claim of an upload cannot be renewed now");
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Fault> {
        for _ in 0..MAX_ATTEMPTS {
            if self.write_lease().await? {
                return Ok(());
            }
            match self.state().await? {
                ClaimState::Claimed(revision) => self.revision = revision,
                ClaimState::Submitted | ClaimState::Lost => return Err(replaced()),
            }
        }
        Err(replaced())
    }

    /// Makes the upload the video of its replay, and writes the row that publishes the job.
    ///
    /// # Errors
    /// [`Fault::Conflict`] if the claim is lost, [`Fault::NotFound`] if the session has ended, [`Fault::Busy`] if the
    /// client has reached a bound, and the faults of an unavailable store.
    pub(super) async fn submit(&mut self, submitted: SubmittedReplay) -> Result<(), Fault> {
        // After the end of the lease the object may be deleted.
        if self.renewed.elapsed() >= LEASE {
            self.renew().await?;
        }
        let SessionName { client, id: session } = self.name.clone();
        let judge = ReplayWork::Judge { client, session, job: self.job, published: 0 };
        let record =
            ReplayRecord { state: ReplayState::InProgress(Box::new(submitted)), ..self.record.clone() };
        for attempt in 1..=MAX_ATTEMPTS {
            match self.write(&record, true, Duration::ZERO, judge.clone(), Duration::ZERO).await {
                Ok(true) => {
                    self.is_open = false;
                    return Ok(());
                }
                Ok(false) => (),
                Err(fault) if fault.row().label == "store_unreachable" && attempt < MAX_ATTEMPTS => {
                    tokio::time::sleep(faceline_shared::retry::Backoff::REQUEST.delay(attempt)).await;
                }
                Err(fault) => return Err(fault),
            }
            // The outcome of an earlier attempt, or of a renewal, may be unknown.
            match self.state().await {
                Ok(ClaimState::Claimed(revision)) => self.revision = revision,
                Ok(ClaimState::Submitted) => {
                    self.is_open = false;
                    return Ok(());
                }
                Ok(ClaimState::Lost) => return Err(replaced()),
                Err(fault) if attempt == MAX_ATTEMPTS => return Err(fault),
                Err(_) => (),
            }
        }
        Err(replaced())
    }

    /// Releases the claim: the replay waits for an upload again. Deletes the upload's object if it exists.
    pub(super) async fn give_back(mut self) {
        self.give_back_now().await;
    }

    async fn give_back_now(&mut self) {
        self.is_open = false;
        let record = ReplayRecord { state: ReplayState::Initialized, ..self.record.clone() };
        for _ in 0..MAX_ATTEMPTS {
            let delete = ReplayWork::DeleteMedia { object: self.object.clone() };
            match self.write(&record, false, Duration::ZERO, delete, Duration::ZERO).await {
                Ok(true) => return,
                Ok(false) => (),
                // The replay has ended with its session.
                Err(Fault::NotFound(_)) => return,
                Err(fault) => {
                    tracing::warn!(%fault, session = %self.name.id, "the claim of an upload ends with its lease");
                    return;
                }
            }
            match self.state().await {
                Ok(ClaimState::Claimed(revision)) => self.revision = revision,
                Ok(ClaimState::Submitted | ClaimState::Lost) | Err(_) => return,
            }
        }
    }

    /// Writes the claim with a new lease. Returns false if the replay has another revision.
    async fn write_lease(&mut self) -> Result<bool, Fault> {
        let began = Instant::now();
        let delete = ReplayWork::DeleteMedia { object: self.object.clone() };
        let written = self.write(&self.record.clone(), false, LEASE, delete, LEASE + ORPHAN_MARGIN).await?;
        if written {
            self.renewed = began;
        }
        Ok(written)
    }

    /// Writes a record, and the outbox row `work` under the job's id, so each write replaces the earlier row. During
    /// the upload this row deletes the media if the upload is abandoned. Submitting the upload replaces it by the row
    /// that publishes the job.
    async fn write(
        &mut self,
        record: &ReplayRecord,
        in_progress: bool,
        lease: Duration,
        work: ReplayWork,
        due_in: Duration,
    ) -> Result<bool, Fault> {
        let row = UnsealedRow { id: self.job, payload: ReplayRow::Work(work), due_in };
        let change = UnsealedChange {
            expected: self.revision,
            record,
            in_progress,
            upload_within: None,
            lease,
            rows: vec![(Lane::Replays, row)],
        };
        let written = self.sessions.change_replay(&self.name, &change).await?;
        if written {
            self.revision += 1;
        }
        Ok(written)
    }

    async fn state(&self) -> Result<ClaimState, Fault> {
        let Some(found) = self.sessions.replay::<ReplayRecord>(&self.name).await? else {
            return Ok(ClaimState::Lost);
        };
        Ok(match &found.record.state {
            ReplayState::Uploading { upload } if *upload == self.job => ClaimState::Claimed(found.revision),
            ReplayState::InProgress(submitted) if submitted.job == self.job => ClaimState::Submitted,
            ReplayState::Ended(ended) if ended.job == Some(self.job) => ClaimState::Submitted,
            _ => ClaimState::Lost,
        })
    }
}

fn replaced() -> Fault {
    Fault::Conflict("Another upload, or new liveness parameters, have taken the place of this upload".into())
}

impl Drop for Claim {
    /// Releases a claim whose caller disconnected during the upload.
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        self.is_open = false;
        let mut claim = Self {
            sessions: Arc::clone(&self.sessions),
            name: self.name.clone(),
            record: self.record.clone(),
            object: self.object.clone(),
            is_open: false,
            ..*self
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // This work belongs to no request.
            runtime.spawn(RequestRecord::default().scope(async move { claim.give_back_now().await }));
        }
    }
}
