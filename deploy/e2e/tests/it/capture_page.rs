//! The capture page and the playground in a browser whose camera is a file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::browser::{clip, drive};
use crate::client::{picture, tool};
use crate::process::{ExclusiveRun, Process};

/// The scripts that drive the browser.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser");

/// Makes a file with ffmpeg.
async fn encode(file: PathBuf, input: &[&str], output: &[&str]) -> PathBuf {
    let output = Command::new("ffmpeg")
        .args(["-loglevel", "error"])
        .args(input)
        .args(output)
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("ffmpeg is installed by deploy/dev/packages.sh");
    assert!(output.status.success(), "{output:?}");
    file
}

/// The file for the browser's camera. Chromium plays its pictures in a loop.
async fn camera_file(folder: &Path, name: &str, input: &[&str]) -> PathBuf {
    let output = ["-an", "-r", "15", "-c:v", "mjpeg", "-q:v", "4"];
    encode(folder.join(name).with_extension("mjpeg"), input, &output).await
}

/// A camera file with four seconds of a photo that does not move.
async fn photo(folder: &Path) -> PathBuf {
    camera_file(folder, "photo", &still(&picture("obama.jpg"))).await
}

/// The same photo as a recorded video.
async fn recorded_photo(folder: &Path) -> PathBuf {
    let output = ["-an", "-c:v", "libvpx", "-b:v", "1M"];
    encode(folder.join("photo.webm"), &still(&picture("obama.jpg")), &output).await
}

fn still(portrait: &Path) -> [&str; 10] {
    ["-loop", "1", "-framerate", "15", "-t", "4", "-i", text(portrait), "-vf", "scale=640:-2"]
}

async fn camera_clip(folder: &Path, clip: &Path, seconds: &str) -> PathBuf {
    let name = clip.file_stem().unwrap().to_str().unwrap();
    camera_file(folder, name, &["-t", seconds, "-i", clip.to_str().unwrap(), "-vf", "scale=640:-2"]).await
}

