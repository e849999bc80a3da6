//! Exactly one usage record for each answer, even when processes are killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use faceline_shared::testkit::{PooledRabbitMq, Redis};
use futures_util::future::join_all;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::watch;

use crate::client::bytes;
use crate::process::{Process, ServerRun};

/// Number of concurrent callers.
const CALLERS: usize = 8;
/// Number of answers between two kills.
const ROUND: usize = 60;
const TIMEOUT: Duration = Duration::from_secs(60);

/// The status of each answer that callers got, by request id.
type Answers = BTreeMap<String, u16>;

/// The current URLs of the gateways.
type Urls = watch::Receiver<Vec<String>>;

/// The callers of a test, and the answers that they got.
struct Crowd {
    client: Client,
    urls: Urls,
    sent: AtomicUsize,
    answered: AtomicUsize,
    enough: AtomicBool,
}

impl Crowd {
    fn new(urls: Urls) -> Arc<Self> {
        // Each request has a connection of its own. On a reused connection, the library might send a request twice.
        let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let [sent, answered] = [(); 2].map(|()| AtomicUsize::new(0));
        Arc::new(Self { client, urls, sent, answered, enough: AtomicBool::new(false) })
    }

    /// Sends one request. Returns the `Location` of its answer, if there is one.
    async fn send(
        &self,
        answers: &mut Answers,
        build: impl FnOnce(&str) -> RequestBuilder,
    ) -> Option<String> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let id = format!("request-{number}");
        let url = {
            let urls = self.urls.borrow();
            urls[number % urls.len()].clone()
        };
        let request =
            build(&format!("{url}/bioserver-app")).header("apikey", "demo").header("x-request-id", &id);
        let Ok(answer) = request.send().await else { return None };
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        // A request counts as answered as soon as the head of its answer arrives.
        answers.insert(id, answer.status().as_u16());
        self.answered.fetch_add(1, Ordering::Relaxed);
        location
    }

    /// A caller that creates, reads and deletes sessions and faces. Some of its requests are for sessions that do not
    /// exist.
    async fn call(self: Arc<Self>) -> Answers {
        let mut answers = Answers::new();
        let request = |method: Method, path: String| {
            let client = self.client.clone();
            move |base: &str| client.request(method, format!("{base}{path}"))
        };
        let picture = bytes("obama2.jpg");
        while !self.enough.load(Ordering::Relaxed) {
            let nothing = format!("/v2/bio-sessions/{}", uuid::Uuid::new_v4());
            self.send(&mut answers, request(Method::GET, nothing)).await;
            let create = request(Method::POST, "/v2/bio-sessions".into());
            let Some(session) = self.send(&mut answers, create).await else { continue };
            self.send(&mut answers, request(Method::GET, session.clone())).await;
            let form = Form::new().part("image", Part::bytes(picture.clone())).text("imageType", "SELFIE");
            let post = request(Method::POST, format!("{session}/faces"));
            self.send(&mut answers, |base| post(base).multipart(form)).await;
            self.send(&mut answers, request(Method::GET, format!("{session}/faces"))).await;
            self.send(&mut answers, request(Method::DELETE, session)).await;
        }
        answers
    }

    async fn reaches(&self, answered: usize) {
        let reached = async {
            while self.answered.load(Ordering::Relaxed) < answered {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, reached).await.expect("no caller is answered");
    }
}

