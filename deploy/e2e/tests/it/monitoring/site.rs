//! The running system: a broker, a store, three gateways and a worker, and a Prometheus that scrapes them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faceline_shared::broker::Queue;
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::testkit::{RabbitMq, Redis, TestAuthority};
use tempfile::TempDir;

use crate::process::{ExclusiveRun, Process};
use crate::prometheus::{POLL_INTERVAL, Prometheus};

/// Accounts with one key, which expired at the start of 2020, so the metric of its expiry exists. No caller uses it.
pub(super) const ACCOUNTS: &str = r#"
    [[clients]]
    name = "bank"
    [[clients.keys]]
    id = "bank"
    secret = { api_key_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }
    permissions = ["faces:create"]
    expires = 2020-01-01T00:00:00Z
"#;
/// The distributions that rules compare with those of a week before.
const DISTRIBUTIONS: [&str; 3] =
    ["faceline_worker_face_quality", "faceline_worker_match_score", "faceline_worker_liveness_score"];

/// Time limit for the expected number of workers to consume, also on a busy machine.
const CONSUMERS_TIMEOUT: Duration = Duration::from_secs(60);

/// Bounds that all programs have in common. [`NARROW`] overrides some of them.
const BOUNDS: [(&str, &str); 8] = [
    // A job of a hung worker must become old without being answered.
    ("jobs.deadline", "2m"),
    // While a compiler runs, a round of videos takes two minutes.
    ("jobs.video_deadline", "5m"),
    // With this value the limit on jobs falls on a fast machine, too.
    ("admission.target_wait", "50ms"),
    ("limits.inflight_jobs", "8"),
    ("limits.client_share", "1"),
    ("limits.client_sessions", "12"),
    ("limits.failed_logins", "3"),
    // Usage records are moved as often as Prometheus scrapes.
    ("usage.interval", "1s"),
];
/// Settings of the third gateway: low bounds, short times, and a high bound on sessions.
const NARROW: [(&str, &str); 10] = [
    // A job that waits too long must miss its deadline and not be refused.
    ("admission.target_wait", "1m"),
    ("limits.inflight_jobs", "256"),
    ("limits.client_sessions", "10000"),
    ("limits.picture_bytes", "1000000"),
    ("limits.inflight_bytes", "4000000"),
    ("http.max_connections", "300"),
    ("jobs.deadline", "3s"),
    // A busy machine begins an upload within this time.
    ("replay.upload_timeout", "15s"),
    ("usage.deferred_bytes", "1"),
    ("usage.interval", "1s"),
];

/// The running system.
pub(super) struct Site {
    pub(super) broker: RabbitMq,
    pub(super) redis: Redis,
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
    /// Connections with which the test sends messages as a program of another build.
    pub(super) services: SharedServices,
    /// Serves callers.
    pub(super) gateway: Process,
    /// Has an accounts file and TLS, which the first one lacks.
    pub(super) second: Process,
    /// Reaches its bounds soon.
    pub(super) narrow: Process,
    pub(super) worker: Process,
    pub(super) authority: TestAuthority,
    _exclusive: ExclusiveRun,
}

