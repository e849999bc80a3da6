//! The usage record.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// The record of an answer that a client got. It contains no biometric data.
///
/// New members may be added at the end, as `Option`s: a written record must stay readable for as long as records are kept.
/// The export has a column for each member.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageRecord {
    /// Id of the record. Two records with the same id are copies.
    pub id: Uuid,
    /// Time at which the answer was ready, by the gateway's clock.
    pub time: Timestamp,
    /// The client that sent the request.
    pub client: String,
    /// Id of the API key. Empty in the record of a judged replay, which no request made.
    pub key: String,
    /// The family of operations.
    pub family: String,
    /// The operation, as metrics name it.
    pub operation: String,
    /// The answer's HTTP status.
    pub status: u16,
    /// `ok`, or the label of the fault.
    pub outcome: String,
    /// `X-Request-Id` of request and answer.
    pub request: Option<String>,
    /// Id of the job, if a worker was involved.
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
