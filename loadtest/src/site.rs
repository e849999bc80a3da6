//! The service as it is operated: RabbitMQ, Redis, a gateway and a worker, each a process.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use faceline_shared::testkit::{RabbitMq, Redis};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A running service; it ends when this is dropped.
pub(crate) struct Site {
    pub(crate) url: String,
    children: Vec<Child>,
    broker: RabbitMq,
    redis: Redis,
    _folder: TempDir,
}

impl Site {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (broker, redis) = tokio::join!(RabbitMq::start(), Redis::start());
        let folder = TempDir::new()?;
        let settings = [
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
        let (gateway, address) = start("faceline-gateway", &settings, "public listener is open").await?;
        let (worker, _) = start("faceline-worker", &settings, "ready").await?;
        let address = address["address"].as_str().context("the gateway does not say where it listens")?;
        let url = format!("http://{address}");
        Ok(Self { url, children: vec![gateway, worker], broker, redis, _folder: folder })
    }

    /// CPU time that gateway, worker, broker and store have used so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let children: Vec<u32> = self.children.iter().filter_map(Child::id).collect();
        let groups: Vec<u32> =
            [self.broker.process_group(), self.redis.process_group()].into_iter().flatten().collect();
        let mut ticks = 0;
        for process in std::fs::read_dir("/proc")? {
            // Processes come and go while we look, and some folders are none.
            let Ok(stat) = std::fs::read_to_string(process?.path().join("stat")) else { continue };
            let Some(stat) = Stat::parse(&stat) else { continue };
            if children.contains(&stat.pid) || groups.contains(&stat.group) {
                ticks += stat.ticks;
            }
        }
        // Linux counts in hundredths for user space, whatever the kernel's own tick is.
        Ok(ticks as f64 / 100.0)
    }
}

/// What proc(5) says of a process.
#[derive(Debug, PartialEq)]
struct Stat {
    pid: u32,
    group: u32,
    /// User and system time.
    ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name in parentheses may hold anything; fields are counted behind it.
        let (front, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let pid = front.split_whitespace().next()?.parse().ok()?;
        Some(Self { pid, group: u32::try_from(number(2)?).ok()?, ticks: number(11)? + number(12)? })
    }
}

/// The folder of this build's programs.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(program.is_file(), "{} is not built; `make bench` builds it", program.display());
    Ok(program)
}

/// Starts a program and waits for a log line.
async fn start(name: &str, settings: &[(&str, String)], message: &str) -> anyhow::Result<(Child, Value)> {
    let mut child = Command::new(program(name)?)
        .envs(settings.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        if value["message"] == message {
            // The pipe has to be emptied, or the program waits for a reader of its log.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((child, value));
        }
        said.push_str(&line);
        said.push('\n');
    }
    anyhow::bail!("{name} ended at its start:\n{said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "42 (a ) b) S 1 7 42 0 -1 4194560 2 0 0 0 30 12 0 0 20 0 1 0 5 0 0";
        assert_eq!(Stat::parse(line), Some(Stat { pid: 42, group: 7, ticks: 42 }));
    }
}
