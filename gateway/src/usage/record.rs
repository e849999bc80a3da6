//! A usage record.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// What a client was given. Nothing in it is biometric.
///
/// New members may be added, as `Option`s; what is written once must stay readable for as long as records are kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageRecord {
    /// Names the record: two with one id are one.
    pub id: Uuid,
    /// When the answer was ready, by the gateway's clock.
    pub time: Timestamp,
    /// Whose request it was.
    pub client: String,
    /// The key that was shown.
    pub key: String,
    /// The family of operations.
    pub family: String,
    /// The operation, as metrics name it.
    pub operation: String,
    /// The answer's HTTP status.
    pub status: u16,
    /// `ok`, or the fault's label.
    pub outcome: String,
    /// `X-Request-Id` of request and answer.
    pub request: Option<String>,
    /// Of an operation that asks the workers.
    pub job: Option<Uuid>,
    /// The session that the request named or created.
    pub session: Option<Uuid>,
    /// The caller's header `Reference-Number`.
    pub reference_number: Option<String>,
    /// The caller's own identifier, of the session or the request.
    pub correlation_id: Option<String>,
    /// The caller's own identifier, of the session or the request.
    pub evidence_id: Option<String>,
}
