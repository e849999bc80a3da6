//! The program `faceline`.

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::client::{Caller, bytes};
use crate::process::Process;

async fn started(folder: &TempDir) -> Process {
    Process::start("faceline", &[("data_dir", folder.path().to_str().unwrap())]).await
}

#[tokio::test]
async fn the_printed_lines_work_as_pasted() {
    let folder = TempDir::new().unwrap();
    let mut faceline = started(&folder).await;
    let calls = faceline.printed("curl ", 3).await;

    let mut answers = Vec::new();
    for call in &calls {
        let output = Command::new("sh").args(["-c", call]).output().await.unwrap();
        assert!(output.status.success(), "{call}: {output:?}");
        answers.push(serde_json::from_slice::<Value>(&output.stdout).unwrap());
    }
    assert!(answers[0]["template"].is_string(), "{}", answers[0]);
    assert!(answers[1]["score"].as_f64().unwrap() > 3500.0, "{}", answers[1]);
    assert!(answers[2]["score"].as_f64().unwrap() < 2500.0, "{}", answers[2]);
}

#[tokio::test]
async fn a_template_still_matches_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut faceline = started(&folder).await;
    let (status, face) = Caller::new(&faceline.url().await).face(bytes("obama.jpg")).await;
    assert_eq!(status, StatusCode::OK);
    let (code, log) = faceline.terminate().await;
    assert_eq!(code, Some(0), "{log}");

    let mut faceline = started(&folder).await;
    let caller = Caller::new(&faceline.url().await);
    assert!(caller.score_of_face(&face, "obama2.jpg").await > 3500.0);
    assert!(caller.score_of_face(&face, "biden.jpg").await < 2500.0);
    assert!(caller.score_of_face(&face, "obama.jpg").await > 10_000.0);
}

#[tokio::test]
async fn nobody_there_is_described_and_a_cat_is_nobody() {
    let folder = TempDir::new().unwrap();
    let mut faceline = started(&folder).await;
    let caller = Caller::new(&faceline.url().await);
    for name in ["coffee.png", "chelsea.png"] {
        let (status, face) = caller.face(bytes(name)).await;
        assert_eq!(status, StatusCode::OK, "{name}: {face}");
        assert_eq!(face["quality"], -10_000, "{name}: {face}");
        assert!(face.get("template").is_none() && face.get("landmarks").is_none(), "{name}: {face}");
    }
}

#[tokio::test]
async fn wrong_settings_end_the_program_before_it_starts() {
    let cases = [
        (("http.listen", "0.0.0.0:0"), 64, "demo account"),
        (("http.port", "8080"), 64, "port"),
        (("broker.url", "amqp://localhost"), 64, "store.url"),
        (("inference.device", "cuda:0"), 1, "cuda"),
        (("inference.device", "abacus"), 1, "abacus"),
    ];
    for (setting, code, word) in cases {
        let folder = TempDir::new().unwrap();
        let data_dir = ("data_dir", folder.path().to_str().unwrap());
        let mut faceline = Process::spawn("faceline", &[data_dir, setting]);
        let (ended, log) = faceline.ended().await;
        assert_eq!(ended, Some(code), "{setting:?}: {log}");
        assert!(log.to_lowercase().contains(word), "{setting:?}: {log}");
    }
}

#[tokio::test]
async fn without_models_it_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut faceline = Process::spawn("faceline", &[("data_dir", path), ("models.dir", path)]);
    let (ended, log) = faceline.ended().await;
    assert_eq!(ended, Some(1), "{log}");
    assert!(log.contains("faceline-models fetch"), "{log}");
}

#[tokio::test]
async fn operators_see_readiness_and_where_the_time_goes() {
    let folder = TempDir::new().unwrap();
    let mut faceline = started(&folder).await;
    let caller = Caller::new(&faceline.url().await);
    caller.face(bytes("obama.jpg")).await;

    let admin = faceline.admin().await;
    let get = async |path: &str| reqwest::get(format!("http://{admin}{path}")).await.unwrap();
    assert_eq!(get("/livez").await.status(), StatusCode::OK);
    assert_eq!(get("/readyz").await.status(), StatusCode::OK);
    let metrics = get("/metrics").await.text().await.unwrap();
    for stage in ["queue", "fetch", "decode", "infer", "encode"] {
        let line = format!("faceline_worker_stage_seconds_count{{stage=\"{stage}\"}} 1");
        assert!(metrics.contains(&line), "{line} is not in:\n{metrics}");
    }
    assert!(metrics.contains("faceline_gateway_published_total{outcome=\"accepted\"} 1"), "{metrics}");
}
