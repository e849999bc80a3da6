//! The payloads of the outbox's rows about replays.

use faceline_gateway_store::sessions::SessionName;
use faceline_shared::job::JobId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sessions::FollowUp;
use crate::timestamp::Timestamp;
use crate::usage::UsageRecord;

/// A row of [`Lane::Replays`](faceline_gateway_store::outbox::Lane::Replays). Its id is the one of the job, or of the timeout.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum ReplayWork {
    /// Publish the job of a replay; later, once the job's time is over, see that the replay ends.
    Judge {
        /// The client of the session.
        client: String,
        /// The session.
        session: Uuid,
        /// The job.
        job: JobId,
        /// How often the job was published.
        published: u32,
    },
    /// End a replay whose upload did not begin in time.
    TimeOut {
        /// The client of the session.
        client: String,
        /// The session.
        session: Uuid,
        /// The replay's `server_random`: a later replay of the session has another.
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
    /// The session, which the body names.
    pub(crate) session: Uuid,
    /// Where to.
    pub(crate) url: String,
    /// When the session ends, by the clock of the gateway that created it. A session that is gone before was deleted.
    pub(crate) session_expires: Timestamp,
    /// How often it was sent in vain, since it was written or last replayed.
    pub(crate) failures: u32,
    /// Why it was not accepted last time.
    pub(crate) last_failure: Option<String>,
    /// An operator has it sent again although its session has ended.
    pub(crate) is_replayed: bool,
    /// The `traceparent` of the upload whose replay has ended. Rows of earlier builds have none, and replays without an upload.
    #[serde(default)]
    pub(crate) traceparent: Option<String>,
    /// Its `tracestate`.
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
