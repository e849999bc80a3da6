//! Log lines: readable ones on a terminal, JSON elsewhere.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{LogFormat, LogSettings};

/// Installs the subscriber of the process, which writes log lines to standard error. A second call has no effect.
///
/// # Errors
/// `log.filter` is malformed. The text names the setting.
pub fn init_logging(log: &LogSettings) -> Result<(), String> {
    // A later directive for the same target wins. lapin returns each of its errors to the broker's adapter as well,
    // which logs it once, with the remedy.
    let filter = EnvFilter::try_new(format!("lapin=off,{}", log.filter))
        .map_err(|error| format!("log.filter: {error}"))?;
    let human = match log.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    // An error means that there is a subscriber already: tests start several roles in one process.
    let _ = if human {
        registry.with(lines.with_ansi(stderr().is_terminal()).compact()).try_init()
    } else {
        registry
            .with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false))
            .try_init()
    };
    Ok(())
}
