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

use super::readiness::{POLL_INTERVAL, ReadinessCheck};

/// Time limit for a start. A program loads models when it starts, and may wait for an unavailable service.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
/// Time limit for a terminated program to finish its work. After it, the program is killed.
const END_TIMEOUT: Duration = Duration::from_mins(1);

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
    /// Unplanned ends of the process, as texts.
    deaths: Vec<String>,
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
            deaths: Vec::new(),
        }
    }

    /// The URL of the public listener of a gateway.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Uses the executable file of another build from the next start on.
    pub(super) fn set_folder(&mut self, folder: &Path) {
        folder.clone_into(&mut self.folder);
    }

    /// Sets a variable of the environment from the next start on.
    pub(super) fn set_environment(&mut self, name: &'static str, value: String) {
        self.environment.push((name, value));
    }

    /// The program with its settings, to execute another of its commands.
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

    /// The value of a metric, summed over its labels; 0 if it does not exist yet.
    pub(super) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let metrics = reqwest::get(url).await?.text().await?;
        sum_of_series(&metrics, name)
    }

    /// Returns a check of the program's readiness that can be made at any time.
    pub(super) fn readiness(&self) -> anyhow::Result<ReadinessCheck> {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        ReadinessCheck::new(self.label.clone(), url)
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
        let readiness = self.readiness()?;
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < READY_TIMEOUT {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                anyhow::bail!("{} ended at its start: {status}; {}", self.label, self.log.display());
            }
            match readiness.ask().await {
                Some(answer) if answer.is_ready => return Ok(()),
                Some(answer) => last = answer.text,
                None => (),
            }
            sleep(POLL_INTERVAL).await;
        }
        anyhow::bail!("{} does not become ready: {last}; {}", self.label, self.log.display())
    }

    /// Kills the process with SIGKILL, and waits until it has ended.
    pub(super) async fn kill(&mut self) {
        self.note_death();
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself just now.
            let _ = child.kill().await;
        }
    }

    /// Ends the process with SIGTERM. If it does not end in time, it is killed.
    ///
    /// # Errors
    /// The process does not end in time, or does not end with exit code 0.
    pub(super) async fn terminate(&mut self) -> anyhow::Result<()> {
        self.note_death();
        self.signal(Signal::TERM);
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let (label, log) = (&self.label, self.log.display());
        let Ok(ended) = timeout(END_TIMEOUT, child.wait()).await else {
            // An error means that the process has ended after all.
            let _ = child.kill().await;
            anyhow::bail!("{label} does not end after SIGTERM; {log}");
        };
        let status = ended?;
        anyhow::ensure!(status.success(), "{label} ends with {status} after SIGTERM; {log}");
        Ok(())
    }

    /// Pauses the process with SIGSTOP.
    pub(super) fn pause(&mut self) {
        self.note_death();
        self.signal(Signal::STOP);
    }

    /// Resumes the process after [`Self::pause`].
    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Unplanned ends of the process, as texts, including those before a restart.
    pub(super) fn deaths(&mut self) -> &[String] {
        self.note_death();
        &self.deaths
    }

    /// Whether the process runs.
    pub(super) fn is_running(&mut self) -> bool {
        self.note_death();
        self.child.is_some()
    }

    /// Records an unplanned end of the process. A planned end takes `child` before, so it is not recorded.
    fn note_death(&mut self) {
        let Some(child) = &mut self.child else { return };
        let end = match child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        self.deaths.push(format!("{}: {end}; {}", self.label, self.log.display()));
        self.child = None;
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

/// The sum of all series of a metric, in the text format of Prometheus.
fn sum_of_series(metrics: &str, name: &str) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' '])) else {
            continue;
        };
        let (_, value) = rest.rsplit_once(' ').context("a series without a value")?;
        sum += value.parse::<f64>()?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn all_series_of_a_metric_count_and_no_other_metric() {
        let metrics = "# TYPE jobs counter\njobs{outcome=\"done\"} 2\njobs{outcome=\"no face\"} 3\njobs_total 7\nrows 1\n";
        let sum = |name| sum_of_series(metrics, name).unwrap();
        assert_eq!([sum("jobs"), sum("jobs_total"), sum("rows"), sum("other")], [5.0, 7.0, 1.0, 0.0]);
    }

    #[tokio::test]
    async fn a_death_is_noted_before_a_planned_end_and_a_planned_end_is_none() {
        let logs = TempDir::new().unwrap();
        let mut program = Program::new("sleeper", 0, logs.path(), Vec::new(), logs.path());
        let sleeper = |seconds: &str| Command::new("sleep").arg(seconds).kill_on_drop(true).spawn().unwrap();
        program.child = Some(sleeper("600"));
        assert!(program.is_running());
        program.pause();
        program.resume();
        program.kill().await;
        assert!(!program.is_running());
        assert!(program.deaths().is_empty(), "{:?}", program.deaths);

        let mut ended = sleeper("0");
        ended.wait().await.unwrap();
        program.child = Some(ended);
        program.kill().await;
        // A restart does not delete the record of the death.
        program.child = Some(sleeper("600"));
        assert!(program.terminate().await.is_err(), "sleep does not end with success after SIGTERM");
        assert_eq!(program.deaths().len(), 1, "{:?}", program.deaths);
    }
}
