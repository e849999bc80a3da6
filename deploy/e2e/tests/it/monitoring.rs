//! Rules and dashboards: each expression has data of the running system, alerts see their faults, and each leads to its runbook
//! entry.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64_simd::STANDARD;
use faceline_loadtest::capture::{Capture, CaptureClient, capture};
use faceline_shared::replay::LivenessType;
use faceline_shared::testkit::{RabbitMq, Redis, TestAuthority, demo_token};
use futures_util::future::join_all;
use reqwest::Client;
use reqwest::multipart::Form;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::callback_receiver::CallbackReceiver;
use crate::client::{Caller, bytes, tool};
use crate::process::{ExclusiveRun, Process};
use crate::prometheus::{Prometheus, folder, promtool};
use crate::replay::photo_video;

/// A change is seen by then: the gateway notices, Prometheus scrapes, and asks.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// An account whose key expires in a week of 2020: its metric exists, and nobody uses it.
const ACCOUNTS: &str = r#"
    [[clients]]
    name = "bank"
    [[clients.keys]]
    id = "bank"
    secret = { api_key_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }
    permissions = ["faces:create"]
    expires = 2020-01-01T00:00:00Z
"#;

fn files(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    found.sort();
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The values behind `key` in the lines of a text.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key))
        .map(str::trim)
        .collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_lowercase() || character == '_')
}

/// The metrics that the runbook names.
fn metrics_of_the_runbook() -> BTreeSet<String> {
    let runbook = std::fs::read_to_string(folder().join("../../docs/runbook.md")).unwrap();
    let names = runbook.split(|character: char| {
        !character.is_ascii_lowercase() && !character.is_ascii_digit() && !"_:".contains(character)
    });
    let names = names
        .map(|name| name.trim_end_matches(':'))
        .filter(|name| name.starts_with("faceline_") || name.starts_with("faceline:"));
    names.map(str::to_owned).collect()
}

/// The alerts of all rules.
fn alerts() -> Vec<String> {
    let rules = files(&folder().join("rules"), "yaml");
    rules.iter().flat_map(|(_, text)| values(text, "alert:").into_iter().map(str::to_owned)).collect()
}

#[tokio::test]
async fn promtool_accepts_the_rules_and_their_tests() {
    let config = folder().join("prometheus.yaml");
    promtool(&["check", "config", config.to_str().unwrap()]).await;
    let tests = files(&folder().join("tests"), "yaml");
    let paths: Vec<_> = tests.iter().map(|(path, _)| path.to_str().unwrap()).collect();
    promtool(&[&["test", "rules"][..], &paths].concat()).await;
}

#[test]
fn each_alert_has_a_test_that_fires_it_and_one_that_does_not() {
    let mut fires = BTreeSet::new();
    let mut quiet = BTreeSet::new();
    for (_, text) in files(&folder().join("tests"), "yaml") {
        for expectation in text.split("- expr: ").skip(1) {
            let Some((_, rest)) = expectation.split_once("ALERTS{alertname=\"") else { continue };
            let name = rest.split_once('"').unwrap().0.to_owned();
            let expected = rest.split_once("exp_samples:").unwrap().1;
            if expected.trim_start().starts_with("[]") {
                quiet.insert(name)
            } else {
                fires.insert(name)
            };
        }
    }
    let alerts: BTreeSet<_> = alerts().into_iter().collect();
    assert!(alerts.len() > 40, "{alerts:?}");
    assert_eq!(fires, alerts);
    assert_eq!(quiet, alerts);
}

