//! Research data beside the checkout, on the machines that have it.

use std::io::Write as _;
use std::path::PathBuf;

/// A folder or file of the data. If it is missing, the caller's test is skipped, and the terminal shows that.
pub(crate) fn folder(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(path);
    if !path.exists() {
        // The line bypasses the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}
