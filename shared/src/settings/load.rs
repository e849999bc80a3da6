//! Reads settings from their sources.

use std::path::PathBuf;

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Toml};

use super::all::Settings;
use super::error::SettingsError;

/// Where settings come from besides the defaults.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Sources {
    /// Settings file (TOML)
    #[arg(long = "config", value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// A single setting, such as http.listen=127.0.0.1:8080; wins over file and environment
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", global = true)]
    pub flags: Vec<String>,
}

impl Settings {
    /// Reads and validates the settings of this process.
    ///
    /// # Errors
    /// [`SettingsError`] about the first setting that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        Self::from_figment(sources, Env::prefixed("FACELINE_").split("__"))
    }

    pub(super) fn from_figment(
        sources: &Sources,
        environment: impl figment::Provider,
    ) -> Result<Self, SettingsError> {
        let mut figment = Figment::new();
        if let Some(file) = &sources.file {
            if !file.is_file() {
                return Err(SettingsError::NoFile(file.clone()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment.merge(environment);
        for flag in &sources.flags {
            let (key, value) = flag.split_once('=').ok_or_else(|| SettingsError::Flag(flag.clone()))?;
            // Values are read as those of the environment are: as a number, a boolean, or else a text.
            let value: figment::value::Value = value.parse().unwrap_or_else(|_| value.into());
            figment = figment.merge((key, value));
        }
        let settings: Self = figment.extract().map_err(error_of)?;
        settings.validate()?;
        Ok(settings)
    }
}

/// A text that is no address is reported in the words of a check, so figment's message becomes the end of its sentence.
fn error_of(error: figment::Error) -> SettingsError {
    match &error.kind {
        Kind::Message(text) if text.starts_with("must be ") => {
            SettingsError::Invalid(format!("{} {text}", error.path.join(".")))
        }
        _ => SettingsError::Form(Box::new(error)),
    }
}