#[test]
fn each_alert_leads_to_its_runbook_entry() {
    let runbook = std::fs::read_to_string(folder().join("../../docs/runbook.md")).unwrap();
    let mut sections: Vec<_> =
        values(&runbook, "## ").into_iter().filter(|title| title.starts_with("Faceline")).collect();
    let mut links = Vec::new();
    for (_, text) in files(&folder().join("rules"), "yaml") {
        let (alerts, urls) = (values(&text, "alert:"), values(&text, "runbook_url:"));
        assert_eq!(alerts.len(), urls.len());
        for (alert, url) in alerts.iter().zip(urls) {
            let link = format!("/docs/runbook.md#{}", alert.to_lowercase());
            assert!(url.ends_with(&link), "{alert}: {url}");
        }
        for member in ["summary:", "description:", "dashboard_url:", "labels: { severity:"] {
            assert_eq!(values(&text, member).len(), alerts.len(), "{member}");
        }
        links.extend(alerts.into_iter().map(str::to_owned));
    }
    sections.sort_unstable();
    links.sort_unstable();
    assert_eq!(sections, links, "one section an alert, and no other");
    let settings = std::fs::read_to_string(folder().join("../../docs/settings.md")).unwrap();
    let quoted = runbook.split('`').skip(1).step_by(2);
    for name in quoted
        .filter(|text| text.split_once('.').is_some_and(|(section, key)| is_word(section) && is_word(key)))
    {
        // A setting, or the table of settings of a certificate.
        assert!(settings.contains(&format!("| `{name}")), "{name} is no setting");
    }
    for section in runbook.split("\n## Faceline").skip(1) {
        for part in ["**Callers:**", "**See:**", "**Do:**", "**False when:**"] {
            assert!(section.contains(part), "{part} is missing: {section}");
        }
    }
}

#[tokio::test]
async fn the_dashboards_are_as_their_generator_writes_them() {
    let script = folder().join("../grafana/dashboards.py");
    let output = Command::new("python3")
        .arg("-B")
        .args([script.to_str().unwrap(), "--check"])
        .env("PYTHONPATH", tool("grafana"))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dashboards: BTreeSet<_> =
        dashboards().iter().map(|board| format!("/d/{}", board["uid"].as_str().unwrap())).collect();
    for (_, text) in files(&folder().join("rules"), "yaml") {
        for url in values(&text, "dashboard_url:") {
            assert!(dashboards.contains(url), "{url}");
        }
    }
}

fn dashboards() -> Vec<Value> {
    let texts = files(&folder().join("../grafana/dashboards"), "json");
    texts.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

/// The expressions of all panels and annotations, with all values of their variables.
fn dashboard_expressions() -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(expression)) = members.get("expr") {
                    found.insert(expression.clone());
                }
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => (),
        }
    }
    let mut found = BTreeSet::new();
    dashboards().iter().for_each(|board| collect(board, &mut found));
    let substituted = found.iter().map(|expression| {
        let all = ["$operation", "$client", "$model"]
            .iter()
            .fold(expression.clone(), |text, name| text.replace(name, ".*"));
        all.replace("$__rate_interval", "1m")
    });
    let expressions: BTreeSet<_> = substituted.collect();
    assert!(expressions.iter().all(|expression| !expression.contains('$')), "{expressions:?}");
    expressions
}

/// What an alert compares, whether or not it holds: 1 or 0 for each series.
fn compared(expression: &str) -> String {
    [" > ", " < ", " == "]
        .iter()
        .fold(expression.to_owned(), |text, operator| text.replace(operator, &format!("{operator}bool ")))
}

/// The running system.
struct Site {
    broker: RabbitMq,
    redis: Redis,
    folder: TempDir,
    /// Serves callers.
    gateway: Process,
    /// Has what the other one has not: an accounts file, and TLS.
    second: Process,
    worker: Process,
    _exclusive: ExclusiveRun,
}

impl Site {
    async fn start() -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let (broker, redis) = tokio::join!(RabbitMq::start_with_metrics(), Redis::start());
        let folder = TempDir::new().unwrap();
        let shared = settings(&folder, &broker, &redis);
        let shared: Vec<_> = shared.iter().map(|(key, value)| (*key, value.as_str())).collect();
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
        let own = own.iter().map(|(key, value)| (*key, value.as_str()));
        let own: Vec<_> = shared.iter().copied().chain(own).collect();
        // The first one makes the keys.
        let mut gateway = Process::spawn("faceline-gateway", &shared);
        gateway.url().await;
        let (second, worker) = tokio::join!(
            Process::start("faceline-gateway", &own),
            Process::start("faceline-worker", &shared),
        );
        gateway.logged("ready").await;
        Self { broker, redis, folder, gateway, second, worker, _exclusive: exclusive }
    }

    async fn prometheus(&mut self) -> Prometheus {
        let history = metrics(self.worker.admin().await).await;
        let history: String =
            ["faceline_worker_face_quality", "faceline_worker_match_score", "faceline_worker_liveness_score"]
                .iter()
                .flat_map(|name| history.lines().filter(move |line| line.starts_with(name)))
                .map(|line| format!("{line}\n"))
                .collect();
        let service =
            |name: &str, port: u16| format!("dns_sd_configs: [{{ names: [{name}], type: A, port: {port} }}]");
        let (gateway, worker, rabbitmq) =
            (service("faceline-gateway", 9090), service("faceline-worker", 9090), service("rabbitmq", 15692));
        let services = [
            (gateway.as_str(), vec![self.gateway.admin().await, self.second.admin().await]),
            (worker.as_str(), vec![self.worker.admin().await]),
            (rabbitmq.as_str(), vec![self.broker.metrics_address()]),
        ];
        Prometheus::start(&services, &history).await
    }

    fn write(&self, names: &[&str], text: &str) -> BTreeMap<PathBuf, String> {
        let paths = names.iter().map(|name| self.folder.path().join(name));
        paths
            .map(|path| {
                let before = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, text).unwrap();
                (path, before)
            })
            .collect()
    }
}

