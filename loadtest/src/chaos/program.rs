//! A gateway or a worker as a process, which keeps its ports and its log file when it is started again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use faceline_shared::testkit::free_port;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// A program loads models when it starts, and it may wait for a service that is away.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
/// A program that was terminated finishes what it has begun. Then it is killed.
const END_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A gateway or a worker.
pub(super) struct Program {
    name: &'static str,
    /// `name` with its number.
    label: String,
    /// The folder with the executable file.
    folder: PathBuf,
    settings: Vec<(String, String)>,
    /// Variables of the environment that are no settings.
    environment: Vec<(&'static str, String)>,
    port: u16,
    admin_port: u16,
    log: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// A program that is not started yet. Its log goes to a file in `logs`.
    pub(super) fn new(
        name: &'static str,
        number: usize,
        folder: &Path,
        settings: Vec<(String, String)>,
        logs: &Path,
    ) -> Self {
        let label = format!("{name}-{number}");
        let log = logs.join(format!("{label}.log"));
        let (port, admin_port) = (free_port(), free_port());
        Self {
            name,
            label,
            folder: folder.to_owned(),
            settings,
            environment: Vec::new(),
            port,
            admin_port,
            log,
            child: None,
        }
    }

    /// Its name with its number.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// The URL of the public listener of a gateway.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file of its log.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Executes the program of another build from its next start on.
    pub(super) fn set_folder(&mut self, folder: &Path) {
        folder.clone_into(&mut self.folder);
    }

    /// Sets a variable of its environment from its next start on.
    pub(super) fn set_environment(&mut self, name: &'static str, value: String) {
        self.environment.push((name, value));
    }

    /// The program with its settings, for a command of its own.
    pub(super) fn command(&self) -> anyhow::Result<Command> {
        let executable = self.folder.join(self.name);
        anyhow::ensure!(executable.is_file(), "{} is not built", executable.display());
        let mut command = Command::new(executable);
        command
            .env("FACELINE_HTTP__LISTEN", format!("127.0.0.1:{}", self.port))
            .env("FACELINE_ADMIN__LISTEN", format!("127.0.0.1:{}", self.admin_port))
            .env("FACELINE_LOG__FORMAT", "json");
        for (key, value) in &self.settings {
            command.env(format!("FACELINE_{}", key.to_uppercase().replace('.', "__")), value);
        }
        Ok(command)
    }

    /// The value of a metric, 0 if it does not exist yet. `series` is its name with its labels.
    pub(super) async fn metric(&self, series: &str) -> anyhow::Result<f64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let metrics = reqwest::get(url).await?.text().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?.unwrap_or_default())
    }

    /// Starts the process, and does not wait until it is ready.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = self.command()?;
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(same_file(&log)?).stderr(log).kill_on_drop(true);
        self.child = Some(command.spawn().with_context(|| self.label.clone())?);
        Ok(())
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready in time, or it ends.
    pub(super) async fn start_until_ready(&mut self) -> anyhow::Result<()> {
        self.start()?;
        let url = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        // A server that is held by a signal takes connections and does not answer.
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < READY_TIMEOUT {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                anyhow::bail!("{} ended at its start: {status}; {}", self.label, self.log.display());
            }
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => last = answer.text().await.unwrap_or_default(),
                Err(_) => (),
            }
            sleep(POLL_INTERVAL).await;
        }
        anyhow::bail!("{} does not become ready: {last}; {}", self.label, self.log.display())
    }

    /// Kills the process with SIGKILL, and waits until it has ended.
    pub(super) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }

    /// Ends the process with SIGTERM; whether it ended in time. If it did not, it is killed.
    pub(super) async fn terminate(&mut self) -> bool {
        self.signal(Signal::TERM);
        let ended = match &mut self.child {
            Some(child) => timeout(END_TIMEOUT, child.wait()).await.is_ok(),
            None => true,
        };
        self.kill().await;
        ended
    }

    /// Holds the process with SIGSTOP.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the process go on after [`Self::pause`].
    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether the process has ended although nobody ended it.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Whether the process is there.
    pub(super) fn is_running(&mut self) -> bool {
        self.child.is_some() && !self.has_ended()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|id| Pid::from_raw(id as i32));
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Another handle of a file.
fn same_file(file: &File) -> anyhow::Result<Stdio> {
    Ok(file.try_clone()?.into())
}
