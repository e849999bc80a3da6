//! Errors of confining a child.

/// Reason why a child cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    /// The arguments after `confine` are not understood.
    #[error(
        "usage: confine [--cpu-seconds N] [--memory-bytes N] [--parent PID] [--kernel off] -- PROGRAM [ARGUMENT]…"
    )]
    Usage,
    /// A resource limit, the priority or the signal on the parent's death cannot be set.
    #[error("{0}: {1}")]
    Resource(&'static str, #[source] std::io::Error),
    /// The parent has ended already.
    #[error("the parent is gone")]
    Orphan,
    /// Landlock is missing (Linux 5.13 has it, if it is enabled), or refuses the rules.
    #[error("landlock: {0}")]
    Files(String),
    /// Filters of system calls are missing or not allowed.
    #[error("seccomp: {0}")]
    Calls(String),
    /// The program does not start.
    #[error("the program does not start: {0}")]
    Program(#[source] std::io::Error),
}
