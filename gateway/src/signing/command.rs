//! `faceline signing …`.

use std::io::{self, Write};

use faceline_shared::settings::Settings;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::SigningError;
use super::key_file::{ANNOUNCEMENT, KeyFile};
use super::key_set::KeyStatus;

/// Manage the keys that sign answers
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum SigningCommand {
    /// Add a key. It is published at once and signs after ten minutes; older keys stay published
    Rotate {
        /// Sign with the new key at once; use this if the old key is compromised. Verifiers that cache the published
        /// keys and do not fetch them again for an unknown key id refuse answers for some minutes
        #[arg(long)]
        now: bool,
    },
    /// Show the keys
    List,
}

impl SigningCommand {
    /// Executes the command, and writes the resulting keys to `out`.
    ///
    /// # Errors
    /// [`SigningCommandError`].
    pub fn run(self, settings: &Settings, out: &mut impl Write) -> Result<(), SigningCommandError> {
        let file = KeyFile::of(settings);
        let now = OffsetDateTime::now_utc();
        if let Self::Rotate { now: at_once } = self {
            file.rotate(if at_once { now } else { now + ANNOUNCEMENT })?;
        }
        for (status, key) in file.keys()?.all(OffsetDateTime::now_utc()) {
            let status = match status {
                KeyStatus::Next => "next",
                KeyStatus::Active => "active",
                KeyStatus::Retired => "retired",
            };
            let from = key.signs_from().format(&Rfc3339).unwrap_or_default();
            writeln!(out, "{status:<8} {} {} from {from}", key.algorithm().as_str(), key.kid())?;
        }
        Ok(())
    }
}

/// Reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum SigningCommandError {
    /// The keys cannot be read or changed.
    #[error(transparent)]
    Keys(#[from] SigningError),
    /// The output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}
