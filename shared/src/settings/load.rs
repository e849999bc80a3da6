//! Reads settings from their sources.

use std::path::PathBuf;

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format as _, Toml};

use super::all::Settings;
use super::environment::{self, NamedValue};
use super::error::SettingsError;
use crate::redact::SecretUrl;

/// Where settings come from besides the defaults.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Sources {
    /// Settings file (TOML)
    #[arg(long = "config", value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// A single setting, such as http.listen=127.0.0.1:8080; overrides file and environment. Repeatable
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", global = true)]
    pub flags: Vec<String>,
}

impl Sources {
    /// The first setting in the file whose value is a secret or holds one, as a URL with a password; `None` also without a file, and
    /// where the file cannot be read.
    #[must_use]
    pub fn secret_in_file(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.file.as_ref()?).ok()?;
        let table: toml::Table = text.parse().ok()?;
        secret_in("", &toml::Value::Table(table))
    }
}

fn secret_in(key: &str, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Table(table) => table.iter().find_map(|(name, value)| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            secret_in(&key, value)
        }),
        toml::Value::Array(values) => values.iter().find_map(|value| secret_in(key, value)),
        toml::Value::String(text) => {
            let has_password = text.contains("://") && *SecretUrl::from(text.as_str()).to_string() != **text;
            (has_password || key.ends_with("secret_access_key")).then(|| key.to_owned())
        }
        _ => None,
    }
}

impl Settings {
    /// Reads and validates the settings of this process.
    ///
    /// # Errors
    /// [`SettingsError`] about the first setting that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let environment = environment::settings().fold(Figment::new(), |all, one| all.merge(one));
        Self::from_figment(sources, environment)
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
            figment = figment.merge(NamedValue::new(key.to_owned(), format!("`--set {key}`"), value));
        }
        // Texts become numbers and booleans where settings are such.
        let settings = figment.extract_lossy().map(Self::complete).map_err(error_of)?;
        settings.validate()?;
        Ok(settings)
    }
}

/// Converts an error of figment. If a text is no valid address, figment's message (`must be …`) is appended to the setting's key, so
/// it reads like the errors of `validate`. No message repeats the value of a setting that may be a secret, nor a line of the file,
/// which may hold one.
fn error_of(error: figment::Error) -> SettingsError {
    let key = error.path.join(".");
    match &error.kind {
        Kind::Message(text) if text.starts_with("must be ") => {
            SettingsError::Invalid(format!("{key} {text}"))
        }
        Kind::Message(text) if text.contains(SNIPPET) => {
            let lines: Vec<&str> = text.lines().filter(|line| !line.contains(SNIPPET)).collect();
            let file = error.metadata.as_ref().and_then(|metadata| metadata.source.as_ref());
            let file = file.map(|file| format!("{file}: ")).unwrap_or_default();
            SettingsError::Invalid(format!("{file}{}", lines.join(": ")))
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if may_be_secret(&key) => {
            SettingsError::Invalid(format!("{key} must be {expected}; in a file, texts are in quotes"))
        }
        _ => SettingsError::Form(Box::new(error)),
    }
}

/// Part of each line of a TOML parser message that quotes the file, and of the line below it, which marks the error.
const SNIPPET: &str = " |";

/// Whether the value of this setting may be a secret, or a URL with one.
fn may_be_secret(key: &str) -> bool {
    // Elements of lists are numbered.
    let name = key.rsplit('.').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
    ["url", "endpoint", "key", "secret", "password", "token"].iter().any(|word| name.contains(word))
}
