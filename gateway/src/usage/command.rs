//! The command `faceline usage`.

use std::io::Write;

use faceline_shared::keys::{Keys, KeysError};
use faceline_shared::object::{self, ObjectError, SealedObjects};
use faceline_shared::settings::Settings;
use time::Date;

use super::export::{self, ExportError, Selection};
use super::output::Format;

/// Export usage records
#[derive(Clone, Debug, clap::Subcommand)]
pub enum UsageCommand {
    /// Count the answers to each client by day, operation and outcome
    Export {
        /// First day to export (UTC), such as 2026-02-28
        #[arg(long, value_name = "DAY", value_parser = export::day)]
        from: Date,
        /// Last day to export (UTC), included
        #[arg(long, value_name = "DAY", value_parser = export::day)]
        to: Date,
        /// Format of the output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Export the usage of this client only
        #[arg(long, value_name = "NAME")]
        client: Option<String>,
        /// Export each record instead of counts
        #[arg(long)]
        records: bool,
    },
}

/// Reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum UsageCommandError {
    /// The keys that open records cannot be found.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The object store cannot be opened.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// Records cannot be read, or the output cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The runtime for the object store cannot be started.
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
}

impl UsageCommand {
    /// Runs the command and writes its output to `out`. Gateways may run at the same time.
    ///
    /// # Errors
    /// [`UsageCommandError::Keys`], [`UsageCommandError::Objects`], [`UsageCommandError::Runtime`], and
    /// [`UsageCommandError::Export`] if records cannot be read or `out` fails.
    pub fn run(self, config: &Settings, out: &mut impl Write) -> Result<(), UsageCommandError> {
        let Self::Export { from, to, format, client, records } = self;
        let keys = Keys::find(config)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(UsageCommandError::Runtime)?;
        runtime.block_on(async {
            let objects = SealedObjects::new(object::open(&config.objects, &config.data_dir)?, keys.data);
            let selection = Selection { from, to, client, records };
            Ok(export::export(&objects, &selection, format, out).await?)
        })
    }
}
