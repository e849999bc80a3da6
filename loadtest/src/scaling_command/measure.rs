//! Measures the input of the simulation and of the capacity table, on a running installation of one gateway and one
//! worker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use faceline_loadtest::scaling::{LARGE, Measurements, SMALL};
use faceline_shared::settings::Settings;
use reqwest::{Client, header};
use tempfile::TempDir;

use crate::bench::Sample;
use crate::bench::sessions::created;
use crate::closed_loop::{self, Request};
use crate::procfs;
use crate::site::{Setup, Site, ms_per_job};

/// Jobs of each kind whose CPU time is measured one by one.
const JOBS: usize = 200;
/// Jobs before each measurement, because the first jobs cost more.
const FIRST_JOBS: usize = 20;
/// Steps between quantiles.
const STEPS: usize = 20;
/// Sessions that are created.
const SESSIONS: usize = 5000;
const CALLERS: usize = 4;
/// Longer than the interval at which the broker updates its counts.
const COUNT_INTERVAL: Duration = Duration::from_secs(6);

pub(super) async fn run(portrait: Option<PathBuf>, note: &str) -> anyhow::Result<Measurements> {
    let portrait =
        portrait.unwrap_or_else(|| Settings::default().models.dir.join("pictures").join("obama.jpg"));
    let folder = TempDir::new()?;
    let small = Sample::make(&portrait, folder.path(), SMALL, (250, 250), JOBS)?;
    let large = Sample::make(&portrait, folder.path(), LARGE, (4000, 3000), JOBS)?;
    let site = Site::start(Setup::Distributed).await?;
    let worker_start_seconds =
        site.starts.iter().find(|(name, _)| *name == "faceline-worker").context("no worker")?.1;
    let mut measured = Measurements {
        machine: machine(note)?,
        service_ms: BTreeMap::new(),
        gateway_ms: 0.0,
        broker_ms: 0.0,
        store_ms: 0.0,
        worker_start_seconds,
        prefetch: prefetch(&site).await?,
        worker_mib: 0.0,
        message_bytes: BTreeMap::new(),
        picture_bytes: BTreeMap::new(),
        session_bytes: 0.0,
        sessions: SESSIONS,
    };
    for (kind, sample) in [(SMALL, &small), (LARGE, &large)] {
        let request = Request::new(&site.url, &sample.bytes)?;
        let before = received(&site).await?;
        let (quantiles, others) = service(&site, &request).await?;
        let of =
            |name| others.iter().find(|(process, _)| *process == name).map_or(0.0, |(_, millis)| *millis);
        if kind == SMALL {
            measured.gateway_ms = of("faceline-gateway");
            measured.broker_ms = of("RabbitMQ");
        } else {
            measured.store_ms = of("Redis");
        }
        measured.service_ms.insert(kind.to_owned(), quantiles);
        let bytes = (received(&site).await? - before) / (FIRST_JOBS + JOBS) as u64;
        measured.message_bytes.insert(kind.to_owned(), bytes);
        measured.picture_bytes.insert(kind.to_owned(), sample.bytes.len() as u64);
    }
    measured.worker_mib = procfs::resident_mib(site.process("faceline-worker")?)?;
    measured.session_bytes = session(&site, &small).await?;
    Ok(measured)
}

/// The processor, the number of cores, and `note`, which says what else ran.
fn machine(note: &str) -> anyhow::Result<String> {
    let processors = std::fs::read_to_string(Path::new("/proc/cpuinfo"))?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{model}, {cores} cores; {note}"))
}

/// CPU time of the worker for single jobs, by quantiles, and the mean of each process, in milliseconds.
async fn service(site: &Site, request: &Request) -> anyhow::Result<(Vec<f64>, crate::site::Figures)> {
    let worker = site.process("faceline-worker")?;
    closed_loop::closed(request, 1, FIRST_JOBS).await?;
    let before = site.cpu_seconds()?;
    let mut millis = Vec::with_capacity(JOBS);
    for _ in 0..JOBS {
        let start = procfs::cpu_nanoseconds(worker)?;
        closed_loop::answer(request).await?;
        millis.push((procfs::cpu_nanoseconds(worker)? - start) as f64 / 1e6);
    }
    let others = ms_per_job(&before, &site.cpu_seconds()?, JOBS);
    millis.sort_by(f64::total_cmp);
    let quantile = |step: usize| (millis[step * (JOBS - 1) / STEPS] * 1e3).round() / 1e3;
    Ok(((0..=STEPS).map(quantile).collect(), others))
}

/// The number of picture jobs that the worker prefetches.
async fn prefetch(site: &Site) -> anyhow::Result<usize> {
    let consumers = site.servers()?.0.control(&["list_consumers", "queue_name", "prefetch_count"]).await;
    let line = consumers.lines().find_map(|line| line.strip_prefix("faceline.jobs.interactive\t"));
    line.context("the worker does not consume")?.trim().parse().context("no number")
}

/// Bytes that the broker has received over all connections so far.
async fn received(site: &Site) -> anyhow::Result<u64> {
    // The broker updates this count every 5 s.
    tokio::time::sleep(COUNT_INTERVAL).await;
    let connections = site.servers()?.0.control(&["list_connections", "recv_oct"]).await;
    Ok(connections.lines().filter_map(|line| line.trim().parse::<u64>().ok()).sum())
}

/// Memory of Redis for a session with one face, in bytes.
async fn session(site: &Site, sample: &Sample) -> anyhow::Result<f64> {
    let (client, application) = (Client::new(), format!("{}/bioserver-app", site.url));
    let face = closed_loop::answer(&Request::new(&site.url, &sample.bytes)?).await?;
    let create = async || -> anyhow::Result<()> {
        let location = created(client.post(format!("{application}/v2/bio-sessions"))).await?;
        let request = client.post(format!("{application}{location}/faces"));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(face.clone());
        created(request).await.map(drop)
    };
    create().await?;
    let before = used_memory(site).await?;
    let caller = async || {
        for _ in 0..SESSIONS / CALLERS {
            create().await?;
        }
        anyhow::Ok(())
    };
    futures_util::future::try_join_all((0..CALLERS).map(|_| caller())).await?;
    Ok(((used_memory(site).await? - before) / SESSIONS as f64).round())
}

async fn used_memory(site: &Site) -> anyhow::Result<f64> {
    let info = site.servers()?.1.control(&["INFO", "memory"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.context("Redis does not say what it uses")?.trim().parse().context("no number")
}
