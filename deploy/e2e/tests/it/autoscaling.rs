//! Autoscaling by the shipped `ScaledObject`. Test code in place of KEDA and the HorizontalPodAutoscaler queries the
//! management API of a real RabbitMQ. It starts and stops real workers while the load rises tenfold and falls again.

use std::net::SocketAddr;
use std::time::Duration;

use faceline_loadtest::scaling::{Autoscaler, Measured, SYNC_PERIOD, ScaledObject, Trigger};
use faceline_shared::broker::Queue;
use faceline_shared::testkit::{PooledRabbitMq, RabbitMq, Redis, free_port};
use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::burst::gray;
use crate::process::{ExclusiveRun, Process};
use crate::raw::{Framing, Upload, UploadAnswer};

const SHIPPED: &str = include_str!("../../../kubernetes/components/keda/scaledobjects.yaml");
/// All times of autoscaling are divided by this: the polling interval of 15 s becomes 0.5 s, and the scale-down window
/// of five minutes becomes 10 s. RabbitMQ updates its counts every 200 ms and its rates every second, instead of every
/// 5 s.
const COMPRESSION: u32 = 30;
/// Maximum number of workers. They share the two cores of a small machine, so more of them would only start more
/// slowly.
const MAX_WORKERS: u32 = 3;
/// Requests per second before and after the burst. One worker can process more.
const USUAL_RATE: f64 = 20.0;
/// Duration of this load before the burst, and again after it.
const USUAL: Duration = Duration::from_secs(2);
/// Requests per second in the burst. By the target of the shipped rate trigger, it needs two pods. If the workers are
/// slower than that, the queue trigger asks for more.
const BURST_RATE: f64 = 10.0 * USUAL_RATE;
const BURST: Duration = Duration::from_secs(12);
/// Time limit for each change, longer than it takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn keda_scales_workers_out_and_in_under_a_tenfold_burst_and_nothing_is_lost() {
    let _exclusive = ExclusiveRun::begin().await;
    let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
    let management = Management::enable(&broker).await;
    let folder = TempDir::new().unwrap();
    let settings = [
        ("data_dir", folder.path().display().to_string()),
        ("broker.url", broker.url()),
        ("store.url", redis.url()),
        ("inference.sessions", "1".to_owned()),
    ];
    let mut gateway = start(&settings, "faceline-gateway").await;
    let address = gateway.url().await.strip_prefix("http://").unwrap().parse().unwrap();
    let first = start(&settings, "faceline-worker").await;

    management.assert_sees_no_message().await;
    let object = ScaledObject::read(SHIPPED, "faceline-worker").unwrap();
    let (pods, mut seen) = watch::channel(1);
    let spawn = move || spawn(&settings, "faceline-worker");
    let scaling = tokio::spawn(keda(object, management, Workers::new(first, spawn), pods));
    let load = tokio::spawn(load(address));
    reach(&mut seen, |pods| pods > 1).await;
    println!("scaled out");
    let answers = load.await.unwrap();
    reach(&mut seen, |pods| pods == 1).await;
    println!("scaled in");
    drop(seen);
    let most = scaling.await.unwrap();
    println!("the most that each trigger saw: {most:?}");
    assert!(
        most[0] > 0.0 && most[1] > USUAL_RATE,
        "a trigger of the queue for pictures saw no burst: {most:?}"
    );

    let done = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        let is_refusal =
            [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&answer.status);
        assert!(is_refusal && answer.retry_after.is_some(), "{answer:?}");
    }
    println!("{done} of {} requests were answered with 200, the others refused", answers.len());
    let accepted = gateway.metric("faceline_gateway_published_total{outcome=\"accepted\"}").await;
    assert_eq!(accepted, done as f64, "a job that the broker accepted was not answered with 200");
    // On a slow machine the workers process only a small part of the burst, but more than the load before it.
    assert!(done as f64 > USUAL_RATE * USUAL.as_secs_f64(), "the service did hardly anything");
    let dead = format!("{}\t0", Queue::DeadLetters.name());
    let queues = broker.control(&["-q", "list_queues", "name", "messages"]).await;
    assert!(queues.contains(&dead), "{queues}");
}

/// Measures every trigger and sets the number of workers, as KEDA and the HorizontalPodAutoscaler do together, until
/// `pods` has no receiver. Returns the highest value of each trigger.
async fn keda<S: Fn() -> Process>(
    object: ScaledObject,
    management: Management,
    mut workers: Workers<S>,
    pods: watch::Sender<u32>,
) -> Vec<f64> {
    let mut object = object.compressed(COMPRESSION);
    object.max_pods = MAX_WORKERS;
    let mut autoscaler = Autoscaler::new(&object);
    let mut most = vec![0.0_f64; object.triggers.len()];
    let begin = Instant::now();
    let mut sync = interval(SYNC_PERIOD / COMPRESSION);
    sync.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !pods.is_closed() {
        sync.tick().await;
        let measured = join_all(object.triggers.iter().map(|trigger| management.measure(trigger))).await;
        let values: Vec<_> = measured.iter().map(|metric| metric.value.unwrap_or(f64::NAN)).collect();
        most.iter_mut().zip(&values).for_each(|(most, value)| *most = most.max(*value));
        let present = workers.count();
        let wanted = autoscaler.sync(begin.elapsed(), present, &measured);
        if wanted != present {
            println!("{:?}: {present} -> {wanted} workers at {values:?}", begin.elapsed());
            workers.scale_to(wanted);
            pods.send_replace(wanted);
        }
    }
    workers.end().await;
    most
}

