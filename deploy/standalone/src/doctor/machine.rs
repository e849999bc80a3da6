//! Checks of this machine: open files and the disk.

use std::path::Path;

use faceline_gateway::http::possible_connections;
use rustix::fs::{Access, access, statvfs};

use super::finding::Finding;
use super::subject::Subject;

/// Minimum free disk space in bytes. With less, writing keys and records may fail.
const MIN_FREE_BYTES: u64 = 64 << 20;

pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    let mut findings = vec![disk(subject)];
    if subject.has_gateway() {
        findings.push(open_files(subject.settings.http.max_connections));
    }
    findings
}

fn open_files(connections: usize) -> Finding {
    const CHECK: &str = "open_files";
    let (limit, possible) = possible_connections(connections);
    let limit = limit.map_or_else(|| "unlimited".into(), |limit| limit.to_string());
    if possible < connections {
        return Finding::warning(
            CHECK,
            format!(
                "the limit of open files is {limit}, so the gateway takes {possible} connections and not the {connections} of http.max_connections"
            ),
            "raise it (ulimit -Hn, LimitNOFILE= of the systemd unit, or the container runtime's), or lower http.max_connections",
        );
    }
    Finding::ok(CHECK, format!("the limit of open files is {limit}, enough for {connections} connections"))
}

/// Checks the free space of the data folder's disk, and that the folder is writable.
fn disk(subject: &Subject) -> Finding {
    const CHECK: &str = "data_dir";
    let folder = &subject.settings.data_dir;
    // The programs make a missing folder at the first start, so the check uses its nearest existing parent.
    let existing = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or_else(|| Path::new("/"));
    let shown = folder.display();
    if let Err(error) = access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::problem(
            CHECK,
            format!("this user cannot write to {}: {error}", existing.display()),
            "mount a volume that this user can write to, or name another folder by data_dir",
        );
    }
    let free = match statvfs(existing) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            let found = format!("the free disk of {shown} is not known: {error}");
            return Finding::warning(CHECK, found, "see whether the volume is mounted");
        }
    };
    let wanted = if subject.has_gateway() { subject.settings.usage.deferred_bytes } else { MIN_FREE_BYTES };
    let found = format!("{shown} has {} MiB free", free >> 20);
    if free < MIN_FREE_BYTES {
        Finding::problem(CHECK, found, "free disk space, or set data_dir to a folder on another disk")
    } else if free < wanted {
        Finding::warning(
            CHECK,
            format!(
                "{found}, less than the {} MiB of usage.deferred_bytes: usage records may be lost while the store is unavailable",
                wanted >> 20
            ),
            "free disk space, or lower usage.deferred_bytes",
        )
    } else {
        Finding::ok(CHECK, found)
    }
}
