//! Checks whether the files of a gateway can be used, without starting a gateway and without making a file.

use std::fmt::Display;
use std::path::PathBuf;

use faceline_shared::seal::KeyRing;
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;

use crate::accounts::Accounts;
use crate::replays::RecipientKeyFile;
use crate::signing::KeyFile;

/// The state of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileState {
    /// It can be used.
    Usable,
    /// It does not exist, or lacks a key; the gateway makes it at its start. Each gateway then has one of its own.
    MadeAtStart,
    /// The gateway does not start with it, for this reason.
    Unusable(String),
}

/// A file that was checked.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    /// The setting that names it.
    pub setting: &'static str,
    /// Its path; `None` for the demo account, which has no file.
    pub path: Option<PathBuf>,
    /// Its state.
    pub state: FileState,
}

/// Checks the files that a gateway reads at its start, with the code that reads them there. `data` opens the sealed
/// secrets of the accounts file.
#[must_use]
pub fn check_files(settings: &Settings, data: &KeyRing) -> Vec<CheckedFile> {
    let accounts = Accounts::load(settings, data, &Metrics::new()).map(|_| true);
    let signing = KeyFile::of(settings);
    let recipients = RecipientKeyFile::of(settings);
    vec![
        CheckedFile {
            setting: "accounts.file",
            path: settings.accounts.file.clone(),
            state: state(accounts),
        },
        CheckedFile {
            setting: "signing.file",
            path: Some(signing.path().to_owned()),
            state: state(signing.check()),
        },
        CheckedFile {
            setting: "replay.keys_file",
            path: Some(recipients.path().to_owned()),
            state: state(recipients.check()),
        },
    ]
}

fn state<E: Display>(checked: Result<bool, E>) -> FileState {
    match checked {
        Ok(true) => FileState::Usable,
        Ok(false) => FileState::MadeAtStart,
        Err(error) => FileState::Unusable(error.to_string()),
    }
}
