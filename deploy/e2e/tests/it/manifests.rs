//! The manifests for Kubernetes and the definitions for RabbitMQ, checked against the programs that they run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use faceline_shared::broker::Queue;
use faceline_shared::program::BLOCKED_THREADS_TIMEOUT;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::testkit::{PooledRabbitMq, Redis};
use faceline_worker::jobs::GIVE_BACK_TIMEOUT;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::client::{bytes, tool};
use crate::process::{Process, ServerRun};
use crate::programs::program;

/// Time beyond the longest deadline in which a gateway answers requests. The other test compares it with the log.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);
/// Maximum time in which a worker closes its connections to the broker.
const CLOSING: Duration = Duration::from_secs(2);
/// Minimum grace period beyond the longest shutdown, to write usage records and to be scheduled on a busy node.
const ROOM: Duration = Duration::from_secs(5);
const MIB: u64 = 1 << 20;
/// Describes the face in a picture.
const FACES: &str = "/bioserver-app/v2/faces";
const PASSWORD: &str = "a-password-for-this-test";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn manifests(arguments: &[&str]) -> Output {
    let script = repository().join("deploy/dev/manifests.py");
    // Panics if `make test` has not installed them.
    tool("kubernetes-validate");
    Command::new("python3").arg(script).args(arguments).output().await.unwrap()
}

fn text(output: &Output) -> String {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

/// The objects of an overlay.
async fn overlay(name: &str) -> Vec<Value> {
    let output = manifests(&["show", name]).await;
    serde_json::from_str(&text(&output)).unwrap()
}

/// The pod of a Deployment.
fn pod<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let deployment =
        objects.iter().find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == name);
    &deployment.unwrap()["spec"]["template"]["spec"]
}

/// Settings and texts of a pod's environment. For a reference to a Secret, `secret` returns its content.
fn environment(pod: &Value, secret: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let variables = pod["containers"][0]["env"].as_array().unwrap().iter();
    let settings = variables.filter_map(|variable| {
        let name = variable["name"].as_str().unwrap();
        // This variable belongs to the runtime and is not a setting.
        if name == "TOKIO_WORKER_THREADS" {
            return None;
        }
        let key = name.strip_prefix("FACELINE_").unwrap().to_lowercase().replace("__", ".");
        let value = match variable["value"].as_str() {
            Some(text) => text.to_owned(),
            None => secret(&key)?,
        };
        Some((key, value))
    });
    settings.collect()
}

/// The settings of a pod. An unknown setting ends the test, as it would end the program.
fn settings(pod: &Value) -> Settings {
    let secret = |key: &str| match key {
        "broker.url" => Some("amqp://u:p@h".to_owned()),
        "store.url" => Some("redis://h".to_owned()),
        _ => None,
    };
    let flags = environment(pod, secret).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    Settings::load(&Sources { file: None, flags }).unwrap()
}

/// A quantity of bytes, as in `512Mi`.
fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap();
    let (number, unit) = text.split_at(text.len() - 2);
    number.parse::<u64>().unwrap()
        * match unit {
            "Mi" => MIB,
            "Gi" => 1024 * MIB,
            _ => panic!("a quantity in Mi or Gi: {text}"),
        }
}

fn max_shutdown_of_gateway(settings: &Settings) -> Duration {
    let deadline = settings.jobs.deadline.max(settings.jobs.video_deadline);
    settings.http.shutdown_delay() + deadline + DRAIN_MARGIN
}

fn max_shutdown_of_worker(settings: &Settings) -> Duration {
    settings.jobs.drain + GIVE_BACK_TIMEOUT + CLOSING + BLOCKED_THREADS_TIMEOUT
}