/// Waits until the number of pods fulfils a condition.
async fn reach(pods: &mut watch::Receiver<u32>, wanted: fn(u32) -> bool) {
    let reached = tokio::time::timeout(TIMEOUT, pods.wait_for(|pods| wanted(*pods))).await;
    reached.expect("the number of workers does not change as it must").unwrap();
}

/// The running workers. The youngest is stopped first, as in Kubernetes.
struct Workers<S> {
    running: Vec<Process>,
    ending: Vec<JoinHandle<(Option<i32>, String)>>,
    spawn: S,
}

impl<S: Fn() -> Process> Workers<S> {
    fn new(first: Process, spawn: S) -> Self {
        Self { running: vec![first], ending: Vec::new(), spawn }
    }

    fn count(&self) -> u32 {
        self.running.len() as u32
    }

    fn scale_to(&mut self, wanted: u32) {
        while self.count() < wanted {
            self.running.push((self.spawn)());
        }
        while self.count() > wanted {
            let mut worker = self.running.pop().unwrap();
            self.ending.push(tokio::spawn(async move {
                // A signal before the handler is installed would end the program without a log line.
                worker.logged("ready").await;
                worker.terminate().await
            }));
        }
    }

    /// Stops all running workers, and asserts that all of them exited cleanly.
    async fn end(mut self) {
        self.scale_to(0);
        assert!(self.ending.len() > 1, "no worker was started");
        for worker in self.ending {
            let (code, log) = worker.await.unwrap();
            assert_eq!(code, Some(0), "{log}");
        }
    }
}

/// RabbitMQ's management API, with KEDA's account.
struct Management {
    client: Client,
    host: String,
}

impl Management {
    const USER: &str = "keda";

    /// Enables the plugin of a running node and creates KEDA's account, with the tag `monitoring` and no permissions.
    async fn enable(broker: &RabbitMq) -> Self {
        let port = free_port();
        let plugins = broker.data_dir().with_file_name("plugins");
        std::fs::write(&plugins, "[rabbitmq_management].").unwrap();
        let set = |application: &str, key: &str, value: &str| {
            format!("application:set_env({application}, {key}, {value}, [{{persistent, true}}])")
        };
        let retention = "[{global, [{60, 1}]}, {basic, [{60, 1}]}, {detailed, [{60, 1}]}]";
        let enable = [
            set("rabbitmq_management", "tcp_config", &format!("[{{ip, \"127.0.0.1\"}}, {{port, {port}}}]")),
            set("rabbit", "quorum_tick_interval", "200"),
            // The same interval as that of the API's samples. Otherwise rates are 0 between two samples. Both are 5 s
            // by default.
            set("rabbit", "collect_statistics_interval", "1000"),
            set("rabbitmq_management_agent", "sample_retention_policies", retention),
            format!("rabbit_plugins:ensure(\"{}\")", plugins.display()),
        ];
        broker.control(&["eval", &format!("{}.", enable.join(", "))]).await;
        let management = Self { client: Client::new(), host: format!("http://127.0.0.1:{port}/") };
        let account = json!({ "password": Self::USER, "tags": "monitoring" });
        management.put(&format!("users/{}", Self::USER), &account).await;
        let nothing = json!({ "configure": "", "write": "", "read": "" });
        management.put(&format!("permissions/%2F/{}", Self::USER), &nothing).await;
        management
    }

    async fn put(&self, path: &str, body: &Value) {
        let request = self.client.put(format!("{}api/{path}", self.host)).basic_auth("guest", Some("guest"));
        let answer = request.json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }

    async fn measure(&self, trigger: &Trigger) -> Measured {
        let request = self.client.get(trigger.request_url(&self.host));
        let answer = request.basic_auth(Self::USER, Some(Self::USER)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        let answer: Value = answer.json().await.unwrap();
        // A queue that was declared just before has no counts yet.
        Measured { value: trigger.metric(&answer).ok(), target: trigger.value }
    }

    /// Asserts that KEDA's account can read no message.
    async fn assert_sees_no_message(&self) {
        let url = format!("{}api/queues/%2F/{}/get", self.host, Queue::Interactive.name());
        let read = json!({ "count": 1, "ackmode": "ack_requeue_true", "encoding": "auto" });
        let request = self.client.post(url).basic_auth(Self::USER, Some(Self::USER)).json(&read);
        let status = request.send().await.unwrap().status();
        assert!([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status), "{status}");
    }
}

/// Sends the usual load, a burst of ten times that, and the usual load again. Returns all answers.
async fn load(address: SocketAddr) -> Vec<UploadAnswer> {
    let picture = gray();
    let mut calls = Vec::new();
    for (rate, length) in [(USUAL_RATE, USUAL), (BURST_RATE, BURST), (USUAL_RATE, USUAL)] {
        let mut arrivals = interval(Duration::from_secs_f64(1.0 / rate));
        for _ in 0..(rate * length.as_secs_f64()) as usize {
            arrivals.tick().await;
            calls.push(tokio::spawn(async move {
                Upload::begin(address, picture.len(), Framing::Length).await.send(picture).await
            }));
        }
    }
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

async fn start(settings: &[(&'static str, String)], program: &str) -> Process {
    let mut process = spawn(settings, program);
    process.logged("ready").await;
    process
}

fn spawn(settings: &[(&'static str, String)], program: &str) -> Process {
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Process::spawn(program, &settings)
}
