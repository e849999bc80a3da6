//! The service as operators run it: RabbitMQ, Redis, a gateway and a worker as processes, or one process for everything.

use std::iter::{once, repeat_n};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context as _;
use faceline_shared::testkit::{RabbitMq, Redis};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::procfs;

/// Names of programs. [`Figures`] use them as the names of processes.
pub(crate) const GATEWAY: &str = "faceline-gateway";
const WORKER: &str = "faceline-worker";
const STANDALONE: &str = "faceline";

/// A running service. It is stopped when this is dropped.
pub(crate) struct Site {
    pub(crate) url: String,
    programs: Vec<(&'static str, Child)>,
    servers: Option<(RabbitMq, Redis)>,
    /// Time from each program's start until it was ready, in seconds.
    pub(crate) starts: Figures,
    _folder: TempDir,
}

/// The processes of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Setup {
    /// Gateway and worker over RabbitMQ and Redis.
    Distributed,
    /// `faceline` alone.
    Standalone,
}

/// Number of processes and threads of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SiteSize {
    /// Worker processes of a distributed service.
    pub(crate) workers: usize,
    /// Threads of each worker that run models (`inference.sessions`); the default of the settings if absent.
    pub(crate) sessions: Option<usize>,
}

impl Default for SiteSize {
    fn default() -> Self {
        Self { workers: 1, sessions: None }
    }
}

/// Names of processes with a measured value each.
pub(crate) type Figures = Vec<(&'static str, f64)>;

impl Setup {
    /// The programs that this service consists of, in the order of their start.
    fn programs(self, workers: usize) -> Vec<&'static str> {
        match self {
            Self::Distributed => once(GATEWAY).chain(repeat_n(WORKER, workers)).collect(),
            Self::Standalone => vec![STANDALONE],
        }
    }
}

impl Site {
    /// Starts all processes of a service with one worker.
    pub(crate) async fn start(setup: Setup) -> anyhow::Result<Self> {
        Self::start_sized(setup, SiteSize::default()).await
    }

    /// Starts all processes of a service.
    pub(crate) async fn start_sized(setup: Setup, size: SiteSize) -> anyhow::Result<Self> {
        let servers = match setup {
            Setup::Distributed => Some(tokio::join!(RabbitMq::start(), Redis::start())),
            Setup::Standalone => None,
        };
        let folder = TempDir::new()?;
        let mut settings = vec![
            ("FACELINE_DATA_DIR", folder.path().display().to_string()),
            ("FACELINE_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("FACELINE_ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
            ("FACELINE_LOG__FORMAT", "json".to_owned()),
            // The single client of a benchmark may use all of the capacity.
            ("FACELINE_LIMITS__CLIENT_SHARE", "1".to_owned()),
            ("FACELINE_LIMITS__REQUESTS_PER_SECOND", "100000".to_owned()),
        ];
        if let Some((broker, redis)) = &servers {
            settings.push(("FACELINE_BROKER__URL", broker.url()));
            settings.push(("FACELINE_STORE__URL", redis.url()));
        }
        if let Some(sessions) = size.sessions {
            settings.push(("FACELINE_INFERENCE__SESSIONS", sessions.to_string()));
        }
        let (mut programs, mut starts, mut address) = (Vec::new(), Vec::new(), None);
        for name in setup.programs(size.workers) {
            let started = Instant::now();
            let (program, listens) = start(name, &settings).await?;
            starts.push((name, started.elapsed().as_secs_f64()));
            programs.push((name, program));
            address = address.or(listens);
        }
        let address = address.context("no program says where it listens")?;
        Ok(Self { url: format!("http://{address}"), programs, servers, starts, _folder: folder })
    }

    /// CPU time of every process but the load generator so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<Figures> {
        let mut figures = self.programs(procfs::cpu_seconds)?;
        if let Some((broker, redis)) = &self.servers {
            for (name, group) in [("RabbitMQ", broker.process_group()), ("Redis", redis.process_group())] {
                figures.push((name, procfs::group_cpu_seconds(group.context("a server has ended")?)?));
            }
        }
        Ok(figures)
    }

    /// The process id of one of the programs; that of the first worker if there are several.
    pub(crate) fn process(&self, name: &str) -> anyhow::Result<u32> {
        let found = self.programs.iter().find(|(program, _)| *program == name);
        found.and_then(|(_, process)| process.id()).context("no such program runs")
    }

    /// RabbitMQ and Redis.
    pub(crate) fn servers(&self) -> anyhow::Result<&(RabbitMq, Redis)> {
        self.servers.as_ref().context("everything is in one process")
    }

    /// Resident memory of Faceline's programs, in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<Figures> {
        self.programs(procfs::resident_mib)
    }

    fn programs(&self, measure: fn(u32) -> anyhow::Result<f64>) -> anyhow::Result<Figures> {
        let measured = self
            .programs
            .iter()
            .map(|(name, process)| Ok((*name, measure(process.id().context("a program has ended")?)?)));
        measured.collect()
    }
}

/// The difference of two measurements in seconds, as milliseconds per job.
pub(crate) fn ms_per_job(before: &Figures, after: &Figures, jobs: usize) -> Figures {
    let used = before
        .iter()
        .zip(after)
        .map(|((name, before), (_, after))| (*name, (after - before) * 1e3 / jobs as f64));
    used.collect()
}

/// The sum over all processes.
pub(crate) fn total(figures: &Figures) -> f64 {
    figures.iter().map(|(_, figure)| figure).sum()
}

/// The sum over all processes of one program.
pub(crate) fn of_program(figures: &Figures, program: &str) -> f64 {
    figures.iter().filter(|(name, _)| *name == program).map(|(_, figure)| figure).sum()
}

/// The figures as a text.
pub(crate) fn listed(figures: &Figures) -> String {
    let figures: Vec<_> = figures.iter().map(|(name, figure)| format!("{name} {figure:.2}")).collect();
    figures.join(", ")
}

/// The path of one of this build's programs.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(program.is_file(), "{} is not built; `make bench` builds it", program.display());
    Ok(program)
}

/// Starts a program and waits until it is ready. Returns the address of its public listener, if it has one.
async fn start(name: &str, settings: &[(&str, String)]) -> anyhow::Result<(Child, Option<String>)> {
    let mut child = Command::new(program(name)?)
        .envs(settings.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let (mut log, mut address) = (String::new(), None);
    while let Some(line) = lines.next_line().await? {
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        match value["message"].as_str() {
            Some("public listener is open") => address = value["address"].as_str().map(str::to_owned),
            Some("ready") => {
                // The pipe must be read, or the program would block when it logs.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok((child, address));
            }
            _ => (),
        }
        log.push_str(&line);
        log.push('\n');
    }
    anyhow::bail!("{name} ended at its start:\n{log}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_starts_before_its_workers() {
        assert_eq!(Setup::Distributed.programs(2), [GATEWAY, WORKER, WORKER]);
        assert_eq!(Setup::Standalone.programs(2), [STANDALONE]);
    }

    #[test]
    fn figures_of_a_program_are_those_of_all_its_processes() {
        let figures = vec![(GATEWAY, 1.0), (WORKER, 2.0), (WORKER, 4.0), ("Redis", 8.0)];
        assert_eq!(of_program(&figures, WORKER), 6.0);
        assert_eq!(of_program(&figures, "RabbitMQ"), 0.0);
    }
}