/// Checks a pair of pods against the settings that it runs with. Returns the names of the failed checks.
fn misfits(objects: &[Value]) -> Vec<String> {
    let (gateway, worker) = (pod(objects, "faceline-gateway"), pod(objects, "faceline-worker"));
    let (of_gateway, of_worker) = (settings(gateway), settings(worker));
    let grace = |pod: &Value| Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
    let limit = |pod: &Value| quantity(&pod["containers"][0]["resources"]["limits"]["memory"]);
    let cores = |pod: &Value| {
        let cores = pod["containers"][0]["resources"]["requests"]["cpu"].as_str().unwrap();
        cores.parse::<u64>().unwrap()
    };
    let variable = |pod: &Value, name: &str| {
        let variables = pod["containers"][0]["env"].as_array().unwrap();
        let found = variables.iter().find(|variable| variable["name"] == name);
        found.and_then(|variable| variable["value"].as_str()).map(str::to_owned)
    };
    let replay = &of_worker.replay;
    let videos = of_worker.inference.replay_slots as u64;
    let data = gateway["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "data");
    let probe_delay = {
        let probe = &gateway["containers"][0]["readinessProbe"];
        Duration::from_secs(probe["periodSeconds"].as_u64().unwrap())
    };
    let checks = [
        ("shutdown of a gateway", grace(gateway) >= max_shutdown_of_gateway(&of_gateway) + ROOM),
        ("shutdown of a worker", grace(worker) >= max_shutdown_of_worker(&of_worker) + ROOM),
        ("readiness before the listener closes", of_gateway.http.shutdown_delay() > probe_delay),
        // Bodies, 32 MiB per core (docs/operations.md), and half a GiB for uploads, callbacks and answers.
        (
            "memory of a gateway",
            limit(gateway) >= of_gateway.limits.inflight_bytes as u64 + 32 * MIB * cores(gateway) + 512 * MIB,
        ),
        // Each video has a decoder and its kept frames. Models and pictures take less than a GiB.
        (
            "memory of a worker",
            limit(worker) >= videos * (replay.decode_memory + replay.kept_frame_bytes as u64) + 1024 * MIB,
        ),
        // The memory limit assumes this number of threads. By default there is one for each core of the node.
        (
            "threads of a gateway",
            variable(gateway, "TOKIO_WORKER_THREADS") == Some(cores(gateway).to_string()),
        ),
        ("threads of a worker", of_worker.inference.sessions as u64 == cores(worker)),
        (
            "room for usage records",
            quantity(&data.unwrap()["emptyDir"]["sizeLimit"]) >= of_gateway.usage.deferred_bytes * 3 / 2,
        ),
        ("operators' listener", of_gateway.admin.listen.unwrap().port() == 9090),
    ];
    checks.into_iter().filter(|(_, fits)| !fits).map(|(what, _)| what.to_owned()).collect()
}

#[tokio::test]
async fn manifests_are_valid_and_a_planted_fault_is_found() {
    let (check, self_test) = tokio::join!(manifests(&["check"]), manifests(&["self-test"]));
    println!("{}{}", text(&check), text(&self_test));
}

#[tokio::test]
async fn drain_times_and_memory_are_those_of_the_settings() {
    for name in ["cpu", "gpu", "minimal"] {
        let sound = overlay(name).await;
        assert_eq!(misfits(&sound), Vec::<String>::new(), "{name}");

        let too_short = |part: &str, seconds: i64| {
            let mut objects = sound.clone();
            let deployment = objects
                .iter_mut()
                .find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == part);
            deployment.unwrap()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = seconds.into();
            misfits(&objects)
        };
        assert_eq!(too_short("faceline-gateway", 74), ["shutdown of a gateway"]);
        assert_eq!(too_short("faceline-worker", 36), ["shutdown of a worker"]);
    }
}

#[tokio::test]
async fn brokers_hold_what_their_queues_may() {
    let (cluster, minimal) = tokio::join!(overlay("rabbitmq"), overlay("minimal"));
    let of_minimal = minimal
        .iter()
        .find(|object| object["kind"] == "StatefulSet" && object["metadata"]["name"] == "faceline-rabbitmq")
        .unwrap();
    let settings = Settings::default().broker;
    // All queues but that of dead letters have the same bound.
    let queues =
        (Queue::DURABLE.len() as u64 - 1) * settings.max_length_bytes + settings.dead_letter_max_length_bytes;
    let file = fs::read_to_string(repository().join("deploy/rabbitmq/rabbitmq.conf")).unwrap();
    let value = |key: &str| file.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    let watermark: f64 = value("vm_memory_high_watermark.relative").unwrap().parse().unwrap();
    let containers = &of_minimal["spec"]["template"]["spec"]["containers"];
    for resources in [&cluster[0]["spec"]["resources"], &containers[0]["resources"]] {
        let memory = quantity(&resources["limits"]["memory"]) as f64;
        assert!(memory * watermark > queues as f64, "{memory} * {watermark} bytes for {queues}");
    }
    let disk = value("disk_free_limit.absolute").unwrap().strip_suffix("GB").unwrap();
    assert!(disk.parse::<u64>().unwrap() * 1_000_000_000 > queues);
}

