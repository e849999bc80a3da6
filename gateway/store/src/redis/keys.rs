//! Names of keys and fields.

use uuid::Uuid;

use crate::idempotency::ClaimRequest;
use crate::outbox::Lane;
use crate::sessions::SessionName;

/// Prefix of all keys. The braces are the hash tag.
const PREFIX: &str = "faceline:{store}:";

/// The key that health checks write.
pub(super) const CHECK_KEY: &str = "faceline:{store}:check";

/// Prefix of a face's id in the fields of its session.
pub(super) const FACE_FIELD_PREFIX: &[u8] = b"face:";

/// The kind of items in a ledger.
#[derive(Clone, Copy, Debug)]
pub(super) enum LedgerKind {
    /// Sessions; their units are faces.
    Sessions,
    /// Idempotency records.
    Idempotency,
}

/// The key under which the server keeps the answer to a change.
pub(super) fn answer_key(change: Uuid) -> String {
    format!("{PREFIX}answer:{change}")
}

pub(super) fn outbox_key(lane: Lane, part: &str) -> String {
    let lane = match lane {
        Lane::Sessions => "outbox",
        Lane::Usage => "usage",
        Lane::Replays => "replays",
        Lane::Callbacks => "callbacks",
        Lane::DeadCallbacks => "dead_callbacks",
    };
    format!("{PREFIX}{lane}:{part}")
}

pub(super) fn session_key(session: &SessionName) -> String {
    format!("{PREFIX}session:{session}")
}

pub(super) fn owner_key(session: Uuid) -> String {
    format!("{PREFIX}owner:{session}")
}

/// The two keys of a client's ledger of one kind; see `lua/ledger.lua`.
pub(super) fn ledger_keys(kind: LedgerKind, client: &str) -> [String; 2] {
    let kind = match kind {
        LedgerKind::Sessions => "sessions",
        LedgerKind::Idempotency => "idempotency",
    };
    ["items", "parts"].map(|part| format!("{PREFIX}client:{kind}:{part}:{client}"))
}

pub(super) fn idempotency_key(request: &ClaimRequest) -> Vec<u8> {
    [PREFIX.as_bytes(), b"once:", &request.key].concat()
}

pub(super) fn face_field(face: Uuid) -> Vec<u8> {
    [FACE_FIELD_PREFIX, face.as_bytes()].concat()
}
