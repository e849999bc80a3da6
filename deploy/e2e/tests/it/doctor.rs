//! `faceline doctor` on a healthy installation, and on planted faults, which it must name with a remedy.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use faceline_shared::broker::ReplyEvent;
use faceline_shared::key_agreement::{KeyAgreement, Role};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::testkit::{PooledRabbitMq, Redis, TestAuthority, TestCertificate};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

use crate::client::models_dir;
use crate::process::ServerRun;
use crate::programs::program;

/// A password that no output may contain.
const PASSWORD: &str = "n0t-to-be-printed";

/// The servers and files of a healthy installation.
struct Installation {
    broker: PooledRabbitMq,
    /// URL of the broker's management API.
    management: String,
    redis: Redis,
    authority: TestAuthority,
    /// The certificate of the public listener.
    certificate: TestCertificate,
    folder: TempDir,
    /// The part of a gateway and a worker that announces keys.
    services: SharedServices,
    agreements: [KeyAgreement; 2],
    _run: ServerRun,
}

impl Installation {
    async fn start() -> Self {
        let run = ServerRun::begin().await;
        let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start_persistent());
        let management = broker.enable_management().await;
        let folder = TempDir::new().unwrap();
        let flags = [
            format!("broker.url={}", broker.url()),
            format!("store.url={}", redis.url()),
            format!("data_dir={}", folder.path().display()),
        ];
        let settings = Settings::load(&Sources { file: None, flags: flags.into() }).unwrap();
        let services = SharedServices::open(settings).unwrap();
        let agreements = [
            KeyAgreement::start(Role::Gateway, &services).await,
            KeyAgreement::start(Role::Worker, &services).await,
        ];
        fs::create_dir(folder.path().join("objects")).unwrap();
        for command in [
            &["signing", "rotate"][..],
            &["replay-keys", "rotate"],
            &["keys", "add", "--client", "bank", "--id", "one", "--permissions", "sessions:read"],
        ] {
            let mut faceline = Command::new(program("faceline"));
            for setting in
                ["signing.file=signing.toml", "replay.keys_file=replay.toml", "accounts.file=accounts.toml"]
            {
                faceline.args(["--set", setting]);
            }
            let output = faceline.args(command).current_dir(folder.path()).output().await.unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        let authority = TestAuthority::new();
        let certificate = authority.issue("gateway");
        fs::set_permissions(&certificate.key, fs::Permissions::from_mode(0o600)).unwrap();
        Self { broker, management, redis, authority, folder, services, certificate, agreements, _run: run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of a healthy installation, with `changes`.
    fn settings(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let path = |path: &Path| path.display().to_string();
        let file = |name: &str| path(&self.path(name));
        let well = [
            ("broker.url", self.broker.url()),
            ("store.url", self.redis.url()),
            ("data_dir", path(self.folder.path())),
            ("models.dir", path(&models_dir())),
            ("objects.url", format!("file://{}", file("objects"))),
            ("keys.file", file("keys.toml")),
            ("signing.file", file("signing.toml")),
            ("replay.keys_file", file("replay.toml")),
            ("accounts.file", file("accounts.toml")),
            ("http.tls.certificate", path(&self.certificate.certificate)),
            ("http.tls.key", path(&self.certificate.key)),
            // The limits of the machine that runs the test must not influence it.
            ("http.max_connections", "64".into()),
            ("limits.inflight_bytes", "67108864".into()),
            ("limits.picture_pixels", "1000000".into()),
            ("inference.sessions", "1".into()),
            ("replay.kept_frame_bytes", "16777216".into()),
            ("usage.deferred_bytes", "1048576".into()),
        ];
        let mut settings: Vec<(String, String)> =
            well.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        for (key, value) in changes {
            settings.retain(|(known, _)| known != key);
            settings.push(((*key).to_owned(), (*value).to_owned()));
        }
        settings
    }

    /// Runs the command with `changes` to the settings, in a shell after the command `prelude`.
    async fn doctor(&self, role: &str, changes: &[(&str, &str)], prelude: &str) -> Diagnosis {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{prelude}\nexec \"$0\" doctor --json --role {role} \"$@\"")]);
        shell.arg(program("faceline"));
        for (key, value) in self.settings(changes) {
            shell.args(["--set", &format!("{key}={value}")]);
        }
        let started = Instant::now();
        let output = shell.kill_on_drop(true).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains(PASSWORD) && !error.contains(PASSWORD), "{text}{error}");
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{error}"));
        let findings = report["findings"].as_array().unwrap().clone();
        Diagnosis { code: output.status.code(), findings, elapsed: started.elapsed() }
    }
}

