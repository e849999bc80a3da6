//! `faceline keys …`, beside a running `faceline`.

use std::process::Output;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;
use crate::programs::program;

const TIMEOUT: Duration = Duration::from_secs(60);

async fn keys(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(program("faceline"))
        .arg("keys")
        .args(arguments)
        .args(["--set", &format!("accounts.file={}", folder.path().join("accounts.toml").display())])
        .output()
        .await
        .unwrap()
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_running_gateway_takes_a_key_until_it_is_revoked() {
    let folder = TempDir::new().unwrap();
    let add = ["add", "--client", "bank", "--id", "one", "--permissions", "sessions:read"];
    let added = text(keys(&folder, &add).await);
    let secret = added.lines().find_map(|line| line.strip_prefix("apikey")).unwrap().trim().to_owned();
    let (data, accounts) = (folder.path().join("data"), folder.path().join("accounts.toml"));
    let settings = [("data_dir", data.to_str().unwrap()), ("accounts.file", accounts.to_str().unwrap())];
    let mut faceline = Process::spawn("faceline", &settings);
    let session = "/bioserver-app/v2/bio-sessions/00000000-0000-4000-8000-000000000000";
    let url = format!("{}{session}", faceline.url().await);
    let client = reqwest::Client::new();
    let status = async || client.get(&url).header("apikey", &secret).send().await.unwrap().status().as_u16();
    assert_eq!(status().await, 404, "the key is taken, and there is no such session");

    let listed = text(keys(&folder, &["list"]).await);
    assert!(listed.contains("sessions:read") && !listed.contains(&secret), "{listed}");
    text(keys(&folder, &["revoke", "one"]).await);
    // There is no event to wait for, so the request is sent again.
    let mut poll = tokio::time::interval(Duration::from_millis(50));
    let refused = async {
        while status().await != 401 {
            poll.tick().await;
        }
    };
    tokio::time::timeout(TIMEOUT, refused).await.expect("the key is taken still");
}

#[tokio::test]
async fn a_command_that_fails_says_why() {
    let folder = TempDir::new().unwrap();
    let nothing_there = keys(&folder, &["list"]).await;
    let unknown = keys(&folder, &["revoke", "one"]).await;
    let wrong = keys(&folder, &["list", "--set", "signing.algorithm=none"]).await;
    for (output, code, word) in
        [(nothing_there, 1, "accounts.toml"), (unknown, 1, "`one`"), (wrong, 64, "ES256")]
    {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("faceline: ") && text.contains(word), "{text}");
    }
}
