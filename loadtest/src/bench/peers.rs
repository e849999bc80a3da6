//! Compares Faceline with two Python services that run the same networks: mosec without a broker, and FastAPI with
//! Celery over RabbitMQ (`loadtest/peers/`). All of them run at the same time, and the same callers send the same
//! pictures to each in turn.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use faceline_shared::testkit::{RabbitMq, free_port};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::targets::{Figure, TargetCheck};
use super::{Sample, measure, median};
use crate::closed_loop::{self, Request};
use crate::procfs;
use crate::site::{Setup, Site, total};

/// Time for a peer to load its networks.
const START_TIMEOUT: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Runs a program until standard input closes, which it does when this process ends, however it ends.
const GUARD: &str = r#""$@" </dev/null & read -r _; kill -KILL 0"#;

/// A service of the comparison.
struct Peer {
    name: &'static str,
    /// Faceline's throughput over that of this peer.
    figure: Figure,
    url: String,
    /// Each leads a process group.
    programs: Vec<Child>,
    broker: Option<RabbitMq>,
}

/// Folders of the peers' sources, of their installed packages and networks, and of their logs.
struct Installed {
    sources: PathBuf,
    folder: PathBuf,
    logs: TempDir,
}

pub(super) async fn run(
    samples: &[&Sample],
    callers: usize,
    rounds: usize,
    targets: &mut TargetCheck,
) -> anyhow::Result<()> {
    let installed = Installed::install()?;
    let site = Site::start(Setup::Distributed).await?;
    let peers = [mosec(&installed)?, celery(&installed).await?];
    let mut out = std::io::stdout();
    for sample in samples {
        writeln!(out, "Faceline over RabbitMQ and peers, {}, {callers} callers:", sample.name)?;
        // Each service does as many jobs as the others, before the measurement and in each round of it.
        let own = sample.warm_up(&site.url, callers).await?;
        let requests = peers.each_ref().map(|peer| peer.request(sample));
        for (peer, request) in peers.iter().zip(&requests) {
            peer.ready(request, &installed).await?;
            closed_loop::closed(request, callers, sample.jobs / 5).await?;
        }
        let mut ratios = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let (done, used) = measure(&site, &own, callers, sample.jobs).await?;
            writeln!(out, "  Faceline {:.1} jobs/s, {:.2} ms CPU a job", done.per_second(), total(&used))?;
            for ((peer, request), ratios) in peers.iter().zip(&requests).zip(&mut ratios) {
                let before = peer.cpu_seconds()?;
                let theirs = closed_loop::closed(request, callers, sample.jobs).await?;
                let cpu_ms = (peer.cpu_seconds()? - before) * 1e3 / theirs.jobs as f64;
                writeln!(out, "  {} {:.1} jobs/s, {cpu_ms:.2} ms CPU a job", peer.name, theirs.per_second())?;
                ratios.push(done.per_second() / theirs.per_second());
            }
        }
        for (peer, ratios) in peers.iter().zip(&mut ratios) {
            let ratio = median(ratios);
            let verdict = targets.judge(peer.figure, sample.name, peer.name, ratio);
            writeln!(
                out,
                "  Faceline over {} in jobs/s {ratio:.2} ({callers} callers, median of {rounds}){verdict}",
                peer.name
            )?;
        }
    }
    Ok(())
}

fn mosec(installed: &Installed) -> anyhow::Result<Peer> {
    let port = free_port();
    let program = installed.start("mosec", &["mosec_server.py", "--port", &port.to_string()], None)?;
    Ok(Peer {
        name: "mosec",
        figure: Figure::OverMosec,
        url: format!("http://127.0.0.1:{port}/inference"),
        programs: vec![program],
        broker: None,
    })
}

async fn celery(installed: &Installed) -> anyhow::Result<Peer> {
    let broker = RabbitMq::start().await;
    let (port, url) = (free_port().to_string(), broker.url());
    let processes = processes().to_string();
    let worker = ["-m", "celery", "--app", "celery_tasks", "worker", "--concurrency", &processes];
    let gateway = ["-m", "uvicorn", "celery_gateway:app", "--port", &port, "--no-access-log"];
    let programs = vec![
        installed.start("celery", &worker, Some(&url))?,
        installed.start("uvicorn", &gateway, Some(&url))?,
    ];
    let url = format!("http://127.0.0.1:{port}/inference");
    Ok(Peer {
        name: "FastAPI, Celery and RabbitMQ",
        figure: Figure::OverCelery,
        url,
        programs,
        broker: Some(broker),
    })
}

/// One process per core, as the documentation of both peers recommends for CPU-bound work.
fn processes() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Installed {
    fn install() -> anyhow::Result<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let folder = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .context("there is no home folder")?
            .join("faceline/tools/peers");
        let status = Command::new(sources.join("install.sh")).arg(&folder).status()?;
        anyhow::ensure!(status.success(), "the peers cannot be installed");
        Ok(Self { sources, folder, logs: TempDir::new()? })
    }

    fn start(&self, name: &str, arguments: &[&str], broker: Option<&str>) -> anyhow::Result<Child> {
        let log = File::create(self.logs.path().join(name))?;
        let child = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard", "python3"])
            .args(arguments)
            .current_dir(&self.sources)
            .env("PYTHONPATH", self.folder.join("packages"))
            // mosec looks for its server, a program, below this folder.
            .env("PYTHONUSERBASE", self.folder.join("packages"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PEER_MODELS", self.folder.join("networks"))
            .env("PEER_PROCESSES", processes().to_string())
            .env("PEER_BROKER", broker.unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        Ok(child)
    }

    /// The logs of all peers.
    fn logged(&self) -> anyhow::Result<String> {
        let mut logged = String::new();
        for entry in std::fs::read_dir(self.logs.path())? {
            logged.push_str(&String::from_utf8_lossy(&std::fs::read(entry?.path())?));
        }
        Ok(logged)
    }
}

impl Peer {
    fn request(&self, sample: &Sample) -> Request {
        Request::plain(&self.url, &sample.bytes)
    }

    /// Waits until the peer finds the face in the picture.
    async fn ready(&self, request: &Request, installed: &Installed) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match closed_loop::answer(request).await {
                Ok(answer) if answer.contains("\"template\"") => return Ok(()),
                other if Instant::now() > deadline => {
                    anyhow::bail!("{} does not answer: {other:?}\n{}", self.name, installed.logged()?)
                }
                _ => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// CPU time of all its processes so far, in seconds.
    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let groups = self.programs.iter().map(Child::id);
        let broker = self.broker.as_ref().and_then(RabbitMq::process_group);
        groups.chain(broker).map(procfs::group_cpu_seconds).sum()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // The guard kills its group once its standard input is closed. An error has no consequence in a drop.
            drop(program.stdin.take());
            let _ = program.wait();
        }
    }
}
