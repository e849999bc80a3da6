//! The subject of the checks.

use faceline_shared::settings::Settings;

/// Program whose requirements are checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Role {
    /// `faceline-gateway`
    Gateway,
    /// `faceline-worker`
    Worker,
    /// `faceline`, or all parts of an installation
    Standalone,
}

/// The installation that the checks examine: its settings, and the program on this machine.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) settings: Settings,
    pub(super) role: Role,
}

impl Subject {
    pub(super) fn has_gateway(&self) -> bool {
        self.role != Role::Worker
    }

    pub(super) fn has_worker(&self) -> bool {
        self.role != Role::Gateway
    }
}
