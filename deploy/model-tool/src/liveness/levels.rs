//! The security levels by name.

use faceline_shared::liveness::SecurityLevel;

/// The levels as settings and callers name them.
pub(super) const LEVELS: [(&str, SecurityLevel); 3] =
    [("LOW", SecurityLevel::Low), ("MEDIUM", SecurityLevel::Medium), ("HIGH", SecurityLevel::High)];
