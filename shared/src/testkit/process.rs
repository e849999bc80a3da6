//! A server process under a guard process, which kills it when the test process ends.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

/// Timeout for the start of a server.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// Runs `$@` and sends the signals to the server whose names it reads from standard input. All but STOP and CONT end the
/// server and the guard. If standard input closes first (the test process has ended), it sends SIGKILL and removes the
/// folder.
const GUARD: &str = r#"
folder=$1; shift
"$@" </dev/null 2>&1 &
server=$!
exec >/dev/null 2>&1
while read -r signal; do
    kill -"$signal" "$server"
    case $signal in
    STOP | CONT) ;;
    *) wait "$server"; exit ;;
    esac
done
kill -KILL "$server"; wait "$server"; rm -rf "$folder"
"#;

/// This many of the last output lines are shown if a server does not start.
const MAX_SHOWN_LINES: usize = 40;

/// Progress of the server's start, according to its output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StartProgress {
    Starting,
    Ready,
    Ended,
}

/// A server process. Dropping it kills the server and removes its folder.
pub(super) struct Process {
    guard: Child,
    signals: Option<ChildStdin>,
}

impl Process {
    /// The process group of the server and its guard.
    pub(super) fn group(&self) -> u32 {
        self.guard.id()
    }

    /// Starts `program` and waits until it prints a line with `ready` in it. When this process ends, the server is
    /// killed and `folder` removed.
    ///
    /// # Panics
    /// The program does not start. The message contains its last output.
    pub(super) async fn start(program: &Command, folder: &Path, ready: &'static str) -> Self {
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "guard"]).arg(folder).arg(program.get_program()).args(program.get_args());
        guard.env_clear().envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
        // A process group of its own: an interrupt from the terminal must reach the tests but not the guard.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let name = program.get_program().to_string_lossy().into_owned();

        let mut guard = guard.spawn().expect("/bin/sh starts");
        let signals = guard.stdin.take();
        let output = guard.stdout.take().expect("the guard's output is piped");
        let (progress, mut changed) = watch::channel(StartProgress::Starting);
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let lines = Arc::clone(&last_lines);
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.contains(ready) {
                    progress.send_replace(StartProgress::Ready);
                }
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == MAX_SHOWN_LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
            progress.send_replace(StartProgress::Ended);
        });

        let process = Self { guard, signals };
        let started =
            tokio::time::timeout(START_TIMEOUT, changed.wait_for(|now| *now != StartProgress::Starting))
                .await;
        let is_ready = matches!(&started, Ok(Ok(now)) if **now == StartProgress::Ready);
        if !is_ready {
            let lines = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            let said = lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
            panic!("{name} did not start; its last words:\n{said}");
        }
        process
    }

    /// Suspends the server (`STOP`), or resumes it (`CONT`).
    pub(super) fn send(&mut self, signal: &'static str) {
        if let Some(signals) = &mut self.signals {
            writeln!(signals, "{signal}").expect("the guard reads signals");
        }
    }

    /// Sends a signal (`TERM`, `KILL`) and waits until the server has ended. Its folder stays.
    pub(super) async fn end(mut self, signal: &'static str) {
        self.send(signal);
        drop(self.signals.take());
        tokio::task::spawn_blocking(move || drop(self)).await.expect("waiting does not panic");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.signals.take());
        // The guard ends once the server has ended. An error has no consequence in a drop.
        let _ = self.guard.wait();
    }
}

/// The first of `paths` that exists.
///
/// # Panics
/// None exists. The message names the Debian package.
pub(super) fn find_program(paths: &[&'static str], package: &str) -> &'static Path {
    let found = paths.iter().map(|path| Path::new(*path)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{} is not here: apt-get install {package}", paths[0]))
}