impl Site {
    pub(super) async fn start() -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let (broker, redis) = tokio::join!(RabbitMq::start_with_metrics(), Redis::start());
        let folder = TempDir::new().unwrap();
        let settings = settings(folder.path(), &broker, &redis);
        let at = |name: &str| folder.path().join(name).display().to_string();
        let authority = TestAuthority::new();
        let certificate = authority.issue("gateway");
        std::fs::copy(certificate.certificate, at("tls.pem")).unwrap();
        std::fs::copy(certificate.key, at("tls.key")).unwrap();
        std::fs::write(at("accounts.toml"), ACCOUNTS).unwrap();
        let own = [
            ("accounts.file", at("accounts.toml")),
            ("http.tls.certificate", at("tls.pem")),
            ("http.tls.key", at("tls.key")),
        ];
        let own = borrowed(&own);
        let shared = borrowed(&settings);
        // The first gateway makes the keys.
        let mut gateway = Process::spawn("faceline-gateway", &shared);
        gateway.url().await;
        let (second, narrow, worker) = (
            [&shared[..], &own].concat(),
            [&shared[..], &NARROW].concat(),
            [&shared[..], &[("inference.sessions", "2")]].concat(),
        );
        let (second, narrow, worker) = tokio::join!(
            Process::start("faceline-gateway", &second),
            Process::start("faceline-gateway", &narrow),
            Process::start("faceline-worker", &worker),
        );
        gateway.logged("ready").await;
        let flags = settings.iter().take(3).map(|(key, value)| format!("{key}={value}")).collect();
        let services = SharedServices::open(Settings::load(&Sources { file: None, flags }).unwrap()).unwrap();
        Self {
            broker,
            redis,
            folder,
            settings,
            services,
            gateway,
            second,
            narrow,
            worker,
            authority,
            _exclusive: exclusive,
        }
    }

    /// Starts a Prometheus that scrapes all programs. Its history of a week before has the worker's present
    /// distributions.
    pub(super) async fn prometheus(&mut self, history: &str) -> Prometheus {
        let gateways = [self.gateway.admin().await, self.second.admin().await, self.narrow.admin().await];
        let services = [
            ("faceline-gateway", 9090, &gateways[..]),
            ("faceline-worker", 9090, &[self.worker.admin().await]),
            ("rabbitmq", 15692, &[self.broker.metrics_address()]),
        ];
        Prometheus::start(&services, history).await
    }

    /// The worker's distributions, in the text format of Prometheus.
    pub(super) async fn distributions(&mut self) -> String {
        let metrics = metrics(self.worker.admin().await).await;
        let lines =
            DISTRIBUTIONS.iter().flat_map(|name| metrics.lines().filter(move |line| line.starts_with(name)));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Starts another program in addition, with settings of its own.
    pub(super) fn spawn(&self, program: &str, own: &[(&str, &str)]) -> Process {
        Process::spawn(program, &[&borrowed(&self.settings)[..], own].concat())
    }

    /// Waits until RabbitMQ has `count` consumers for each kind of job. The metrics are no substitute: a worker's exist
    /// before it consumes, and the number of consumers in a gateway's may be out of date.
    pub(super) async fn consuming_workers_are(&self, count: u64) {
        let waiting = async {
            for queue in [Queue::Interactive, Queue::Replay, Queue::Quarantine] {
                while self.services.broker.depth(&queue).await.ok().map(|depth| depth.consumers)
                    != Some(count)
                {
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        };
        let waited = tokio::time::timeout(CONSUMERS_TIMEOUT, waiting).await;
        waited.unwrap_or_else(|_| panic!("the workers that take jobs do not become {count}"));
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Overwrites files, and returns their former content.
    pub(super) fn write(&self, names: &[&str], text: &str) -> BTreeMap<PathBuf, String> {
        let paths = names.iter().map(|name| self.path(name));
        paths
            .map(|path| {
                let before = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, text).unwrap();
                (path, before)
            })
            .collect()
    }
}

fn borrowed<'a>(settings: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// The settings that all programs have in common. The connections of the test use the first three.
fn settings(folder: &Path, broker: &RabbitMq, redis: &Redis) -> Vec<(&'static str, String)> {
    let shared = [
        ("data_dir", folder.display().to_string()),
        // RabbitMQ requeues a hung worker's jobs after two silent heartbeat intervals. The test must see them at the
        // worker before that, even if a busy machine takes half a minute to inject the fault.
        ("broker.url", format!("{}?heartbeat=60", broker.url())),
        ("store.url", redis.url()),
        ("callbacks.allowed_networks", r#"["127.0.0.0/8"]"#.to_owned()),
    ];
    shared.into_iter().chain(BOUNDS.map(|(key, value)| (key, value.to_owned()))).collect()
}

pub(super) async fn metrics(address: SocketAddr) -> String {
    reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap()
}
