//! What is written to the log.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;

/// Log lines, as they are written.
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
    /// The first line that `is` the one.
    pub(crate) fn find(&self, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).find(is)
    }
}

/// The lines of this process from now on, those of other tests too.
///
/// One subscriber for all threads: a line's place in the program is switched off for good by the first thread that comes
/// to it without one.
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