/// The programs of pods as the manifest starts them: with their environment and rights, and a folder in place of `/`.
struct Pods {
    objects: Vec<Value>,
    root: TempDir,
    broker_url: String,
    store_url: String,
}

impl Pods {
    fn environment(&self, name: &str) -> Vec<(String, String)> {
        let secret = |key: &str| match key {
            "broker.url" => Some(self.broker_url.clone()),
            "store.url" => Some(self.store_url.clone()),
            _ => None,
        };
        let root = self.root.path().display();
        let place = |(key, value): (String, String)| match key.as_str() {
            // Other tests use these ports as well, and `make test` installs the models elsewhere.
            "http.listen" | "admin.listen" | "models.dir" => None,
            _ => {
                let value = value.replace("/run/faceline", &format!("{root}/run/faceline"));
                Some((key, value.replace("/var/lib/faceline", &format!("{root}/var/lib/faceline"))))
            }
        };
        environment(pod(&self.objects, name), secret).into_iter().filter_map(place).collect()
    }

    fn spawn(&self, name: &str, more: &[(&str, &str)]) -> Process {
        let environment = self.environment(name);
        let own: Vec<_> = environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Process::spawn_with(without_capabilities(&program(name)), name, &[&own, more].concat())
    }

    /// Runs a command that makes a Secret's file, as in docs/kubernetes.md.
    async fn make(&self, arguments: &[&str]) -> String {
        text(&self.command("faceline-gateway", arguments).output().await.unwrap())
    }

    /// A command of a program, with a gateway's settings.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        command.args(arguments);
        for (key, value) in self.environment("faceline-gateway") {
            command.args(["--set", &format!("{key}={value}")]);
        }
        command
    }

    /// The doctor's findings for a gateway.
    async fn diagnose(&self) -> Vec<Value> {
        let output =
            self.command("faceline", &["doctor", "--json", "--role", "gateway"]).output().await.unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["findings"].as_array().unwrap().clone()
    }

    /// Sends the requests of a pod's probes.
    async fn probe(&self, name: &str, process: &mut Process) {
        let container = &pod(&self.objects, name)["containers"][0];
        let admin = process.admin().await;
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let path = container[probe]["httpGet"]["path"].as_str().unwrap();
            assert_eq!(container[probe]["httpGet"]["port"], "admin");
            let answer = reqwest::get(format!("http://{admin}{path}")).await.unwrap();
            assert_eq!(answer.status(), 200, "{name} {probe}: {}", answer.text().await.unwrap());
        }
    }
}

/// A command without capabilities and without a way to gain any, as with `drop: [ALL]` and `allowPrivilegeEscalation:
/// false`. Only root has capabilities to drop.
fn without_capabilities(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--no-new-privs");
    if rustix::process::geteuid().is_root() {
        command.args(["--bounding-set=-all", "--ambient-caps=-all"]);
    }
    command.arg(program);
    command
}

/// A node with the committed definitions. Its users have the password of this test.
async fn broker() -> PooledRabbitMq {
    let folder = TempDir::new().unwrap();
    for user in ["faceline", "keda"] {
        fs::write(folder.path().join(user), PASSWORD).unwrap();
    }
    let script = repository().join("deploy/rabbitmq/definitions.py");
    let definitions = Command::new("python3").arg(script).arg(folder.path()).output().await.unwrap();
    let file = folder.path().join("definitions.json");
    fs::write(&file, text(&definitions)).unwrap();
    let broker = PooledRabbitMq::take().await;
    broker.control(&["import_definitions", file.to_str().unwrap()]).await;
    broker
}

