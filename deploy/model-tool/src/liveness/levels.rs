//! The security levels by name.

use faceline_shared::liveness::SecurityLevel;

/// The levels with their names in settings and requests.
pub(super) const LEVELS: [(&str, SecurityLevel); 3] =
    [("LOW", SecurityLevel::Low), ("MEDIUM", SecurityLevel::Medium), ("HIGH", SecurityLevel::High)];
