//! A page in the manner of one of the original service, which knows its four scripts and its own back end only, goes through all modes in
//! a browser.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::client::tool;
use crate::process::{ExclusiveRun, Process};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/original-style.mjs");
/// A living person who turns the head.
const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/video/tran_live.mp4");

/// Goes through the page once, and gives what it noted.
async fn capture(url: &str, mode: &str, folder: &Path) -> Value {
    let playwright = tool("playwright-core").join("node_modules/playwright-core/index.mjs");
    // The person's own left is at the right of the clip.
    let turns = json!({ "left": [0, 1.8, 7.6], "right": [5.9, 7.7, 12.2] });
    let output = Command::new("node")
        .arg(SCRIPT)
        .args([playwright.to_str().unwrap(), url, mode, CLIP])
        .arg(folder.join(format!("{mode}.png")))
        .arg(turns.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_page_of_the_original_service_runs_in_all_modes_to_its_match() {
    if !Path::new(CLIP).is_file() {
        // Written to standard error directly, because the test harness captures the output of macros.
        let _ = writeln!(std::io::stderr(), "skipped: {CLIP} is not there");
        return;
    }
    // Frames of the browser's camera come in real time.
    let _exclusive = ExclusiveRun::begin().await;
    let folder = TempDir::new().unwrap();
    let mut faceline = Process::start("faceline", &[("data_dir", folder.path().to_str().unwrap())]).await;
    let url = faceline.url().await;
    for (mode, instruction) in [
        ("LIVENESS_PASSIVE", "TRACKER_CHALLENGE_DONT_MOVE"),
        ("LIVENESS_PASSIVE_VIDEO", "TRACKER_CHALLENGE_DONT_MOVE"),
        ("LIVENESS_ACTIVE", "FACEFLOW_CHALLENGE_2D"),
    ] {
        let noted = capture(&url, mode, folder.path()).await;
        assert_eq!(noted["errors"], json!([]), "{mode}: {noted}");
        assert_eq!(noted["complaints"], json!([]), "{mode}: {noted}");
        assert_eq!(noted["result"]["livenessStatus"], "SUCCESS", "{mode}: {noted}");
        assert_eq!(noted["pictureShown"], true, "{mode}: {noted}");
        assert!(noted["matches"][0]["score"].as_f64().unwrap() > 3500.0, "{mode}: {noted}");
        assert_eq!(noted["connectivity"]["goodConnectivity"], true, "{mode}: {noted}");
        let callbacks: Vec<_> =
            noted["callbacks"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let first = |wanted: &str| callbacks.iter().position(|name| *name == wanted);
        let order = [instruction, "TRACKER_CHALLENGE_PENDING", "showChallengeResult"].map(first);
        assert!(order.is_sorted() && order[0].is_some(), "{mode}: {callbacks:?}");
        assert_eq!(first("onClientInitEnd").is_some(), mode != "LIVENESS_ACTIVE", "{mode}: {callbacks:?}");
    }
}