/// The result of the command.
struct Diagnosis {
    code: Option<i32>,
    findings: Vec<Value>,
    elapsed: Duration,
}

impl Diagnosis {
    /// Asserts that a check has a finding of this grade that contains `found`, and that its remedy contains `remedy`.
    #[track_caller]
    fn assert_finding(&self, check: &str, grade: &str, found: &str, remedy: &str) {
        let contains = |finding: &Value, field: &str, part: &str| {
            finding[field].as_str().is_some_and(|text| text.contains(part))
        };
        let is_named = self.findings.iter().any(|finding| {
            finding["check"] == check
                && finding["grade"] == grade
                && contains(finding, "found", found)
                && contains(finding, "remedy", remedy)
        });
        assert!(is_named, "no {grade} of {check} says `{found}` and `{remedy}`:\n{:#?}", self.findings);
    }

    /// Asserts that a check has findings and no fault.
    #[track_caller]
    fn assert_no_fault(&self, check: &str) {
        let mut of_check = self.findings.iter().filter(|finding| finding["check"] == check).peekable();
        assert!(of_check.peek().is_some(), "{check} was not checked: {:#?}", self.findings);
        assert!(of_check.all(|finding| finding["grade"] == "ok"), "{check}: {:#?}", self.findings);
    }
}

/// A server that accepts connections and never answers.
fn silent_server() -> (StdListener, SocketAddr) {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A proxy in front of a Redis server whose clock is an hour behind.
async fn slow_clock(redis: SocketAddr) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = TcpStream::connect(redis).await.unwrap().into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut bytes = vec![0; 64 << 10];
                while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                    set_back(&mut bytes[..length]);
                    if to_client.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    };
    (address, AbortOnDropHandle::new(tokio::spawn(accepting)))
}

/// Sets the answer to TIME back by an hour: an array of two texts, of which the first has the seconds.
fn set_back(answer: &mut [u8]) {
    const HEAD: &[u8] = b"*2\r\n$10\r\n";
    let Some(at) = answer.windows(HEAD.len()).position(|window| window == HEAD) else { return };
    let Some(digits) = answer.get_mut(at + HEAD.len()..at + HEAD.len() + 10) else { return };
    if let Ok(seconds) = std::str::from_utf8(digits).unwrap().parse::<u64>() {
        digits.copy_from_slice((seconds - 3600).to_string().as_bytes());
    }
}

