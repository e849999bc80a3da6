//! Reads the log of the test process.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;

/// The log lines since the start of the capture.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The first line for which `is` holds.
    pub(crate) fn find(&self, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).find(is)
    }
}

/// Captures the log lines of the whole process, other tests included.
///
/// All threads share one subscriber, because `tracing` permanently disables a call site if the first thread that
/// reaches it has no subscriber.
pub(crate) fn lines() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES
        .get_or_init(|| {
            let lines = Lines::default();
            let writer = lines.clone();
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(move || writer.clone());
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
            lines
        })
        .clone()
}