#[tokio::test]
async fn pods_run_as_a_user_of_the_broker_with_least_permissions() {
    let _run = ServerRun::begin().await;
    let (broker, redis, objects) = tokio::join!(broker(), Redis::start(), overlay("minimal"));
    let broker_url = format!("amqp://faceline:{PASSWORD}@{}/faceline", broker.address());
    let pods = Pods { objects, root: TempDir::new().unwrap(), broker_url, store_url: redis.url() };
    let secrets = pods.root.path().join("run/faceline");
    for folder in ["keys", "gateway"] {
        fs::create_dir_all(secrets.join(folder)).unwrap();
    }
    write_keys(&secrets.join("keys/keys.toml"));
    pods.make(&["signing", "rotate", "--now"]).await;
    pods.make(&["replay-keys", "rotate", "--now"]).await;
    let added = pods.make(&["keys", "add", "--client", "bank", "--permissions", "faces:create"]).await;
    let key = added.lines().find_map(|line| line.strip_prefix("apikey")).unwrap().trim().to_owned();

    let mut gateway = pods.spawn("faceline-gateway", &[]);
    let mut worker = pods.spawn("faceline-worker", &[]);
    gateway.logged("ready").await;
    worker.logged("ready").await;
    pods.probe("faceline-gateway", &mut gateway).await;
    pods.probe("faceline-worker", &mut worker).await;
    // A process that the worker confines decodes the videos. The confinement needs no capability.
    assert_eq!(worker.metric("faceline_condition{condition=\"videos\",state=\"met\"}").await, 1.0);

    // A job, its result, and the announcements by which gateway and worker learn that their keys agree.
    let (status, body) = post(&format!("{}{FACES}", gateway.url().await), &key).await.unwrap();
    assert_eq!(status, 200, "{body}");
    // The rest of a worker's memory is for videos (see `misfits`).
    assert!(worker.peak_memory() < 1 << 30, "{} bytes", worker.peak_memory());
    for (process, condition) in [(&mut gateway, "gateway_broker"), (&mut worker, "worker_broker")] {
        process
            .metric_reaches(&format!("faceline_condition{{condition=\"{condition}\",state=\"met\"}}"), 1.0)
            .await;
        process.metric_reaches("faceline_condition{condition=\"keys\",state=\"met\"}", 1.0).await;
    }
    let line = gateway.logged("requests are answered for at most this long after a signal to stop").await;
    // This test uses a loopback listener, for which there is no shutdown delay.
    let of_pod = settings(pod(&pods.objects, "faceline-gateway"));
    let expected = max_shutdown_of_gateway(&of_pod) - of_pod.http.shutdown_delay();
    assert_eq!(line["seconds"].as_u64(), Some(expected.as_secs()));

    // Every queue exists, and the policy applies to those that all processes share.
    let queues = broker.control(&["list_queues", "--vhost", "faceline", "name", "policy"]).await;
    for name in [
        "faceline.jobs.interactive",
        "faceline.jobs.replay",
        "faceline.jobs.quarantine",
        "faceline.results",
        "faceline.dead",
    ] {
        assert!(queues.contains(&format!("{name}\tfaceline-leaders")), "{queues}");
    }

    // The doctor confirms that these permissions suffice.
    let found = pods.diagnose().await;
    let messages = found.iter().find(|finding| finding["check"] == "broker.messages").unwrap();
    assert_eq!(messages["grade"], "ok", "{messages}");

    // The user may not declare objects outside Faceline's names.
    let mut other = pods.spawn("faceline-gateway", &[("broker.prefix", "other.")]);
    other.metric_reaches("faceline_broker_problem{reason=\"queues\"}", 1.0).await;
    // KEDA's user can log in and may read no message.
    broker.control(&["authenticate_user", "keda", PASSWORD]).await;
    assert_eq!(
        broker.control(&["list_user_permissions", "keda"]).await.lines().last().unwrap(),
        "faceline\t^$\t^$\t^$"
    );

    // With fewer permissions the user is not able to publish jobs: they need the default exchange.
    let less = ["set_permissions", "--vhost", "faceline", "faceline"];
    let less = [&less[..], &[r"^faceline\.", r"^faceline\.announcements", r"^faceline\."]].concat();
    broker.control(&less).await;
    let mut gateway = pods.spawn("faceline-gateway", &[]);
    gateway.logged("ready").await;
    let posted = post(&format!("{}{FACES}", gateway.url().await), &key);
    gateway
        .logged_where(|line| line["reason"].as_str().is_some_and(|reason| reason.contains("'amq.default'")))
        .await;
    posted.abort();
}

/// Sends a picture, and returns the status and the text of the answer.
fn post(url: &str, key: &str) -> JoinHandle<(u16, String)> {
    let form = Form::new().part("image", Part::bytes(bytes("obama2.jpg"))).text("imageType", "SELFIE");
    let request = reqwest::Client::new().post(url).header("apikey", key).multipart(form);
    tokio::spawn(async move {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// Sealing keys. Only their owner may read them.
fn write_keys(path: &Path) {
    let secret = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let ring =
        |name: &str| format!("[{name}]\nactive = \"{name}1\"\n[{name}.keys]\n{name}1 = \"{secret}\"\n");
    fs::write(path, ring("data") + &ring("templates")).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}
