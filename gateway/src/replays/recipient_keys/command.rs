//! `faceline replay-keys …`.

use std::io::{self, Write};

use faceline_shared::settings::Settings;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::RecipientKeyError;
use super::key_file::{ANNOUNCEMENT, RecipientKeyFile};
use super::key_set::KeyStatus;

/// Keys for which devices encrypt uploads
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ReplayKeysCommand {
    /// Add a key, whose certificate devices get after ten minutes; uploads for the others open still
    Rotate {
        /// Offer it at once: when the old key is not to be trusted any more. Uploads for it fail at gateways that have not
        /// read the file yet
        #[arg(long)]
        now: bool,
    },
    /// Show the keys
    List,
    /// Remove a key: uploads for it do not open any more
    Remove {
        /// Its id, as `list` shows it
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
