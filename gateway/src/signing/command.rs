//! `faceline signing …`.

use std::io::{self, Write};

use faceline_shared::settings::Settings;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::file::{KeyFile, Standing};
use super::{ANNOUNCED, SigningError};

/// Keys that sign answers
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum SigningCommand {
    /// Add a key, which signs after ten minutes of being published; the others are published still
    Rotate {
        /// Sign with it at once: when the old key is not to be trusted any more. Verifiers that keep the published keys
        /// without looking again for an unknown one refuse answers for some minutes
        #[arg(long)]
        now: bool,
    },
    /// Show the keys
    List,
}

impl SigningCommand {
    /// Does it, and writes what the keys are then to `out`.
    ///
    /// # Errors
    /// [`SigningError`]; or `out` cannot be written to.
    pub fn run(self, config: &Settings, out: &mut impl Write) -> Result<(), SigningCommandError> {
        let file = KeyFile::of(config);
        let now = OffsetDateTime::now_utc();
        if let Self::Rotate { now: at_once } = self {
            file.rotate(if at_once { now } else { now + ANNOUNCED })?;
        }
        for (standing, key) in file.read()?.all(OffsetDateTime::now_utc()) {
            let standing = match standing {
                Standing::Next => "next",
                Standing::Active => "active",
                Standing::Retired => "retired",
            };
            let from = key.signs_from().format(&Rfc3339).unwrap_or_default();
            writeln!(out, "{standing:<8} {} {} from {from}", key.algorithm().as_str(), key.kid())?;
        }
        Ok(())
    }
}

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum SigningCommandError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] SigningError),
    /// The output.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}