fn settings(folder: &TempDir, broker: &RabbitMq, redis: &Redis) -> Vec<(&'static str, String)> {
    vec![
        ("data_dir", folder.path().display().to_string()),
        ("broker.url", broker.url()),
        ("store.url", redis.url()),
        ("inference.sessions", "1".to_owned()),
        ("callbacks.allowed_networks", r#"["127.0.0.0/8"]"#.to_owned()),
        ("limits.inflight_jobs", "4".to_owned()),
        ("limits.client_share", "1".to_owned()),
        ("limits.client_sessions", "6".to_owned()),
        ("limits.failed_logins", "3".to_owned()),
    ]
}

async fn metrics(address: SocketAddr) -> String {
    reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap()
}

/// Requests of each kind: answered, refused for their content, refused for their credential, about sessions, about liveness.
async fn mixed_load(url: &str) {
    let (client, caller) = (Client::new(), Caller::new(url));
    let picture = bytes("obama.jpg");
    let coded = picture.clone();
    assert_eq!(caller.face(coded).await.0, 200);
    caller.score("obama.jpg", "obama2.jpg").await;
    assert!(caller.face(b"no picture".to_vec()).await.0.is_client_error());
    let liveness = |picture: &[u8]| {
        let body = json!({"liveImages": [{"image": STANDARD.encode_to_string(picture)}]});
        client.post(format!("{url}/api/v1/livenessdetection")).bearer_auth(demo_token(600)).json(&body)
    };
    let face_liveness = client.post(format!("{url}/api/v1/face/liveness")).basic_auth("demo", Some("demo"));
    let nobody = format!("{url}/bioserver-app/v2/bio-sessions/{}", uuid::Uuid::new_v4());
    let requests = [
        face_liveness.json(&json!({"faceImageBase": STANDARD.encode_to_string(&picture)})),
        liveness(&picture),
        liveness(&without_face()),
        client.get(nobody).header("apikey", "demo"),
    ];
    for request in requests {
        let status = request.send().await.unwrap().status();
        assert!(!status.is_server_error() && status != 401, "{status}");
    }
    let session = create_session(&client, url).await.expect("a session");
    let deleted =
        client.delete(format!("{url}/bioserver-app{session}")).header("apikey", "demo").send().await.unwrap();
    assert!(deleted.status().is_success(), "{deleted:?}");
}

/// A picture that cannot be judged.
fn without_face() -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(640, 480, image::Rgb([128; 3]))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    png.into_inner()
}

/// Creates a session; its path, unless the request was refused.
async fn create_session(client: &Client, url: &str) -> Option<String> {
    let request = client.post(format!("{url}/bioserver-app/v2/bio-sessions")).header("apikey", "demo");
    let answer = request
        .header("content-type", "application/json")
        .body(r#"{"ttlSeconds":600}"#)
        .send()
        .await
        .unwrap();
    Some(answer.headers().get("location")?.to_str().unwrap().to_owned())
}

/// A replay, with a callback that is accepted at the second attempt.
async fn replay(url: &str) {
    let client = CaptureClient::new(url, "demo");
    let keys = client.published_keys().await.unwrap();
    let receiver = CallbackReceiver::failing(1).await;
    let wanted = Capture {
        session: json!({"callbackURL": receiver.url()}),
        timeout: Duration::from_mins(2),
        ..Capture::new(LivenessType::PassiveVideo, photo_video().await)
    };
    capture(&client, &keys, &wanted).await.unwrap();
    receiver.until(2).await;
}

/// The alerts, by name, whose faults are made here.
struct Faults<'a> {
    prometheus: &'a Prometheus,
    expressions: BTreeMap<String, Vec<String>>,
    seen: BTreeSet<String>,
    url: String,
}

