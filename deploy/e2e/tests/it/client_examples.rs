//! The client examples of `docs/clients/`, run against one service.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::client::{picture, tool};
use crate::process::{Process, ServerRun};
use crate::programs::program;
use crate::replay::photo_video;

/// Time limit. These tests run slow builds of the workers.
const TIMEOUT: Duration = Duration::from_mins(4);

/// The commands that start the examples of one language.
struct Language {
    name: &'static str,
    /// The command and its first arguments for *one to one*, *one to few* and *replay*.
    commands: [Vec<String>; 3],
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/clients").canonicalize().unwrap()
}

/// Whether a program is installed. Prints a message if not.
fn is_installed(name: &str, argument: &str) -> bool {
    let output = std::process::Command::new(name).arg(argument).output();
    let is_installed = output.is_ok_and(|output| output.status.success());
    if !is_installed {
        println!("skipped: {name} is not installed, so the examples for it are not run");
    }
    is_installed
}

fn commands(program: &str, files: [&str; 3]) -> [Vec<String>; 3] {
    files.map(|file| program.split(' ').chain([file]).map(str::to_owned).collect())
}

/// The languages that are installed on this machine. Compilers write to `scratch`.
async fn languages(scratch: &Path) -> Vec<Language> {
    let mut languages = vec![
        Language {
            name: "python",
            commands: commands("python3", ["one_to_one.py", "one_to_few.py", "replay.py"]),
            folder: examples().join("python"),
            environment: vec![
                ("PYTHONPATH", tool("httpx").to_str().unwrap().to_owned()),
                ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ],
        },
        Language {
            name: "node",
            commands: commands("node", ["one-to-one.mjs", "one-to-few.mjs", "replay.mjs"]),
            folder: examples().join("node"),
            environment: Vec::new(),
        },
    ];
    if is_installed("javac", "-version") {
        let folder = examples().join("java");
        let sources = ["Faceline", "OneToOne", "OneToFew", "Replay"].map(|name| format!("{name}.java"));
        let compiled = Command::new("javac")
            .arg("-d")
            .arg(scratch)
            .args(sources)
            .current_dir(&folder)
            .output()
            .await
            .unwrap();
        assert!(compiled.status.success(), "{compiled:?}");
        let java = format!("java -cp {}", scratch.to_str().unwrap());
        languages.push(Language {
            name: "java",
            commands: commands(&java, ["OneToOne", "OneToFew", "Replay"]),
            folder,
            environment: Vec::new(),
        });
    }
    if is_installed("go", "version") {
        languages.push(Language {
            name: "go",
            commands: commands("go run", ["./one_to_one", "./one_to_few", "./replay"]),
            folder: examples().join("go"),
            environment: vec![
                ("GOFLAGS", "-mod=mod".into()),
                ("GOCACHE", scratch.join("go").to_str().unwrap().to_owned()),
            ],
        });
    }
    languages
}

impl Language {
    fn command(&self, example: usize, url: &str) -> Command {
        let [program, arguments @ ..] = &self.commands[example][..] else { panic!("no command") };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).env("FACELINE_URL", url).kill_on_drop(true);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The lines that an example prints for these pictures.
    async fn printed(&self, example: usize, url: &str, pictures: &[&str]) -> Vec<String> {
        let mut command = self.command(example, url);
        let output = command.args(pictures.iter().map(|name| picture(name))).output().await.unwrap();
        assert!(output.status.success(), "{}: {output:?}", self.name);
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    async fn assert_compares(&self, url: &str) {
        for (candidate, is_same) in [("obama2.jpg", true), ("biden.jpg", false)] {
            let lines = self.printed(0, url, &["obama.jpg", candidate]).await;
            let numbers: Vec<f64> = lines[0].split(' ').map(|number| number.parse().unwrap()).collect();
            assert_eq!(numbers[0] > 3500.0, is_same, "{}: {candidate}: {lines:?}", self.name);
            assert_eq!(numbers[1] < 1e-3, is_same, "{}: {candidate}: {lines:?}", self.name);
        }
        let lines = self.printed(1, url, &["obama.jpg", "biden.jpg", "obama2.jpg"]).await;
        let place = |name: &str| lines.iter().position(|line| line.contains(name));
        assert!(place("obama2.jpg").unwrap() < place("biden.jpg").unwrap(), "{}: {lines:?}", self.name);
    }

    /// Runs the example as the back end, with the capture client as the device.
    async fn assert_judges(&self, url: &str, video: &Path) {
        let mut back_end = self.command(2, url).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(back_end.stdout.take().unwrap()).lines();
        let handed_over = timeout(TIMEOUT, lines.next_line()).await.unwrap().unwrap().unwrap();
        let (session, token) = handed_over.split_once(' ').unwrap();
        let device = Command::new(program("faceline-loadtest"))
            .args(["capture", "--session", session, "--capture-token", token, "--url", url, "--video"])
            .arg(video)
            .output()
            .await
            .unwrap();
        assert!(device.status.success(), "{}: {device:?}", self.name);
        let status = timeout(TIMEOUT, lines.next_line()).await.expect("a result in time").unwrap();
        assert_eq!(status.as_deref(), Some("SPOOF"), "{}", self.name);
        assert!(back_end.wait().await.unwrap().success(), "{}", self.name);
    }
}

#[tokio::test]
async fn the_client_examples_of_each_language_work() {
    let _run = ServerRun::begin().await;
    let folder = TempDir::new().unwrap();
    let settings =
        [("data_dir", folder.path().to_str().unwrap()), ("callbacks.allowed_networks", r#"["127.0.0.0/8"]"#)];
    let mut faceline = Process::start("faceline", &settings).await;
    let url = faceline.url().await;
    let video = folder.path().join("video.webm");
    std::fs::write(&video, photo_video().await.file).unwrap();
    let scratch = TempDir::new().unwrap();
    for language in languages(scratch.path()).await {
        language.assert_compares(&url).await;
        language.assert_judges(&url, &video).await;
    }
}
