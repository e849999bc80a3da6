//! The Lua scripts, which make each change atomic, and their calls.

use std::time::Duration;

use redis::{Script, ScriptInvocation, ToRedisArgs};
use uuid::Uuid;

use super::keys::{LedgerKind, answer_key, ledger_keys, outbox_key};
use crate::millis::millis;
use crate::outbox::{Lane, NewRow};

/// Time for which the server keeps the answer to a change. It is well above the time within which a change is
/// repeated.
const ANSWER_RETENTION: Duration = Duration::from_secs(30);

/// All scripts of the store.
pub(super) struct Scripts {
    pub(super) create_session: Script,
    pub(super) read_session: Script,
    pub(super) delete_session: Script,
    pub(super) read_replay: Script,
    pub(super) change_replay: Script,
    pub(super) add_face: Script,
    pub(super) delete_faces: Script,
    pub(super) enqueue_row: Script,
    pub(super) lease_rows: Script,
    pub(super) finish_row: Script,
    pub(super) finish_rows: Script,
    pub(super) postpone_row: Script,
    pub(super) list_rows: Script,
    pub(super) transfer_row: Script,
    pub(super) remove_row: Script,
    pub(super) claim: Script,
    pub(super) end_claim: Script,
    pub(super) client_usage: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create_session: counting(include_str!("lua/create_session.lua")),
            read_session: Script::new(include_str!("lua/read_session.lua")),
            delete_session: counting(include_str!("lua/delete_session.lua")),
            read_replay: Script::new(include_str!("lua/read_replay.lua")),
            change_replay: counting(include_str!("lua/change_replay.lua")),
            add_face: counting(include_str!("lua/add_face.lua")),
            delete_faces: counting(include_str!("lua/delete_faces.lua")),
            enqueue_row: changing(include_str!("lua/enqueue_row.lua")),
            lease_rows: changing(include_str!("lua/lease_rows.lua")),
            finish_row: changing(include_str!("lua/finish_row.lua")),
            finish_rows: changing(include_str!("lua/finish_rows.lua")),
            postpone_row: changing(include_str!("lua/postpone_row.lua")),
            list_rows: Script::new(include_str!("lua/list_rows.lua")),
            transfer_row: changing(include_str!("lua/transfer_row.lua")),
            remove_row: changing(include_str!("lua/remove_row.lua")),
            claim: counting(include_str!("lua/claim.lua")),
            end_claim: counting(include_str!("lua/end_claim.lua")),
            client_usage: counting(include_str!("lua/client_usage.lua")),
        }
    }
}

/// A script that changes something.
fn changing(code: &str) -> Script {
    Script::new(&format!("{}{code}", include_str!("lua/prelude.lua")))
}

/// A script that changes a client's ledger.
fn counting(code: &str) -> Script {
    changing(&format!("{}{code}", include_str!("lua/ledger.lua")))
}

/// Like [`change`], for a script that changes `target` and the ledger of `client`.
pub(super) fn counted_change<'a>(
    script: &'a Script,
    target: impl ToRedisArgs,
    kind: LedgerKind,
    client: &str,
) -> ScriptInvocation<'a> {
    let mut call = change(script);
    call.key(target);
    for key in ledger_keys(kind, client) {
        call.key(key);
    }
    call
}

/// Builds the call of a changing script, with the id of the change and the keys of the sessions' outbox. The caller
/// adds the script's own keys and arguments.
pub(super) fn change(script: &Script) -> ScriptInvocation<'_> {
    change_in(Lane::Sessions, script)
}

/// Like [`change`], with the outbox of `lane`.
pub(super) fn change_in(lane: Lane, script: &Script) -> ScriptInvocation<'_> {
    let mut change = script.key(answer_key(Uuid::new_v4()));
    add_outbox(&mut change, lane);
    change.arg(millis(ANSWER_RETENTION));
    change
}

/// Adds the keys of the outbox of `lane` to a call.
pub(super) fn add_outbox(call: &mut ScriptInvocation<'_>, lane: Lane) {
    for part in ["due", "body", "attempt", "lease"] {
        call.key(outbox_key(lane, part));
    }
}

/// Adds a row to the arguments of a call.
pub(super) fn add_row(call: &mut ScriptInvocation<'_>, row: &NewRow) {
    call.arg(row.id.as_bytes()).arg(&*row.body).arg(millis(row.due_in));
}
