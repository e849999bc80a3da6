//! The Lua scripts, which make each operation atomic.

use redis::Script;

/// All scripts of the store.
pub(super) struct Scripts {
    pub(super) create: Script,
    pub(super) session: Script,
    pub(super) delete: Script,
    pub(super) set_replay: Script,
    pub(super) add_face: Script,
    pub(super) delete_faces: Script,
    pub(super) lease: Script,
    pub(super) enqueue: Script,
    pub(super) finish: Script,
    pub(super) finish_all: Script,
    pub(super) postpone: Script,
    pub(super) begin_once: Script,
    pub(super) end_once: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create: change(include_str!("create.lua")),
            session: Script::new(include_str!("session.lua")),
            delete: change(include_str!("delete.lua")),
            set_replay: change(include_str!("set_replay.lua")),
            add_face: change(include_str!("add_face.lua")),
            delete_faces: change(include_str!("delete_faces.lua")),
            lease: change(include_str!("lease.lua")),
            enqueue: change(include_str!("enqueue.lua")),
            finish: change(include_str!("finish.lua")),
            finish_all: change(include_str!("finish_all.lua")),
            postpone: change(include_str!("postpone.lua")),
            begin_once: change(include_str!("begin_once.lua")),
            end_once: change(include_str!("end_once.lua")),
        }
    }
}

/// A script that changes something.
fn change(code: &str) -> Script {
    Script::new(&format!("{}{code}", include_str!("prelude.lua")))
}
