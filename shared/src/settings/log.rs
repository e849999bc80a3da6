//! The section `log`.

use serde::Deserialize;

/// Log lines, which go to standard error.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `human` for people, `json` for one JSON object a line, `auto` for `human` on a terminal and `json` elsewhere.
    pub format: LogFormat,
    /// Selection of log lines, as directives of tracing-subscriber's `EnvFilter`. Lines of the AMQP library (`lapin`)
    /// are left out unless a directive names it, because Faceline logs the events of its connections itself.
    pub filter: String,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info".into() }
    }
}
