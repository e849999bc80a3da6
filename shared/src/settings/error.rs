//! Errors of settings.

use std::path::PathBuf;

/// Exit code of a program whose settings are wrong (`EX_USAGE` of sysexits.h).
pub const EXIT_BAD_SETTINGS: u8 = 64;

/// Reason why a program does not start with its settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value has the wrong form, or a key is not known.
    #[error("{0}")]
    Form(Box<figment::Error>),
    /// The file that `--config` names does not exist.
    #[error("there is no settings file {0}")]
    NoFile(PathBuf),
    /// A flag is not `section.key=value`.
    #[error("`--set {0}`: expected section.key=value")]
    Flag(String),
    /// A value is out of its range, or contradicts another one.
    #[error("{0}")]
    Invalid(String),
}

/// The address of a broker or a store is of no kind that its setting takes. The message completes a sentence that begins with
/// the setting's name. It does not repeat the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("must be {0}")]
pub struct InvalidUrl(pub(super) &'static str);

pub(super) fn invalid<T>(text: impl Into<String>) -> Result<T, SettingsError> {
    Err(SettingsError::Invalid(text.into()))
}

/// Refuses the first of these settings whose value is 0.
pub(super) fn all_above_zero<const N: usize>(values: [(&str, u128); N]) -> Result<(), SettingsError> {
    match values.into_iter().find(|(_, value)| *value == 0) {
        Some((key, _)) => invalid(format!("{key} must be above 0")),
        None => Ok(()),
    }
}