/// The output of `usage export` for yesterday, today and tomorrow.
pub(crate) async fn export(folder: &TempDir, program: &str, arguments: &[&str]) -> String {
    // The range has one more day on both sides, in case midnight passes during the test.
    let day = |offset: &str| {
        let output = std::process::Command::new("date").args(["-u", "-d", offset, "+%F"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let output = Command::new(crate::programs::program(program))
        .args(["usage", "export", "--from", &day("yesterday"), "--to", &day("tomorrow")])
        .args(arguments)
        .args(["--set", &format!("data_dir={}", folder.path().display())])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compares the answers of callers with the exported records.
async fn assert_billed(folder: &TempDir, program: &str, answers: &Answers, sent: usize) {
    let records = export(folder, program, &["--records", "--format", "json"]).await;
    let mut billed: BTreeMap<String, u64> = BTreeMap::new();
    let mut counts: BTreeMap<[String; 2], u64> = BTreeMap::new();
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        let number: usize = text("request").strip_prefix("request-").unwrap().parse().unwrap();
        assert!(number < sent, "a record of a request that nobody sent: {record}");
        if let Some(status) = answers.get(&text("request")) {
            assert_eq!(record["status"], *status, "{record}");
        }
        *billed.entry(text("request")).or_default() += 1;
        *counts.entry([text("operation"), text("outcome")]).or_default() += 1;
    }
    let mut given = 0;
    for (id, status) in answers.iter().filter(|(_, status)| !matches!(**status, 429 | 503)) {
        assert_eq!(billed.get(id), Some(&1), "records of {id}, which was answered with {status}");
        given += 1;
    }
    assert!(billed.values().all(|number| *number == 1), "a request is billed twice");
    println!("{given} answers, {} records, {sent} requests", billed.len());

    // The exported sums are the sums of these records.
    let table = export(folder, program, &["--client", "demo"]).await;
    let mut sums = BTreeMap::new();
    for line in table.lines().skip(1) {
        let [_, client, family, operation, outcome, answers] =
            line.split(',').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((client, family), ("demo", "biometric_services"));
        *sums.entry([operation.to_owned(), outcome.to_owned()]).or_default() +=
            answers.parse::<u64>().unwrap();
    }
    assert_eq!(sums, counts);
    assert_eq!(export(folder, program, &["--client", "nobody"]).await.lines().count(), 1);
}

#[tokio::test]
async fn each_answer_has_one_record_whichever_gateway_is_killed() {
    let _run = ServerRun::begin().await;
    let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start_persistent());
    let folder = TempDir::new().unwrap();
    let (broker_url, redis_url) = (broker.url(), redis.url());
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("broker.url", broker_url.as_str()),
        ("store.url", redis_url.as_str()),
        ("usage.interval", "200ms"),
        ("inference.sessions", "1"),
    ];
    let start = |program| Process::start(program, &settings);
    let (one, other, _worker) =
        tokio::join!(start("faceline-gateway"), start("faceline-gateway"), start("faceline-worker"));
    let mut gateways = [one, other];
    let (urls_sender, urls) = watch::channel(vec![gateways[0].url().await, gateways[1].url().await]);
    let crowd = Crowd::new(urls);
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(Arc::clone(&crowd).call())).collect();
    for round in 1..=4 {
        crowd.reaches(round * ROUND).await;
        let victim = round % 2;
        gateways[victim].kill().await;
        gateways[victim] = start("faceline-gateway").await;
        let url = gateways[victim].url().await;
        urls_sender.send_modify(|urls| urls[victim] = url);
    }
    crowd.reaches(5 * ROUND).await;
    crowd.enough.store(true, Ordering::Relaxed);
    let answers = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
    // A killed gateway may have leased rows. The others take them when the lease expires.
    for gateway in &mut gateways {
        gateway.metric_is("faceline_usage_rows", |rows| rows == 0.0).await;
        let (code, log) = gateway.terminate().await;
        assert_eq!(code, Some(0), "{log}");
    }
    assert_billed(&folder, "faceline-gateway", &answers, crowd.sent.load(Ordering::Relaxed)).await;
}

#[tokio::test]
async fn each_answer_has_one_record_when_the_standalone_is_killed() {
    let folder = TempDir::new().unwrap();
    let settings = [("data_dir", folder.path().to_str().unwrap()), ("usage.interval", "100ms")];
    let mut faceline = Process::start("faceline", &settings).await;
    let (urls_sender, urls) = watch::channel(vec![faceline.url().await]);
    let crowd = Crowd::new(urls);
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(Arc::clone(&crowd).call())).collect();
    for round in 1..=2 {
        crowd.reaches(round * ROUND).await;
        faceline.kill().await;
        faceline = Process::start("faceline", &settings).await;
        let url = faceline.url().await;
        urls_sender.send_modify(|urls| urls[0] = url);
    }
    crowd.reaches(3 * ROUND).await;
    crowd.enough.store(true, Ordering::Relaxed);
    let answers = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
    // Records that a killed process had taken are moved some time later.
    faceline.metric_is("faceline_usage_rows", |rows| rows == 0.0).await;
    let (code, log) = faceline.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_billed(&folder, "faceline", &answers, crowd.sent.load(Ordering::Relaxed)).await;
}
