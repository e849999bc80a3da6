//! The Lua scripts, which make each change atomic, and how they are called.

use std::time::Duration;

use redis::{Script, ScriptInvocation};
use uuid::Uuid;

use super::keys::{answer_key, outbox_key};
use crate::millis::millis;
use crate::outbox::{Lane, NewRow};

/// Time for which the server keeps the answer to a change. It is well above the time in which a change is repeated.
const ANSWER_RETENTION: Duration = Duration::from_secs(30);

/// All scripts of the store.
pub(super) struct Scripts {
    pub(super) create_session: Script,
    pub(super) read_session: Script,
    pub(super) delete_session: Script,
    pub(super) set_replay: Script,
    pub(super) add_face: Script,
    pub(super) delete_faces: Script,
    pub(super) enqueue_row: Script,
    pub(super) lease_rows: Script,
    pub(super) finish_row: Script,
    pub(super) finish_rows: Script,
    pub(super) postpone_row: Script,
    pub(super) claim: Script,
    pub(super) end_claim: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create_session: changing(include_str!("lua/create_session.lua")),
            read_session: Script::new(include_str!("lua/read_session.lua")),
            delete_session: changing(include_str!("lua/delete_session.lua")),
            set_replay: changing(include_str!("lua/set_replay.lua")),
            add_face: changing(include_str!("lua/add_face.lua")),
            delete_faces: changing(include_str!("lua/delete_faces.lua")),
            enqueue_row: changing(include_str!("lua/enqueue_row.lua")),
            lease_rows: changing(include_str!("lua/lease_rows.lua")),
            finish_row: changing(include_str!("lua/finish_row.lua")),
            finish_rows: changing(include_str!("lua/finish_rows.lua")),
            postpone_row: changing(include_str!("lua/postpone_row.lua")),
            claim: changing(include_str!("lua/claim.lua")),
            end_claim: changing(include_str!("lua/end_claim.lua")),
        }
    }
}

/// A script that changes something.
fn changing(code: &str) -> Script {
    Script::new(&format!("{}{code}", include_str!("lua/prelude.lua")))
}

/// A call of a changing script, with the id of the change and the keys of the sessions' outbox. The script's own keys and
/// arguments follow.
pub(super) fn change(script: &Script) -> ScriptInvocation<'_> {
    change_in(Lane::Sessions, script)
}

/// A call as [`change`] makes it, with the outbox of `lane`.
pub(super) fn change_in(lane: Lane, script: &Script) -> ScriptInvocation<'_> {
    let mut change = script.key(answer_key(Uuid::new_v4()));
    for part in ["due", "body", "attempt", "lease"] {
        change.key(outbox_key(lane, part));
    }
    change.arg(millis(ANSWER_RETENTION));
    change
}

/// Adds a row to the arguments of a call.
pub(super) fn add_row(call: &mut ScriptInvocation<'_>, row: &NewRow) {
    call.arg(row.id.as_bytes()).arg(&*row.body).arg(millis(row.due_in));
}
