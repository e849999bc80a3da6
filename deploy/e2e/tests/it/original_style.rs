//! A page in the style of the original service, which knows only the original's four scripts and its own back end, goes
//! through all modes in a browser.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{clip, drive};
use crate::process::{ExclusiveRun, Process};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/original-style.mjs");

/// Goes through the page once, and returns its records.
async fn capture(url: &str, mode: &str, clip: &Path, folder: &Path) -> Value {
    // The person's own left is at the right of the clip.
    let turns = json!({ "left": [0, 1.8, 7.6], "right": [5.9, 7.7, 12.2] }).to_string();
    let screenshot = folder.join(format!("{mode}.png"));
    let arguments = [url.as_ref(), mode.as_ref(), clip.as_os_str(), screenshot.as_os_str(), turns.as_ref()];
    drive(Path::new(SCRIPT), &arguments).await
}

#[tokio::test]
async fn a_page_of_the_original_service_runs_in_all_modes_to_its_match() {
    // A living person who turns the head.
    let Some(clip) = clip("tran_live.mp4") else { return };
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
        let mut noted = capture(&url, mode, &clip, folder.path()).await;
        // The page takes its picture at an arbitrary moment of the clip. During a head turn it is blurred, and a user
        // would try again.
        if mode == "LIVENESS_PASSIVE" && noted["result"]["livenessStatus"] == "SPOOF" {
            noted = capture(&url, mode, &clip, folder.path()).await;
        }
        assert_eq!(noted["errors"], json!([]), "{mode}: {noted}");
        assert_eq!(noted["browserErrors"], json!([]), "{mode}: {noted}");
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
