//! The service as it is operated: RabbitMQ, Redis, a gateway and a worker, each a process.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use faceline_shared::testkit::{RabbitMq, Redis};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::procfs;

/// A running service; it ends when this is dropped.
pub(crate) struct Site {
    pub(crate) url: String,
    gateway: Child,
    worker: Child,
    broker: RabbitMq,
    redis: Redis,
    _folder: TempDir,
}

/// CPU time of every process but the load generator, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuSeconds {
    pub(crate) gateway: f64,
    pub(crate) worker: f64,
    pub(crate) broker: f64,
    pub(crate) store: f64,
}

impl CpuSeconds {
    pub(crate) fn all(&self) -> f64 {
        self.gateway + self.worker + self.broker + self.store
    }

    /// What was used since `earlier`, a job.
    pub(crate) fn per_job_since(&self, earlier: &Self, jobs: usize) -> Self {
        let part = |now: f64, then: f64| (now - then) / jobs as f64;
        Self {
            gateway: part(self.gateway, earlier.gateway),
            worker: part(self.worker, earlier.worker),
            broker: part(self.broker, earlier.broker),
            store: part(self.store, earlier.store),
        }
    }
}

/// Resident memory, in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) gateway: f64,
    pub(crate) worker: f64,
}

impl Site {
    /// Starts everything, with `settings` of the gateway and the worker beside those that a benchmark needs.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (broker, redis) = tokio::join!(RabbitMq::start(), Redis::start());
        let folder = TempDir::new()?;
        let own = [
            ("FACELINE_DATA_DIR", folder.path().display().to_string()),
            ("FACELINE_BROKER__URL", broker.url()),
            ("FACELINE_STORE__URL", redis.url()),
            ("FACELINE_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("FACELINE_ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
            ("FACELINE_LOG__FORMAT", "json".to_owned()),
            // The one caller of a benchmark may have everything.
            ("FACELINE_LIMITS__CLIENT_SHARE", "1".to_owned()),
            ("FACELINE_LIMITS__REQUESTS_PER_SECOND", "100000".to_owned()),
        ];
        let given = settings.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let settings: Vec<_> = own.into_iter().chain(given).collect();
        let (gateway, address) = start("faceline-gateway", &settings).await?;
        let (worker, _) = start("faceline-worker", &settings).await?;
        let address = address.context("the gateway does not say where it listens")?;
        Ok(Self { url: format!("http://{address}"), gateway, worker, broker, redis, _folder: folder })
    }

    /// CPU time so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<CpuSeconds> {
        let group = |group: Option<u32>| procfs::group_cpu_seconds(group.context("a server has ended")?);
        Ok(CpuSeconds {
            gateway: procfs::cpu_seconds(pid(&self.gateway)?)?,
            worker: procfs::cpu_seconds(pid(&self.worker)?)?,
            broker: group(self.broker.process_group())?,
            store: group(self.redis.process_group())?,
        })
    }

    /// Resident memory now.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        Ok(Memory {
            gateway: procfs::resident_mib(pid(&self.gateway)?)?,
            worker: procfs::resident_mib(pid(&self.worker)?)?,
        })
    }
}

fn pid(child: &Child) -> anyhow::Result<u32> {
    child.id().context("a program has ended")
}

/// The folder of this build's programs.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(program.is_file(), "{} is not built; `make bench` builds it", program.display());
    Ok(program)
}

/// Starts a program and waits until it is ready. Gives the address that it names on the way, if it does.
async fn start(name: &str, settings: &[(&str, String)]) -> anyhow::Result<(Child, Option<String>)> {
    let mut child = Command::new(program(name)?)
        .envs(settings.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let (mut said, mut address) = (String::new(), None);
    while let Some(line) = lines.next_line().await? {
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        match value["message"].as_str() {
            Some("public listener is open") => address = value["address"].as_str().map(str::to_owned),
            Some("ready") => {
                // The pipe has to be emptied, or the program waits for a reader of its log.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok((child, address));
            }
            _ => (),
        }
        said.push_str(&line);
        said.push('\n');
    }
    anyhow::bail!("{name} ended at its start:\n{said}")
}
