//! Tests that real clients read each refusal although they are still sending the body.
//!
//! `FACELINE_REFUSED_TRIES` is the number of tries of each client with each body. By default there are only a few.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faceline_shared::settings::TlsSettings;
use futures_util::future::join_all;
use rcgen::generate_simple_self_signed;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::client::form;
use crate::gateway::Gateway;
use crate::workers::Workers;

const FACES: &str = "/bioserver-app/v2/faces";
const FEW_TRIES: usize = 3;
const SIZES: [usize; 3] = [20_000, 500_000, 5_000_000];
/// Size in bytes of the largest picture that one of the gateways accepts.
const MAX_PICTURE: usize = 10_000;
/// Time for all tries of one client with one body.
const LONG: Duration = Duration::from_secs(600);

/// Number of tries of each client with each body.
fn tries() -> usize {
    std::env::var_os("FACELINE_REFUSED_TRIES")
        .map_or(FEW_TRIES, |text| text.to_str().unwrap().parse().unwrap())
}

/// A program that sends requests, in one version of HTTP.
#[derive(Clone, Copy, Debug)]
struct Client {
    name: &'static str,
    /// The version of HTTP, in the program's notation.
    version: &'static str,
    tls: bool,
}

const fn client(name: &'static str, version: &'static str, tls: bool) -> Client {
    Client { name, version, tls }
}

/// Over TLS, ALPN selects the version. Java supports HTTP/2 over TLS only.
const CLIENTS: [Client; 11] = [
    client("curl", "1", false),
    client("curl", "2", false),
    client("curl", "2", true),
    client("node", "1", false),
    client("node", "fetch", false),
    client("node", "2", false),
    client("node", "2", true),
    client("httpx", "1", false),
    client("httpx", "2", true),
    client("java", "1", false),
    client("java", "2", true),
];

/// Files that all clients read.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in [
            ("client.mjs", include_str!("client.mjs")),
            ("client.py", include_str!("client.py")),
            ("Client.java", include_str!("Client.java")),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        for size in SIZES {
            let picture = vec![b'x'; size];
            let body = form(&[("imageType", b"SELFIE"), ("image", &picture)]);
            std::fs::write(folder.path().join(size.to_string()), body).unwrap();
        }
        let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("tls.crt"), pair.cert.pem()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self) -> TlsSettings {
        TlsSettings { certificate: self.path("tls.crt"), key: self.path("tls.key") }
    }
}

/// The folder in which `make test` installs Python packages.
fn python_path() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
    cache.unwrap_or_default().join("faceline/tools/httpx")
}

impl Client {
    /// Whether the program exists on this machine. Prints a line if it does not.
    async fn is_there(self) -> bool {
        let arguments: &[&str] = match self.name {
            "httpx" => &["python3", "-c", "import httpx, h2"],
            "java" => &["java", "-version"],
            name => &[name, "--version"],
        };
        let mut command = Command::new(arguments[0]);
        command.args(&arguments[1..]).env("PYTHONPATH", python_path());
        let found = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        let is_there = found.is_ok_and(|status| status.success());
        if !is_there {
            say(&format!("SKIPPED: {} is not on this machine", self.name));
        }
        is_there
    }

    /// The outcome of each try.
    async fn send(self, gateway: &Gateway, files: &Files, size: usize, headers: &[&str]) -> Vec<String> {
        let scheme = if self.tls { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}{FACES}", gateway.address.port());
        let body = files.path(&size.to_string());
        if self.name == "curl" {
            let mut all = Vec::new();
            for _ in 0..tries() {
                let mut command = Command::new("curl");
                command.args(["-k", "-s", "-S", "-o", "/dev/null", "-w", "%{http_code}\n", "-X", "POST"]);
                command.arg(match (self.version, self.tls) {
                    ("1", _) => "--http1.1",
                    (_, true) => "--http2",
                    (_, false) => "--http2-prior-knowledge",
                });
                for header in headers {
                    command.args(["-H", header]);
                }
                command.arg("--data-binary").arg(format!("@{}", body.display())).arg(&url);
                all.extend(lines(&run(command).await));
            }
            return all;
        }
        let mut command = match self.name {
            "node" => Command::new("node"),
            "httpx" => Command::new("python3"),
            "java" => Command::new("java"),
            other => panic!("{other}"),
        };
        if self.name == "java" {
            command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        }
        command.arg(files.path(match self.name {
            "node" => "client.mjs",
            "httpx" => "client.py",
            _ => "Client.java",
        }));
        command.env("PYTHONPATH", python_path());
        command.args([&url, self.version, &tries().to_string()]).arg(body).args(headers);
        lines(&run(command).await)
    }
}

