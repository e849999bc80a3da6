//! `faceline replay-keys …`.

use std::io::{self, Write};

use faceline_shared::settings::Settings;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::RecipientKeyError;
use super::key_file::{ANNOUNCEMENT, RecipientKeyFile};
use super::key_set::KeyStatus;

/// Manage the keys with which devices encrypt uploads of replays
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ReplayKeysCommand {
    /// Add a key. Devices get its certificate after ten minutes; uploads encrypted with older keys still open
    Rotate {
        /// Give devices the new certificate at once; use this if the old key is compromised. Uploads encrypted with
        /// the new key fail at gateways that have not yet read the key file again
        #[arg(long)]
        now: bool,
    },
    /// Show the keys
    List,
    /// Remove a key. Uploads encrypted with it no longer open
    Remove {
        /// Id of the key, as `list` shows it
        id: String,
    },
}

impl ReplayKeysCommand {
    /// Executes the command, and writes the resulting keys to `out`.
    ///
    /// # Errors
    /// [`ReplayKeysCommandError`].
    pub fn run(self, settings: &Settings, out: &mut impl Write) -> Result<(), ReplayKeysCommandError> {
        let file = RecipientKeyFile::of(settings);
        let now = OffsetDateTime::now_utc();
        match self {
            Self::Rotate { now: at_once } => file.rotate(if at_once { now } else { now + ANNOUNCEMENT })?,
            Self::Remove { id } => file.remove(&id)?,
            Self::List => (),
        }
        for (status, from, key) in file.keys()?.all(OffsetDateTime::now_utc()) {
            let status = match status {
                KeyStatus::Next => "next",
                KeyStatus::Active => "active",
                KeyStatus::Previous => "previous",
            };
            let from = from.format(&Rfc3339).unwrap_or_default();
            writeln!(out, "{status:<8} {} from {from}", key.id())?;
        }
        Ok(())
    }
}

/// Reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum ReplayKeysCommandError {
    /// The keys cannot be read or changed.
    #[error(transparent)]
    Keys(#[from] RecipientKeyError),
    /// The output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}
