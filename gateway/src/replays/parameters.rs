//! Sets the parameters of replays.

use std::time::Duration;

use aws_lc_rs::rand;
use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::{UnsealedChange, UnsealedRow};
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::seal::SealError;
use uuid::Uuid;

use super::capture_token::CaptureToken;
use super::record::{ReplayRecord, ReplayState};
use super::rows::{ReplayRow, ReplayWork};
use super::service::Replays;
use crate::fault::Fault;
use crate::sessions::{SessionHandle, Sessions};

/// Upper bound (exclusive) of the seeds of challenges, so every client can read a seed as a signed 32-bit number.
const SEEDS: u32 = 1 << 31;
/// Maximum number of attempts at a change while others change the replay at the same time.
const MAX_ATTEMPTS: usize = 8;

/// The random values of a new replay, and its capture token.
pub struct DrawnReplay {
    /// The seed of the replay's challenges.
    pub seed: u32,
    /// Random bytes that the upload repeats.
    pub server_random: [u8; 32],
    /// The capture token, for the answer.
    pub capture_token: String,
    /// SHA-256 of the token's secret, for the record.
    pub token_digest: [u8; 32],
}

impl Replays {
    /// Draws the random values of a new replay of a session. `key` is the id of the caller's API key.
    ///
    /// # Errors
    /// [`Fault::Internal`] if the system has no random numbers.
    pub fn draw(&self, name: &SessionName, key: &str) -> Result<DrawnReplay, Fault> {
        let draw = || {
            let (mut seed, mut server_random) = ([0; 4], [0; 32]);
            rand::fill(&mut seed).map_err(|_| SealError::Crypto)?;
            rand::fill(&mut server_random).map_err(|_| SealError::Crypto)?;
            let token = CaptureToken::new(name, key)?;
            Ok(DrawnReplay {
                seed: u32::from_be_bytes(seed) % SEEDS,
                server_random,
                capture_token: token.seal(&self.tokens)?,
                token_digest: token.digest(),
            })
        };
        draw().map_err(|error: SealError| {
            tracing::error!(%error, "a replay cannot be drawn");
            Fault::Internal
        })
    }

    /// The certificates for which devices encrypt uploads: base64 of DER.
    #[must_use]
    pub fn certificates(&self) -> Vec<String> {
        self.recipients.certificates()
    }

    /// Begins a replay in a session. It replaces another replay unless that one is being judged. In the same
    /// operation it writes the rows that end the new replay in time and that clean up after the session.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session has ended, [`Fault::Conflict`] while a video is being judged,
    /// [`Fault::Busy`] if the client has reached a bound or the store is unavailable.
    pub async fn begin(
        &self,
        name: &SessionName,
        handle: &SessionHandle,
        record: &ReplayRecord,
    ) -> Result<(), Fault> {
        for _ in 0..MAX_ATTEMPTS {
            let present = self.sessions.replay::<ReplayRecord>(name).await?;
            if matches!(&present, Some(replay) if matches!(replay.record.state, ReplayState::InProgress(_))) {
                return Err(in_progress());
            }
            let upload_within = self.settings.replay.upload_timeout;
            let change = UnsealedChange {
                expected: present.map_or(0, |replay| replay.revision),
                record,
                in_progress: false,
                upload_within: Some(upload_within),
                lease: Duration::ZERO,
                rows: rows(name, handle, record, upload_within),
            };
            if self.sessions.change_replay(name, &change).await? {
                return Ok(());
            }
        }
        Err(Fault::Conflict("Other requests are changing the replay liveness of this session".into()))
    }
}

/// The refusal of a new replay while a video is being judged, as for the deletion of the session.
fn in_progress() -> Fault {
    Fault::Conflict("There is replay liveness in progress".into())
}

/// The rows that are written with a new replay.
fn rows(
    name: &SessionName,
    handle: &SessionHandle,
    record: &ReplayRecord,
    upload_within: Duration,
) -> Vec<(Lane, UnsealedRow<ReplayRow>)> {
    let timeout = ReplayWork::TimeOut {
        client: name.client.clone(),
        session: name.id,
        server_random: record.server_random,
    };
    let timeout =
        UnsealedRow { id: Uuid::new_v4(), payload: ReplayRow::Work(timeout), due_in: upload_within };
    let UnsealedRow { id, payload, due_in } = Sessions::clear_up_with_replay(name, handle);
    let clear_up = UnsealedRow { id, payload: ReplayRow::ClearUp(payload), due_in };
    vec![(Lane::Replays, timeout), (Lane::Sessions, clear_up)]
}