impl Faults<'_> {
    /// Waits until the expressions of these alerts hold, which they do not without the fault; or expressions that are given as
    /// such. `load` is what callers do meanwhile.
    async fn hold(&mut self, fault: &str, alerts: &[&str], load: impl AsyncFn(&str)) {
        let began = Instant::now();
        let mut left: BTreeSet<&str> = alerts.iter().copied().collect();
        while !left.is_empty() {
            assert!(began.elapsed() < TIMEOUT, "{fault}: {left:?} do not hold");
            load(&self.url).await;
            sleep(POLL_INTERVAL).await;
            let mut still = BTreeSet::new();
            for alert in left {
                if !self.holds(alert).await {
                    still.insert(alert);
                }
            }
            left = still;
        }
        println!("{fault}: {:?}", began.elapsed());
        let alerts = alerts.iter().filter(|alert| self.expressions.contains_key(**alert));
        self.seen.extend(alerts.map(|alert| (*alert).to_owned()));
    }

    async fn holds(&self, alert: &str) -> bool {
        let own = vec![alert.to_owned()];
        for expression in self.expressions.get(alert).unwrap_or(&own) {
            if !self.prometheus.numbers(expression).await.is_empty() {
                return true;
            }
        }
        false
    }
}

async fn nothing(_: &str) {}

