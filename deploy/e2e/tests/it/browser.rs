//! Scripts that drive a browser, and the clips of people that they show to its camera.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::client::tool;

/// Runs a script with the path of playwright as its first argument, and parses the JSON that it prints.
pub(crate) async fn drive(script: &Path, arguments: &[&OsStr]) -> Value {
    let playwright = tool("playwright-core").join("node_modules/playwright-core/index.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(playwright)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{script:?} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A clip of a person. `None` on machines without the research data.
pub(crate) fn clip(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/video").join(name);
    if !path.exists() {
        // Written to standard error directly, because the test harness captures the output of macros.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}
