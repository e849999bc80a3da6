//! Limits of the child's resources, and other properties that a process can set for itself.

use std::fs;
use std::io;

use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, nice, set_parent_process_death_signal, setrlimit,
};

use super::error::ConfinementError;

/// Nice value of a child: about a third of the CPU time that a process of normal priority gets beside it.
const NICENESS: i32 = 5;

/// Descriptors that a decoder needs at once: three pipes, the video, and one library after the other.
const DESCRIPTORS: u64 = 64;

/// Limits of a child.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Resources {
    pub(super) cpu_seconds: u64,
    /// Address space, in bytes.
    pub(super) memory: u64,
    /// Process that must be the parent still.
    pub(super) parent: Option<u64>,
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu_seconds: 60, memory: 2 << 30, parent: None }
    }
}

impl Resources {
    /// Limits this process and everything that it becomes.
    pub(super) fn limit(&self) -> Result<(), ConfinementError> {
        close_inherited().map_err(|error| ConfinementError::Resource("inherited descriptors", error))?;
        // If memory runs out, the kernel shall end this process first. A failure to set that is harmless.
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        let limits = [
            ("the limit of CPU time", Resource::Cpu, self.cpu_seconds),
            ("the limit of memory", Resource::As, self.memory),
            ("the limit of files", Resource::Fsize, 0),
            ("the limit of descriptors", Resource::Nofile, DESCRIPTORS),
            // A dump would hold the video. Where dumps go to a program (`core_pattern`), the kernel respects a limit of
            // 1, but not 0.
            ("the limit of core dumps", Resource::Core, 1),
        ];
        for (what, resource, limit) in limits {
            let limit = getrlimit(resource).maximum.map_or(limit, |most| most.min(limit));
            setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })
                .map_err(|error| ConfinementError::Resource(what, error.into()))?;
        }
        nice(NICENESS).map_err(|error| ConfinementError::Resource("the priority", error.into()))?;
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| ConfinementError::Resource("the signal on the parent's death", error.into()))?;
        // The parent may have died before the signal was set.
        let parent = getppid().map(|parent| u64::from(parent.as_raw_pid().unsigned_abs()));
        if self.parent.is_some() && self.parent != parent {
            return Err(ConfinementError::Orphan);
        }
        Ok(())
    }
}

/// Closes what libraries of the worker (drivers of devices, for one) leave open in children.
fn close_inherited() -> io::Result<()> {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // One of them is the folder that was read, which is closed already.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}
