//! The limit of open files: each connection takes a file descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that are reserved for everything else: files, the broker, the stores.
const RESERVED_DESCRIPTORS: u64 = 256;

/// Returns the highest limit of open files that this process can set for itself (`None`: unlimited), and the number of
/// connections for which it suffices, at most `connections`.
#[must_use]
pub fn possible_connections(connections: usize) -> (Option<u64>, usize) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let possible = maximum.map_or(u64::MAX, |maximum| maximum.saturating_sub(RESERVED_DESCRIPTORS).max(1));
    (maximum, possible.min(connections as u64) as usize)
}

/// Raises the process's limit of open files for `connections`, and returns for how many the limit then suffices.
///
/// A process without free descriptors cannot connect to its broker or stores, so the number of connections is reduced
/// instead.
pub(super) fn raise_limit_for(connections: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = connections as u64 + RESERVED_DESCRIPTORS;
    let Some(now) = limit.current.filter(|current| *current < needed) else {
        return connections;
    };
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let current = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }) {
        Ok(()) => raised,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files is not raised");
            now
        }
    };
    let possible = current.saturating_sub(RESERVED_DESCRIPTORS).max(1);
    if possible < connections as u64 {
        tracing::warn!(
            descriptors = current,
            connections = possible,
            "http.max_connections exceeds the limit of open files (ulimit -n): fewer connections are accepted"
        );
    }
    possible.min(connections as u64) as usize
}
