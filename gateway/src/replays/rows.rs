//! The payloads of the outbox's rows about replays.

use faceline_gateway_store::sessions::SessionName;
use faceline_shared::job::JobId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sessions::FollowUp;
use crate::timestamp::Timestamp;
use crate::usage::UsageRecord;

/// A row of [`Lane::Replays`](faceline_gateway_store::outbox::Lane::Replays). Its id is that of the job, or a random
/// one for a time-out.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum ReplayWork {
    /// Publish the job of a replay. Once the job's time is over, end the replay if it has not ended.
    Judge {
        /// The client of the session.
        client: String,
        /// The session.
        session: Uuid,
        /// The job.
        job: JobId,
        /// Number of times that the job was published.
        published: u32,
    },
    /// End a replay whose upload did not begin in time.
    TimeOut {
        /// The client of the session.
        client: String,
        /// The session.
        session: Uuid,
        /// The replay's `server_random`, which a later replay of the session does not share.
        server_random: [u8; 32],
    },
    /// Delete the encrypted media of a replay that has ended.
    DeleteMedia {
        /// Key of the object.
        object: String,
    },
}

/// A row of [`Lane::Callbacks`](faceline_gateway_store::outbox::Lane::Callbacks): a request to a service provider. Its id is the
/// `webhook-id`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Callback {
    /// The client of the session.
    pub(crate) client: String,
    /// The session. The callback's body names it.
    pub(crate) session: Uuid,
    /// The receiver's URL.
    pub(crate) url: String,
    /// End of the session by the clock of the gateway that created it. A session that no longer exists before this time
    /// was deleted.
    pub(crate) session_expires: Timestamp,
    /// Number of failed attempts since the row was written or last replayed.
    pub(crate) failures: u32,
    /// Reason for the last failure.
    pub(crate) last_failure: Option<String>,
    /// Whether an operator sends the callback again although its session has ended.
    pub(crate) is_replayed: bool,
    /// The `traceparent` of the upload whose replay has ended; `None` in rows of earlier builds, and for replays
    /// without an upload.
    #[serde(default)]
    pub(crate) traceparent: Option<String>,
    /// The `tracestate` of the same upload.
    #[serde(default)]
    pub(crate) tracestate: Option<String>,
}

/// A row that is written with a change of a replay: the payload of its lane.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ReplayRow {
    /// For the lane of replays.
    Work(ReplayWork),
    /// For the lane of callbacks.
    Callback(Box<Callback>),
    /// For the lane of usage records.
    Usage(Box<UsageRecord>),
    /// For the lane of sessions: it replaces the row that cleans up after the session.
    ClearUp(FollowUp),
}

impl Callback {
    /// The session.
    pub(crate) fn session(&self) -> SessionName {
        SessionName { client: self.client.clone(), id: self.session }
    }
}
