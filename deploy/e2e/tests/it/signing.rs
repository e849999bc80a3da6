//! `faceline signing …`, beside a running `faceline`.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;
use crate::programs::program;

const TIMEOUT: Duration = Duration::from_secs(60);

async fn signing(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(program("faceline"))
        .arg("signing")
        .args(arguments)
        .args(["--set", &format!("data_dir={}", folder.path().display())])
        .output()
        .await
        .unwrap()
}

/// The state and the name of each key.
fn key_states(output: &Output) -> Vec<(String, String)> {
    assert!(output.status.success(), "{output:?}");
    let text = str::from_utf8(&output.stdout).unwrap();
    let words = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.map(|words| (words[0].clone(), words[2].clone())).collect()
}

#[tokio::test]
async fn a_running_gateway_publishes_the_key_that_a_command_has_added() {
    let folder = TempDir::new().unwrap();
    let mut faceline = Process::spawn("faceline", &[("data_dir", folder.path().to_str().unwrap())]);
    let url = format!("{}/.well-known/jwks.json", faceline.url().await);
    let published = async || -> Vec<String> {
        let set: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        let keys = set["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let first = key_states(&signing(&folder, &["list"]).await);
    assert_eq!(published().await, [first[0].1.as_str()]);

    let both = key_states(&signing(&folder, &["rotate"]).await);
    assert_eq!([both[0].0.as_str(), &both[1].0], ["active", "next"]);
    assert_eq!(both[0].1, first[0].1);
    // There is no event to wait for, so the set is read again.
    let mut poll = tokio::time::interval(Duration::from_millis(50));
    let seen = async {
        while published().await.len() < 2 {
            poll.tick().await;
        }
    };
    tokio::time::timeout(TIMEOUT, seen).await.expect("the new key is not published");
    assert_eq!(published().await, [both[0].1.as_str(), &both[1].1]);

    let at_once = key_states(&signing(&folder, &["rotate", "--now"]).await);
    assert!(both.iter().all(|(_, kid)| *kid != at_once[0].1), "{at_once:?}");
    let shown: Vec<_> = at_once.iter().map(|(standing, _)| standing.as_str()).collect();
    assert_eq!(shown, ["active", "next", "retired"]);
}

#[tokio::test]
async fn a_command_that_fails_says_why() {
    let folder = TempDir::new().unwrap();
    let nothing_there = signing(&folder, &["list"]).await;
    let wrong = signing(&folder, &["list", "--set", "signing.algorithm=none"]).await;
    for (output, code, word) in [(nothing_there, 1, "signing.toml"), (wrong, 64, "ES256")] {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("faceline: ") && text.contains(word), "{text}");
    }
}
