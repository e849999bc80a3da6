//! A real Prometheus with the committed configuration and rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use faceline_shared::testkit::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for an expression to have a number. A round of requests takes more than a minute on a busy machine.
const NUMBER_TIMEOUT: Duration = Duration::from_secs(180);
/// Time between two requests to Prometheus.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(250);
const WEEK: Duration = Duration::from_hours(7 * 24);

/// `deploy/prometheus`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../prometheus").canonicalize().unwrap()
}

/// Runs promtool. Returns its output.
pub(crate) async fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output().await;
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}; `make test` installs it"));
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "promtool {arguments:?}:\n{text}");
    text
}

/// A rule, as Prometheus has read it.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) is_alert: bool,
}

/// A running Prometheus. It is killed when it is dropped.
pub(crate) struct Prometheus {
    address: SocketAddr,
    client: reqwest::Client,
    _process: Child,
    folder: TempDir,
}

impl Prometheus {
    /// Starts a server with the committed configuration. `services` has name, port and addresses of each service; the
    /// addresses replace those in the configuration. The server scrapes and evaluates once a second. `history` has the
    /// metrics of the same hour a week ago.
    pub(crate) async fn start(services: &[(&str, u16, &[SocketAddr])], history: &str) -> Self {
        let data = TempDir::new().unwrap();
        let path = |name: &str| data.path().join(name);
        let mut text = std::fs::read_to_string(folder().join("prometheus.yaml")).unwrap();
        for (name, port, addresses) in services {
            let pattern = format!("dns_sd_configs: [{{ names: [{name}], type: A, port: {port} }}]");
            assert!(text.contains(&pattern), "{pattern} is not in prometheus.yaml");
            let file = targets_file(data.path(), name);
            write_targets(&file, addresses);
            text = text.replace(&pattern, &format!("file_sd_configs: [{{ files: ['{}'] }}]", file.display()));
        }
        assert_eq!(text.matches("interval: 15s").count(), 2);
        let text = text.replace("interval: 15s", "interval: 1s");
        std::fs::write(path("prometheus.yaml"), text).unwrap();
        std::os::unix::fs::symlink(folder().join("rules"), path("rules")).unwrap();
        std::fs::write(path("history"), open_metrics(history)).unwrap();
        let storage = path("data").display().to_string();
        promtool(&["tsdb", "create-blocks-from", "openmetrics", path("history").to_str().unwrap(), &storage])
            .await;

        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={storage}"))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; `make test` installs it"));
        let log = path("log");
        let server = Self { address, client: reqwest::Client::new(), _process: process, folder: data };
        let ready = async {
            let url = format!("http://{address}/-/ready");
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                sleep(POLL_INTERVAL).await;
            }
        };
        if timeout(TIMEOUT, ready).await.is_err() {
            panic!("Prometheus does not start:\n{}", std::fs::read_to_string(log).unwrap());
        }
        // Growth before the first scrape is not part of a rate, so the server must have scraped once.
        let scraped = server.without_numbers(&["min(up) == 1".to_owned()]).await;
        assert!(scraped.is_empty(), "a target is not scraped");
        server
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let url = reqwest::Url::parse_with_params(&url, query).unwrap();
        let answer = self.client.get(url).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["status"], "success", "{query:?}: {body}");
        body["data"].clone()
    }

    /// Replaces the addresses of a service, by its name. Prometheus applies them at once.
    pub(crate) fn set_targets(&self, name: &str, addresses: &[SocketAddr]) {
        write_targets(&targets_file(self.folder.path(), name), addresses);
    }

    /// The present value of an expression: a number for each set of labels. NaN, which results without observations,
    /// does not count.
    pub(crate) async fn values(&self, expression: &str) -> BTreeMap<String, f64> {
        let data = self.get("query", &[("query", expression)]).await;
        let samples = data["result"].as_array().unwrap();
        let value = |sample: &Value| {
            let number: f64 = sample["value"][1].as_str()?.parse().ok()?;
            (!number.is_nan()).then(|| (sample["metric"].to_string(), number))
        };
        samples.iter().filter_map(value).collect()
    }

    /// The numbers in the present value of an expression.
    pub(crate) async fn numbers(&self, expression: &str) -> Vec<f64> {
        self.values(expression).await.into_values().collect()
    }

    /// Waits until each of these expressions has a number. Returns those that still have none.
    pub(crate) async fn without_numbers(&self, expressions: &[String]) -> Vec<String> {
        let mut left = expressions.to_vec();
        let waited = async {
            loop {
                let mut still = Vec::new();
                for expression in &left {
                    if self.numbers(expression).await.is_empty() {
                        still.push(expression.clone());
                    }
                }
                left = still;
                if left.is_empty() {
                    return;
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        let _ = timeout(NUMBER_TIMEOUT, waited).await;
        left
    }

    /// All rules.
    pub(crate) async fn rules(&self) -> Vec<Rule> {
        let data = self.get("rules", &[]).await;
        let groups = data["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        rules
            .map(|rule| Rule {
                name: rule["name"].as_str().unwrap().to_owned(),
                expression: rule["query"].as_str().unwrap().to_owned(),
                is_alert: rule["type"] == "alerting",
            })
            .collect()
    }

    /// The values of a label of a metric.
    pub(crate) async fn label_values(&self, metric: &str, label: &str) -> Vec<String> {
        let data = self.get(&format!("label/{label}/values"), &[("match[]", metric)]).await;
        data.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    }
}

/// The file with the addresses of a service.
fn targets_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

fn write_targets(file: &Path, addresses: &[SocketAddr]) {
    // Prometheus must not read a half-written file, which would have no targets.
    let new = file.with_extension("new");
    std::fs::write(&new, json!([{"targets": addresses}]).to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Factor of the history's values over those in the text of metrics. A comparison with that history has many values.
const HISTORY_FACTOR: f64 = 200.0;

/// Seconds after the same time a week ago at which the highest buckets grow. Expressions about that hour thus change
/// while the test observes them, even if it runs late.
const LATER: [u64; 5] = [15, 30, 60, 120, 240];
/// Growth at each of these times, as a share of the value.
const GROWTH: f64 = 0.005;

/// Converts metrics in the text format of Prometheus to a history for `promtool tsdb create-blocks-from`. The values
/// are 0 at fifty minutes before the same time a week ago, [`HISTORY_FACTOR`] times the values of `text` half an hour
/// later, and a little more at the times of [`LATER`].
fn open_metrics(text: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let ago = |minutes: u64| (now - WEEK - Duration::from_mins(minutes)).as_secs();
    let mut history = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value = value.parse::<f64>().unwrap() * HISTORY_FACTOR;
        let is_total = series.contains("le=\"+Inf\"") || series.contains("_count");
        writeln!(history, "{series} 0 {}\n{series} {value} {}", ago(50), ago(20)).unwrap();
        let mut later = value;
        for seconds in LATER {
            if is_total {
                later += value * GROWTH;
            }
            writeln!(history, "{series} {later} {}", (now - WEEK).as_secs() + seconds).unwrap();
        }
    }
    history + "# EOF\n"
}