/// The service's results for a clip that it does not accept.
const REJECTED: [&str; 2] = ["SPOOF", "FAILED"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a script, and parses its output.
async fn run(script: &str, arguments: &[&str]) -> Value {
    let os_arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
    let seen = drive(&Path::new(SCRIPTS).join(script), &os_arguments).await;
    assert_eq!(seen["browserErrors"], Value::Array(Vec::new()), "{script} {arguments:?}: {seen}");
    seen
}

async fn faceline(folder: &TempDir) -> Process {
    let settings = [("data_dir", text(folder.path())), ("inference.sessions", "1")];
    Process::start("faceline", &settings).await
}

#[tokio::test]
async fn both_pages_are_accessible() {
    let _exclusive = ExclusiveRun::begin().await;
    let folder = TempDir::new().unwrap();
    let mut faceline = faceline(&folder).await;
    let page = faceline.printed("A page to try it with a camera: ", 1).await;
    let url = faceline.url().await;
    assert!(page[0].ends_with(&format!("{url}/web/capture/")), "{page:?}");
    let camera = photo(folder.path()).await;

    let axe = tool("axe-core").join("node_modules/axe-core/axe.min.js");
    let portrait = picture("obama.jpg");
    let seen = run("accessibility.mjs", &[text(&axe), &url, text(&camera), text(&portrait)]).await;
    for nothing in ["violations", "overflow", "motion"] {
        assert_eq!(seen[nothing], Value::Array(Vec::new()), "{nothing}: {seen}");
    }
    assert!(seen["planted"].as_array().unwrap().contains(&"image-alt".into()), "it finds faults: {seen}");
    assert!(seen["checked"].as_array().unwrap().len() > 20, "{seen}");
}

#[tokio::test]
async fn a_living_person_passes_the_page_a_photo_and_a_replay_do_not_and_problems_say_what_to_do() {
    let _exclusive = ExclusiveRun::begin().await;
    let folder = TempDir::new().unwrap();
    let mut faceline = faceline(&folder).await;
    let url = faceline.url().await;
    let capture = async |camera: &Path, mode: &str, turns: &str| {
        run("capture.mjs", &[&url, text(camera), mode, text(folder.path()), turns]).await
    };
    let shown = capture(&photo(folder.path()).await, "video", "").await;
    for shown in [&shown, &shown["desktop"]] {
        assert_eq!(shown["state"], "result", "{shown}");
        assert!(REJECTED.contains(&shown["status"].as_str().unwrap()), "{shown}");
        assert_eq!(shown["hasPicture"], false, "{shown}");
        assert!(shown["firstHint"].as_f64().unwrap() < 3000.0, "{shown}");
    }
    let clips = ["lp_d10.mp4", "tran_replay.mp4", "tran_live.mp4"].map(clip);
    let [Some(live), Some(replay), Some(turning)] = clips else { return };
    let shown = capture(&camera_clip(folder.path(), &replay, "20").await, "video", "").await;
    assert!(REJECTED.contains(&shown["status"].as_str().unwrap()), "{shown}");
    // The clip is longer than a capture. Otherwise it would start again, which would be a cut.
    let camera = camera_clip(folder.path(), &live, "15").await;
    let shown = capture(&camera, "video", "").await;
    for shown in [&shown, &shown["desktop"]] {
        assert_eq!((&shown["status"], &shown["hasPicture"]), (&"SUCCESS".into(), &true.into()), "{shown}");
    }
    // The person's own left is the picture's right.
    let turns = r#"{"left":[0.6,1.9,7],"right":[6.2,7.8,12]}"#;
    let shown = capture(&turning, "active", turns).await;
    assert_eq!(shown["seen"]["turn"], shown["challenge"], "{shown}");
    assert_eq!((&shown["status"], &shown["hasPicture"]), (&"SUCCESS".into(), &true.into()), "{shown}");
    let opposite = r#"{"right":[0.6,1.9,7],"left":[6.2,7.8,12]}"#;
    let shown = capture(&turning, "active", opposite).await;
    assert!(REJECTED.contains(&shown["status"].as_str().unwrap()), "{shown}");

    let seen = capture(&camera, "embedded", "").await;
    assert_eq!((&seen["status"], &seen["leaks"]), (&"SUCCESS".into(), &Value::Array(Vec::new())), "{seen}");
    assert!(seen["end"].as_str().unwrap().starts_with(&url), "it returns to its own origin: {seen}");

    let seen = capture(&camera, "problems", "").await;
    for name in ["denied", "missing", "busy", "insecure", "overloaded", "expired", "wrongToken"] {
        let shown = &seen[name];
        assert_eq!(shown["state"], "problem", "{name}: {seen}");
        let says = [&shown["title"], &shown["text"]].map(|text| text.as_str().unwrap().len());
        assert!(says.iter().all(|length| *length > 0), "{name}: {seen}");
    }
    assert_eq!(seen["lostNetwork"]["state"], "result", "it is sent when the network is back: {seen}");
}

#[tokio::test]
async fn the_playground_makes_all_calls_and_shows_no_credential() {
    let _exclusive = ExclusiveRun::begin().await;
    let folder = TempDir::new().unwrap();
    let mut faceline = faceline(&folder).await;
    let url = faceline.url().await;
    let camera = photo(folder.path()).await;
    let video = recorded_photo(folder.path()).await;
    let portraits = ["obama.jpg", "obama2.jpg"].map(picture);
    let arguments =
        [&url, text(&portraits[0]), text(&portraits[1]), text(&video), text(&camera), text(folder.path())];
    let seen = run("playground.mjs", &arguments).await;
    assert_eq!(seen["leaks"], Value::Array(Vec::new()), "{seen}");
    for call in ["match", "verify", "age", "replay"] {
        let exchanges = seen[call]["exchanges"].as_array().unwrap();
        for exchange in exchanges {
            assert!(exchange["status"].as_str().unwrap().starts_with('2'), "{call}: {exchange}");
        }
        // Requests that only the SDK needs have no command to copy.
        let has_curl = |exchange: &Value| exchange["curl"].as_str().unwrap().contains("curl -s");
        assert!(exchanges.iter().any(has_curl), "{call}: {seen}");
    }
    assert!(seen["wrongKey"]["exchanges"][0]["status"].as_str().unwrap().contains("401"), "{seen}");
    assert!(seen["copied"].as_str().unwrap().contains("curl -s"), "{seen}");
}
