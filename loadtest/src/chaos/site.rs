//! The site into which faults are injected: two gateways, three workers, a cluster of three RabbitMQ nodes, Redis with
//! a replica and an S3 server, each with its own ports and folder, and proxies on the connections between them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::testkit::{CutProxy, RabbitMq, Redis, S3};
use futures_util::future::{join_all, try_join_all};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::clock::FakeClock;
use super::disk::SmallDisk;
use super::program::Program;
use super::readiness::ReadinessCheck;

/// Number of gateways.
pub(super) const GATEWAYS: usize = 2;
/// Number of workers.
pub(super) const WORKERS: usize = 3;
/// Nodes of RabbitMQ: a quorum queue has a member on each.
pub(super) const NODES: usize = 3;
/// The gateway and the worker whose clocks can jump.
const CLOCK_GATEWAY: usize = 1;
const CLOCK_WORKER: usize = 2;
/// Settings of all programs. Queues are short, so the load of ten seconds fills one.
const SETTINGS: [(&str, &str); 8] = [
    ("broker.max_length", "24"),
    ("callbacks.allowed_networks", r#"["127.0.0.0/8"]"#),
    ("http.shutdown_delay", "1s"),
    ("inference.sessions", "1"),
    ("limits.client_share", "1"),
    ("replay.deadline", "60s"),
    ("usage.interval", "500ms"),
    ("log.filter", "info"),
];

/// Redis with its replica.
pub(super) struct RedisPair {
    pub(super) master: Redis,
    pub(super) replica: Redis,
}

/// The proxies between the gateways, or the workers, and the servers.
pub(super) struct Proxies {
    pub(super) broker: Vec<CutProxy>,
    pub(super) store: Vec<CutProxy>,
    pub(super) objects: CutProxy,
}

/// All running processes of the site. They end when this is dropped.
pub(super) struct Site {
    pub(super) gateways: Vec<Mutex<Program>>,
    pub(super) workers: Vec<Mutex<Program>>,
    pub(super) brokers: Vec<Mutex<RabbitMq>>,
    pub(super) redis: Mutex<RedisPair>,
    /// The proxies of the gateways, and those of the workers.
    pub(super) proxies: [Proxies; 2],
    /// Clients that reach the servers directly, as an operator's tool would.
    pub(super) services: SharedServices,
    /// Addresses of the gateways.
    pub(super) urls: Vec<String>,
    /// Readiness checks of all gateways and workers.
    readiness: Vec<ReadinessCheck>,
    builds: Builds,
    /// The folder of the build that runs.
    running: Mutex<PathBuf>,
    pub(super) clock: anyhow::Result<FakeClock>,
    pub(super) disk: anyhow::Result<SmallDisk>,
    _s3: S3,
    _folder: TempDir,
}

/// Folders with executable files.
#[derive(Clone, Debug)]
pub struct Builds {
    /// The folder of this build.
    pub current: PathBuf,
    /// The folder of the previous release. The site starts with it, and a rolling upgrade replaces it.
    pub previous: Option<PathBuf>,
}

impl Builds {
    /// The build that the site starts with.
    fn first(&self) -> &Path {
        self.previous.as_ref().unwrap_or(&self.current)
    }
}

impl Proxies {
    async fn to(brokers: &[RabbitMq], redis: &RedisPair, s3: &S3) -> Self {
        let proxy = CutProxy::start;
        let stores = [redis.master.address(), redis.replica.address()];
        Self {
            broker: join_all(brokers.iter().map(|node| proxy(node.address()))).await,
            store: join_all(stores.map(proxy)).await,
            objects: proxy(s3.address()).await,
        }
    }

    fn settings(&self, brokers: &[RabbitMq], s3: &S3) -> anyhow::Result<Vec<(String, String)>> {
        let nodes = brokers.iter().zip(&self.broker);
        let nodes: Vec<_> = nodes.map(|(node, proxy)| node.url_at(proxy.address())).collect();
        let stores: Vec<_> = self.store.iter().map(|proxy| proxy.address().to_string()).collect();
        let objects = s3.settings_at(self.objects.address());
        let text = |value: Option<&str>| value.map(str::to_owned).context("an S3 server without an address");
        Ok(vec![
            ("broker.url".into(), nodes.join(",")),
            ("store.url".into(), format!("redis://{}", stores.join(","))),
            ("objects.url".into(), s3.url()),
            ("objects.endpoint".into(), text(objects.endpoint.as_deref())?),
            ("objects.access_key_id".into(), text(objects.access_key_id.as_deref())?),
            ("objects.secret_access_key".into(), text(objects.secret_access_key.as_deref())?),
        ])
    }
}

impl Site {
    /// Starts everything. Logs of the programs go to `logs`.
    pub(super) async fn start(builds: Builds, logs: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs)?;
        let folder = tempfile::Builder::new().prefix("faceline-chaos-").tempdir()?;
        let disk = SmallDisk::mount();
        let objects = async {
            match &disk {
                Ok(disk) => S3::start_in(disk.path()).await,
                Err(_) => S3::start().await,
            }
        };
        let (brokers, redis, s3) = tokio::join!(RabbitMq::start_cluster(NODES), RedisPair::start(), objects);
        let proxies = [Proxies::to(&brokers, &redis, &s3).await, Proxies::to(&brokers, &redis, &s3).await];
        let clock = FakeClock::find(folder.path());

        let first = folder.path().join("gateway-0");
        let keys =
            ["keys.toml", "signing.toml", "replay.toml"].map(|file| first.join(file).display().to_string());
        let program = |name, number: usize, proxies: &Proxies| {
            let own = folder
                .path()
                .join(format!("{}-{number}", if name == GATEWAY { "gateway" } else { "worker" }));
            let mut settings = proxies.settings(&brokers, &s3)?;
            settings.extend(SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned())));
            if own != first {
                settings.push(("keys.file".into(), keys[0].clone()));
                if name == GATEWAY {
                    settings.push(("signing.file".into(), keys[1].clone()));
                    settings.push(("replay.keys_file".into(), keys[2].clone()));
                }
            }
            settings.push(("data_dir".into(), own.display().to_string()));
            let mut program = Program::new(name, number, builds.first(), settings, logs);
            let jumps = if name == GATEWAY { number == CLOCK_GATEWAY } else { number == CLOCK_WORKER };
            if let (Ok(clock), true) = (&clock, jumps) {
                clock.apply_to(&mut program);
            }
            anyhow::Ok(program)
        };
        let gateways = (0..GATEWAYS).map(|number| program(GATEWAY, number, &proxies[0]));
        let mut gateways = gateways.collect::<anyhow::Result<Vec<_>>>()?;
        let workers = (0..WORKERS).map(|number| program(WORKER, number, &proxies[1]));
        let mut workers = workers.collect::<anyhow::Result<Vec<_>>>()?;
        // The first gateway creates the key files, which the others share.
        gateways[0].start_until_ready().await?;
        let others = gateways[1..].iter_mut().chain(&mut workers);
        try_join_all(others.map(Program::start_until_ready)).await?;

        let direct: Vec<_> = brokers.iter().map(RabbitMq::url).collect();
        // These clients need the settings of the programs, because RabbitMQ refuses to declare an existing queue with
        // other bounds.
        let mut flags = SETTINGS.map(|(key, value)| format!("{key}={value}")).to_vec();
        flags.extend([
            format!("broker.url={}", direct.join(",")),
            format!("store.url={}", redis.master.url()),
            format!("data_dir={}", first.display()),
        ]);
        let services = SharedServices::open(Settings::load(&Sources { file: None, flags })?)?;
        let readiness = gateways.iter().chain(&workers).map(Program::readiness);
        Ok(Self {
            readiness: readiness.collect::<anyhow::Result<_>>()?,
            urls: gateways.iter().map(Program::url).collect(),
            gateways: gateways.into_iter().map(Mutex::new).collect(),
            workers: workers.into_iter().map(Mutex::new).collect(),
            brokers: brokers.into_iter().map(Mutex::new).collect(),
            redis: Mutex::new(redis),
            proxies,
            services,
            running: Mutex::new(builds.first().to_owned()),
            builds,
            clock,
            disk,
            _s3: s3,
            _folder: folder,
        })
    }

    /// The folder of the build that the next rolling upgrade installs: the current build and the previous one
    /// alternate.
    pub(super) async fn next_build(&self) -> PathBuf {
        let mut running = self.running.lock().await;
        if let Some(previous) = &self.builds.previous {
            let next = if *running == *previous { &self.builds.current } else { previous };
            next.clone_into(&mut running);
        }
        running.clone()
    }

    /// Starts programs that have ended by themselves, as a service manager does, and waits until every gateway and
    /// worker is ready and reaches all services. The wait locks no program, so other faults can begin meanwhile; it
    /// then lasts until their programs are ready, too.
    ///
    /// # Errors
    /// A program has not recovered before `until`, or cannot be started.
    pub(super) async fn recovered(&self, until: Instant) -> anyhow::Result<()> {
        for program in self.gateways.iter().chain(&self.workers) {
            // A fault that holds the lock of a program starts it itself.
            if let Ok(mut program) = program.try_lock()
                && !program.is_running()
            {
                program.start()?;
            }
        }
        try_join_all(self.readiness.iter().map(|program| program.recovered(until))).await.map(drop)
    }

    /// Unplanned ends of programs, including those that were started again, with their exit statuses and log files.
    pub(super) async fn deaths(&self) -> Vec<String> {
        let mut deaths = Vec::new();
        for program in self.gateways.iter().chain(&self.workers) {
            deaths.extend_from_slice(program.lock().await.deaths());
        }
        deaths
    }
}

/// Names of the programs.
const GATEWAY: &str = "faceline-gateway";
const WORKER: &str = "faceline-worker";

impl RedisPair {
    async fn start() -> Self {
        let (master, mut replica) = tokio::join!(Redis::start_persistent(), Redis::start_persistent());
        replica.restart_as_replica(&master).await;
        Self { master, replica }
    }

    /// Kills the master and promotes its replica. The killed server becomes the replica after `pause`. Writes are
    /// paused before the kill, so the replica has all of them: in any installation, a write that the replica lacks is
    /// lost with the master.
    pub(super) async fn promote(&mut self, pause: std::time::Duration) {
        self.master.control(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
        self.master.control(&["WAIT", "1", "10000"]).await;
        self.master.kill9().await;
        self.replica.promote().await;
        tokio::time::sleep(pause).await;
        std::mem::swap(&mut self.master, &mut self.replica);
        let Self { master, replica } = self;
        replica.restart_as_replica(master).await;
    }
}