/// A copy of the installed models in which one file has other bytes of the same number.
fn with_altered_model(installed: &Path, copy: &Path) {
    fs::create_dir_all(copy).unwrap();
    for entry in fs::read_dir(installed).unwrap() {
        let entry = entry.unwrap();
        let target = copy.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            with_altered_model(&entry.path(), &target);
        } else if entry.path().ends_with("face-detector/1/model.onnx") {
            let mut bytes = fs::read(entry.path()).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(target, bytes).unwrap();
        } else {
            symlink(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_nothing_in_an_installation_that_is_well_and_names_each_planted_fault() {
    let installation = Installation::start().await;
    tokio::join!(
        healthy(&installation),
        unreachable(&installation),
        misconfigured(&installation),
        disagreeing(&installation),
        models(&installation),
        listed(&installation),
    );
    installation.services.broker.close().await;
}

async fn healthy(installation: &Installation) {
    let management = [("broker.management_url", installation.management.as_str())];
    let well = installation.doctor("standalone", &management, "").await;
    assert_eq!(well.code, Some(0), "{:#?}", well.findings);
    for check in [
        "settings",
        "keys",
        "keys.agreement",
        "accounts.file",
        "signing.file",
        "replay.keys_file",
        "http.tls",
        "broker",
        "broker.queues",
        "broker.messages",
        "broker.management",
        "store",
        "blobs",
        "objects",
        "clock",
        "models",
        "videos",
        "open_files",
        "data_dir",
        "memory",
    ] {
        well.assert_no_fault(check);
    }
    let agreement = well.findings.iter().find(|finding| finding["check"] == "keys.agreement").unwrap();
    assert!(
        agreement["found"].as_str().unwrap().starts_with("1 running gateways and 1 running workers"),
        "{agreement}"
    );
    assert_eq!(fs::read_dir(installation.path("objects")).unwrap().count(), 0, "the probe is left behind");
}

/// Silent servers, a key file that everybody may read, an expired certificate, too few file descriptors.
async fn unreachable(installation: &Installation) {
    let (_broker, broker) = silent_server();
    let (_redis, redis) = silent_server();
    let keys = installation.path("readable.toml");
    fs::copy(installation.path("keys.toml"), &keys).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let expired = installation.authority.issue_until("expired", (2020, 1, 2));
    let found = installation
        .doctor(
            "gateway",
            &[
                ("broker.url", &format!("amqp://faceline:{PASSWORD}@{broker}")),
                ("store.url", &format!("redis://faceline:{PASSWORD}@{redis}")),
                ("keys.file", keys.to_str().unwrap()),
                ("http.tls.certificate", expired.certificate.to_str().unwrap()),
                ("http.tls.key", expired.key.to_str().unwrap()),
                ("http.max_connections", "1000"),
            ],
            "ulimit -n 300",
        )
        .await;
    assert_eq!(found.code, Some(2));
    found.assert_finding(
        "broker",
        "problem",
        "does not answer within",
        "start the broker, or correct host and port in broker.url",
    );
    found.assert_finding(
        "store",
        "problem",
        "the session store does not answer",
        "start Redis or correct the address",
    );
    found.assert_finding(
        "blobs",
        "problem",
        "the blob store does not answer",
        "start Redis or correct the address",
    );
    found.assert_finding("keys", "problem", "readable.toml can be read or changed by others", "chmod 600");
    found.assert_finding(
        "http.tls",
        "problem",
        "expired.pem: a certificate has expired",
        "renew the certificate",
    );
    found.assert_finding("open_files", "warning", "takes 44 connections and not the 1000", "ulimit -Hn");
    found.assert_no_fault("objects");
    // Five seconds for the servers, and time to start a program on a busy machine.
    assert!(found.elapsed < Duration::from_secs(30), "{:?}", found.elapsed);
}

/// A wrong password, a replica, a folder that is not writable. Then a virtual host that does not exist, a store that
/// evicts, and an invalid accounts file. Then an unknown setting.
async fn misconfigured(installation: &Installation) {
    let (master, replica, evicting) = tokio::join!(
        Redis::start(),
        Redis::start(),
        Redis::start_with(&["--maxmemory-policy", "allkeys-lru"])
    );
    replica.replicate(&master).await;
    let address = installation.broker.address();
    let refused = [
        ("broker.url", format!("amqp://guest:{PASSWORD}@{address}")),
        ("store.url", replica.url()),
        ("objects.url", "file:///sys/kernel".into()),
    ];
    let unfit = [
        ("broker.url", format!("amqp://guest:guest@{address}/nowhere")),
        ("store.url", evicting.url()),
        ("accounts.file", installation.path("keys.toml").display().to_string()),
    ];
    let [refused, unfit] =
        [&refused, &unfit].map(|changes| changes.each_ref().map(|(key, value)| (*key, value.as_str())));
    let (refused, unfit, unknown) = tokio::join!(
        installation.doctor("gateway", &refused, ""),
        installation.doctor("gateway", &unfit, ""),
        installation.doctor(
            "gateway",
            &[("broker.uri", "amqp://localhost")],
            "export FACELINE_HTTP_LISTEN=0.0.0.0:1"
        ),
    );
    assert_eq!((refused.code, unfit.code), (Some(2), Some(2)));
    refused.assert_finding("broker", "problem", "ACCESS_REFUSED", "correct user and password in broker.url");
    refused.assert_finding("store", "problem", "is a replica", "name the master");
    refused.assert_finding("objects", "problem", "/sys/kernel", "let this user write to it");
    unfit.assert_finding("broker", "problem", "vhost nowhere not found", "rabbitmqctl add_vhost");
    unfit.assert_finding(
        "store",
        "problem",
        "maxmemory-policy is `allkeys-lru`",
        "CONFIG SET maxmemory-policy noeviction",
    );
    unfit.assert_finding("accounts.file", "problem", "keys.toml", "accounts.file");
    assert_eq!(unknown.code, Some(64), "as every program ends with such a setting");
    unknown.assert_finding("settings", "problem", "uri", "docs/settings.md");
    unknown.assert_finding("settings", "warning", "FACELINE_HTTP_LISTEN is ignored", "rename the variable");
}

/// Queues with other arguments, other sealing keys than those of the running processes, and a clock that is wrong.
async fn disagreeing(installation: &Installation) {
    let (redis, _proxy) = slow_clock(installation.redis.address()).await;
    let keys = installation.path("others/keys.toml");
    let others = Settings { data_dir: installation.path("others"), ..Settings::default() };
    faceline_shared::keys::Keys::load(&others).unwrap();
    let store = installation.redis.url_at(redis);
    let changes = [("broker.max_length", "7"), ("keys.file", keys.to_str().unwrap()), ("store.url", &store)];
    let found = installation.doctor("gateway", &changes, "").await;
    assert_eq!(found.code, Some(2));
    found.assert_finding(
        "broker.queues",
        "problem",
        "inequivalent arg 'x-max-length'",
        "set broker.max_length and the like back",
    );
    found.assert_finding(
        "keys.agreement",
        "problem",
        "a running worker seals with the key",
        "same key file (keys.file",
    );
    found.assert_finding(
        "keys.agreement",
        "problem",
        "a running gateway seals with the key",
        "same key file (keys.file",
    );
    found.assert_finding("clock", "problem", "ahead of that of Redis", "synchronise the clocks");
    found.assert_no_fault("store");
    // The request has no effect on its receivers: neither counts the doctor as a peer.
    assert!(installation.agreements.iter().all(KeyAgreement::holds));
}

/// An altered model, and no ffmpeg. Then a calibration that does not exist.
async fn models(installation: &Installation) {
    let copy = installation.path("models");
    with_altered_model(&models_dir(), &copy);
    let altered = [("models.dir", copy.to_str().unwrap()), ("replay.ffmpeg", "/nowhere/ffmpeg")];
    let uncalibrated = [("liveness.calibration", "nowhere"), ("inference.replay_slots", "0")];
    let (altered, uncalibrated) = tokio::join!(
        installation.doctor("worker", &altered, ""),
        installation.doctor("worker", &uncalibrated, ""),
    );
    assert_eq!((altered.code, uncalibrated.code), (Some(2), Some(2)));
    altered.assert_finding(
        "models",
        "problem",
        "face-detector/1/model.onnx was altered",
        "faceline-models fetch",
    );
    altered.assert_finding("videos", "problem", "there is no program /nowhere/ffmpeg", "install ffmpeg 5.1");
    uncalibrated.assert_finding(
        "models",
        "problem",
        "nowhere.toml does not exist",
        "faceline-models calibrate liveness",
    );
}

/// With the management API, `faceline queue list` has the unacknowledged messages of consumers, and the reply queues.
async fn listed(installation: &Installation) {
    let mut replies = installation.services.broker.replies("g1").await;
    let Some(ReplyEvent::Opened { queue }) = replies.next().await else { panic!("no reply queue") };
    let mut poll = tokio::time::interval(Duration::from_millis(200));
    // The API counts every five seconds.
    let known = async {
        loop {
            poll.tick().await;
            let mut faceline = Command::new(program("faceline"));
            faceline.args(["queue", "list", "--json"]);
            let management = [("broker.management_url", installation.management.as_str())];
            for (key, value) in installation.settings(&management) {
                faceline.args(["--set", &format!("{key}={value}")]);
            }
            let output = faceline.output().await.unwrap();
            assert!(output.status.success(), "{output:?}");
            let list: Value = serde_json::from_slice(&output.stdout).unwrap();
            let is_known = |rows: &Value, name: &str| {
                rows.as_array().unwrap().iter().any(|row| {
                    row["queue"] == name
                        && row["ready"] == 0
                        && row["unacknowledged"] == 0
                        && row["bytes"] == 0
                        && row["consumers"].is_u64()
                })
            };
            if is_known(&list["queues"], "faceline.jobs.interactive")
                && is_known(&list["reply_queues"], &queue)
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), known)
        .await
        .expect("the management API does not update its counts");
}