/// A request for a face, whatever becomes of it.
async fn ask(url: &str) {
    let _ = tokio::time::timeout(Duration::from_secs(1), Caller::new(url).face(bytes("obama2.jpg"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_expression_has_data_and_alerts_see_their_faults() {
    let mut site = Site::start().await;
    let url = site.gateway.url().await;
    // Counters begin here, and the week before has the distributions of these requests.
    tokio::join!(mixed_load(&url), replay(&url));
    let prometheus = site.prometheus().await;

    let rules = prometheus.rules().await;
    let mut asked: BTreeSet<String> = dashboard_expressions();
    println!("{} rules, {} expressions of dashboards", rules.len(), asked.len());
    asked.extend(
        rules
            .iter()
            .map(|rule| if rule.is_alert { compared(&rule.expression) } else { rule.expression.clone() }),
    );
    // No alert fires in a healthy system, so the annotation is empty until the first fault.
    let annotation = "ALERTS{alertname=~\"Faceline.*\", alertstate=\"firing\"}";
    assert!(asked.remove(annotation));
    // Rates are what Prometheus sees grow from one scrape to the next, so callers go on until each expression has data.
    let asked: Vec<_> = asked.into_iter().collect();
    let callers = async {
        loop {
            mixed_load(&url).await;
        }
    };
    let looked_at = async {
        replay(&url).await;
        prometheus.without_numbers(&asked).await
    };
    let empty = tokio::select! {
        empty = looked_at => empty,
        () = callers => unreachable!("they do not end"),
    };
    assert!(empty.is_empty(), "{} expressions have no data:\n{}", empty.len(), empty.join("\n\n"));
    for (metric, label) in [
        ("faceline_client_requests_total", "client"),
        ("faceline_http_requests_total", "operation"),
        ("faceline_model_info", "name"),
    ] {
        assert!(!prometheus.label_values(metric, label).await.is_empty(), "{metric} has no {label}");
    }

    let known = prometheus.label_values("{job=~\".+\"}", "__name__").await;
    let recorded = rules.iter().map(|rule| rule.name.clone());
    let known: BTreeSet<_> = known.into_iter().chain(recorded).collect();
    let unknown: Vec<_> = metrics_of_the_runbook().into_iter().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "the runbook names metrics that nobody has: {unknown:?}");

    let mut expressions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rules.into_iter().filter(|rule| rule.is_alert) {
        expressions.entry(rule.name).or_default().push(rule.expression);
    }
    let mut faults = Faults { prometheus: &prometheus, expressions, seen: BTreeSet::new(), url };
    // How fast answers come is up to the machine.
    for alert in faults.expressions.keys().filter(|alert| !alert.starts_with("FacelineLatency")) {
        assert!(!faults.holds(alert).await, "{alert} holds in a healthy system");
    }
    break_everything(&mut site, &mut faults).await;
    let unseen: Vec<_> = faults.expressions.keys().filter(|alert| !faults.seen.contains(*alert)).collect();
    println!("{} alerts saw their faults; promtool alone fires {unseen:?}", faults.seen.len());
}

/// Makes one fault after the other.
async fn break_everything(site: &mut Site, faults: &mut Faults<'_>) {
    let client = Client::new();
    let wrong_password = async |url: &str| {
        for _ in 0..5 {
            let request =
                client.post(format!("{url}/api/v1/face/liveness")).basic_auth("demo", Some("wrong"));
            let _ = request.json(&json!({"faceImageBase": ""})).send().await;
        }
        create_session(&client, url).await;
    };
    let callers = ["FacelineFailedLogins", "FacelineClientFull", "FacelineClientNearBound"];
    faults.hold("callers without end", &callers, wrong_password).await;

    let burst = async |url: &str| drop(join_all((0..12).map(|_| ask(url))).await);
    let load = [
        "FacelineCapacityBelowDemand",
        "FacelineClientRefused",
        "FacelineAvailabilityBurnFast",
        "FacelineAvailabilityBurnSlow",
        "faceline:refused_for_load:ratio_rate5m > 0",
        "faceline:requests_failed:ratio_rate5m > 0",
    ];
    faults.hold("more than the workers can do", &load, burst).await;

    let before = site.write(&["keys.toml", "signing.toml", "accounts.toml", "tls.pem"], "half a fi");
    let unusable = [
        "FacelineSealingKeysUnusable",
        "FacelineSigningKeysUnusable",
        "FacelineAccountsUnusable",
        "FacelineCertificateUnusable",
    ];
    faults.hold("files that are spoiled", &unusable, nothing).await;
    before.into_iter().for_each(|(path, text)| std::fs::write(path, text).unwrap());
    let date = Command::new("date").args(["-u", "-d", "3 days", "+%FT%TZ"]).output().await.unwrap();
    let soon = ACCOUNTS.replace("2020-01-01T00:00:00Z", String::from_utf8_lossy(&date.stdout).trim());
    site.write(&["accounts.toml"], &soon);
    faults.hold("a key that ends in three days", &["FacelineClientKeyExpires"], nothing).await;

    let elsewhere = TempDir::new().unwrap();
    let mut other = settings(&site.folder, &site.broker, &site.redis);
    other[0].1 = elsewhere.path().display().to_string();
    let other: Vec<_> = other.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let stranger = Process::spawn("faceline-gateway", &other);
    faults.hold("a gateway with other keys", &["FacelineKeysDisagree"], nothing).await;
    drop(stranger);

    site.broker.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]).await;
    faults.hold("a memory alarm", &["FacelineBrokerBlocked", "FacelineRabbitmqAlarm"], ask).await;
    site.broker.control(&["set_vm_memory_high_watermark", "0.4"]).await;

    site.worker.kill().await;
    let no_worker = [
        "FacelineNoWorker",
        "FacelineWorkersAbsent",
        "FacelineTargetDown",
        "faceline:oldest_job:seconds > 0.2",
        "sum(up{job=\"faceline-worker\"}) == 0",
    ];
    faults.hold("no worker", &no_worker, ask).await;

    site.redis.kill9().await;
    let no_store = [
        "FacelineStoreUnavailable",
        "FacelineBlobsUnavailable",
        "FacelineRateLimitsApart",
        "FacelineUsageDeferred",
    ];
    // A refusal for the content has a usage record.
    let wrong = async |url: &str| {
        let request = client.post(format!("{url}/bioserver-app/v2/ages")).header("apikey", "demo");
        let _ = request.multipart(Form::new().text("threshold", "none")).send().await;
    };
    faults.hold("no Redis", &no_store, wrong).await;

    // Nothing needs the broker any more, so the password stays wrong.
    site.broker.control(&["change_password", "guest", "other"]).await;
    site.broker.control(&["close_all_connections", "test"]).await;
    faults.hold("another password at the broker", &["FacelineBrokerProblem"], nothing).await;

    site.broker.kill9().await;
    let no_broker = ["FacelineBrokerDisconnected", "FacelineRabbitmqAbsent"];
    faults.hold("no RabbitMQ", &no_broker, ask).await;

    tokio::join!(site.gateway.kill(), site.second.kill());
    faults.hold("no gateway", &["FacelineGatewaysAbsent"], nothing).await;
}
