//! File descriptors, of which each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the rest of a process may have open: files, the broker, the stores.
const OTHERS: u64 = 256;

/// Makes room for so many connections; how many there is room for.
///
/// A process that runs out of descriptors can reach neither its broker nor its stores, so that rather connections are
/// fewer.
pub(in crate::http) fn room_for(connections: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = connections as u64 + OTHERS;
    let Some(now) = limit.current.filter(|current| *current < needed) else {
        return connections;
    };
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let current = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }) {
        Ok(()) => raised,
        Err(error) => {
            tracing::debug!(%error, "the limit of file descriptors is not raised");
            now
        }
    };
    let room = (current.saturating_sub(OTHERS)).max(1);
    if room < connections as u64 {
        tracing::warn!(
            descriptors = current,
            connections = room,
            "http.max_connections is more than this process may have files open (ulimit -n)"
        );
    }
    room.min(connections as u64) as usize
}