/// Prints a line even if the test passes.
fn say(line: &str) {
    let mut shown = std::io::stderr().lock();
    writeln!(shown, "{line}").unwrap();
}

async fn run(mut command: Command) -> Output {
    timeout(LONG, command.kill_on_drop(true).output()).await.unwrap().unwrap()
}

/// The output lines of a program that succeeded; otherwise its status and its output.
fn lines(output: &Output) -> Vec<String> {
    if output.status.success() {
        return String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    }
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    vec![format!("{}: {said}{complaint}", output.status)]
}

/// Lets these clients send bodies of all sizes to gateways that answer with `status`.
async fn all_read(clients: &[Client], workers: impl Fn() -> Arc<Workers>, headers: &[&str], status: &str) {
    let files = Files::new();
    let start = async |tls: bool| {
        Gateway::with(workers(), |config| {
            config.http.tls = tls.then(|| files.tls());
            config.limits.picture_bytes = if status == "413" { MAX_PICTURE } else { 10_000_000 };
            config.limits.inflight_jobs = if status == "429" { 1 } else { 100 };
            config.limits.client_share = 1.0;
            config.limits.requests_per_second = 100_000;
            config.limits.burst = 100_000;
        })
        .await
    };
    let (plain, tls) = (start(false).await, start(true).await);
    // A job without an answer takes the only slot.
    let _held = if status == "429" {
        let mut held = Vec::new();
        for gateway in [&plain, &tls] {
            let hold = client("curl", "1", gateway.config.http.tls.is_some());
            let url = format!(
                "{}://localhost:{}{FACES}",
                if hold.tls { "https" } else { "http" },
                gateway.address.port()
            );
            let body = files.path("20000");
            let mut command = Command::new("curl");
            command.args(["-k", "-s", "-H", "apikey: demo", "-H", FORM, "--data-binary"]);
            command.arg(format!("@{}", body.display())).arg(url).stdout(Stdio::null()).kill_on_drop(true);
            held.push(command.spawn().unwrap());
            timeout(LONG, gateway.workers.arrived.notified()).await.unwrap();
        }
        held
    } else {
        Vec::new()
    };
    let at_once = Semaphore::new(2);
    let check = async |client: Client| {
        let _place = at_once.acquire().await.unwrap();
        let mut complaints = Vec::new();
        if client.is_there().await {
            let gateway = if client.tls { &tls } else { &plain };
            for size in SIZES {
                let answers = client.send(gateway, &files, size, headers).await;
                let right = answers.iter().filter(|answer| *answer == status).count();
                say(&format!("{client:?} {size} bytes: {right} of {} read {status}", tries()));
                if (right, answers.len()) != (tries(), tries()) {
                    let wrong = answers.iter().find(|answer| *answer != status);
                    complaints.push(format!("{client:?} {size} bytes: {right} of {}: {wrong:?}", tries()));
                }
            }
        }
        complaints
    };
    let mut complaints = Vec::new();
    for found in join_all(clients.iter().copied().map(check)).await {
        complaints.extend(found);
    }
    assert!(complaints.is_empty(), "{status}:\n{}", complaints.join("\n"));
}

const FORM: &str = "Content-Type:multipart/form-data; boundary=b";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_without_a_key_read_it_while_they_are_sending() {
    all_read(&CLIENTS, Workers::able, &[FORM], "401").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_whose_body_is_too_long_read_it_while_they_are_sending() {
    all_read(&CLIENTS, Workers::able, &["apikey:demo", FORM], "413").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_in_an_overload_read_it_while_they_are_sending() {
    all_read(&CLIENTS, Workers::held, &["apikey:demo", FORM], "429").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_in_an_outage_read_it_while_they_are_sending() {
    let away = || {
        let workers = Workers::able();
        workers.connected.store(false, Ordering::Relaxed);
        workers
    };
    all_read(&CLIENTS, away, &["apikey:demo", FORM], "503").await;
}

/// The clients that can wait for `100 Continue` before they send.
const WAITING: [Client; 7] = [
    client("curl", "1", false),
    client("curl", "2", false),
    client("curl", "2", true),
    client("node", "1", false),
    client("node", "2", true),
    // The last two clients are excluded below.
    client("java", "1", false),
    client("java", "2", true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_ask_first_are_invited_and_served() {
    all_read(&WAITING, Workers::able, &["apikey:demo", FORM, "Expect:100-continue"], "200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_ask_first_read_their_refusal() {
    // Java 17 waits forever if the interim answer is not 100 (JDK-8286171).
    let [clients @ .., _, _] = &WAITING;
    all_read(clients, Workers::able, &[FORM, "Expect:100-continue"], "401").await;
}
