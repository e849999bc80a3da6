//! Breaks the running system.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use faceline_loadtest::capture::{CaptureClient, Recording};
use faceline_shared::broker::{Message, Published, Queue, ReplyEvent};
use faceline_shared::face::ImageType;
use faceline_shared::job::{CarriedPicture, Coding, JobEnvelope, Routing, Task, VERSION};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use reqwest::Client;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;
use uuid::Uuid;

use super::changes::Fault;
use super::load::{
    ask, ask_nonsense, create_session, dark, delete_session, far_away, liveness, photo_verify, print, upload,
    wanted, without_face,
};
use super::other_worker::{other_models, other_version};
use super::site::{ACCOUNTS, Site};
use super::watch::Watch;
use crate::callback_receiver::CallbackReceiver;
use crate::client::{Caller, bytes};
use crate::prometheus::Prometheus;
use crate::raw::{Framing, Upload};

/// The workers' job name in the configuration of Prometheus.
const WORKERS: &str = "faceline-worker";
/// Number of jobs that hang at the same time.
const FLOOD: usize = 200;
/// Number of sessions that end together. Their failing rows must be nine tenths of all, also after a long, slow load.
const SESSIONS: usize = 800;
/// Number of callers that create and delete sessions at the same time.
const CALLERS: usize = 100;

/// Injects each fault. Faults that do not affect each other run at the same time.
pub(super) async fn break_everything(
    site: &mut Site,
    prometheus: &Prometheus,
    watch: &Watch<'_>,
    video: &Recording,
) {
    let (url, narrow) = (site.gateway.url().await, site.narrow.url().await);
    let worker = site.worker.admin().await;
    let files_and_workers = async {
        files(site, watch).await;
        // The other worker reads the keys, so the files must be valid again.
        other_workers(site, prometheus, watch, worker).await;
    };
    tokio::join!(
        files_and_workers,
        other_builds(site, watch),
        other_people(watch, &url),
        videos(watch, &narrow, video),
        failing_receiver(watch, &narrow),
    );
    // The overload comes before other faults that refuse requests.
    let caller = Caller::new(&url);
    let burst = async || drop(join_all((0..24).map(|_| caller.face(bytes("obama2.jpg")))).await);
    watch.during(Fault::Overload, async {}, burst).await;
    tokio::join!(intrusive_caller(watch, &url), bounds(watch, &narrow));
    tokio::join!(other_keys(site, watch), objects_unreachable(site, watch, &narrow));
    watch.during(Fault::NoWorker, site.worker.kill(), async || ()).await;
    let mut without_decoder = site.spawn("faceline-worker", &[("replay.ffmpeg", "/nowhere/ffmpeg")]);
    let join = async { prometheus.set_targets(WORKERS, &[without_decoder.admin().await]) };
    watch.during(Fault::NoDecoder, join, async || ()).await;
    without_decoder.kill().await;
    site.consuming_workers_are(0).await;
    site.worker = site.spawn("faceline-worker", &[("inference.sessions", "2")]);
    prometheus.set_targets(WORKERS, &[site.worker.admin().await]);
    hung_worker(site, prometheus, watch, (&url, &narrow), video).await;

    let nonsense = async || {
        tokio::join!(ask_nonsense(&url), ask_nonsense(&narrow));
    };
    watch.during(Fault::NoRedis, site.redis.kill9(), nonsense).await;
    let alarms = async {
        tokio::join!(
            site.broker.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]),
            site.broker.control(&["set_disk_free_limit", "1000000000000000"]),
        );
    };
    watch.during(Fault::BrokerAlarm, alarms, async || ask(&url).await).await;
    let password = async {
        site.broker.control(&["change_password", "guest", "other"]).await;
        site.broker.control(&["close_all_connections", "test"]).await;
    };
    watch.during(Fault::WrongPassword, password, async || ()).await;
    watch.during(Fault::NoRabbitmq, site.broker.kill9(), async || ask(&url).await).await;
    let old = prometheus.without_numbers(&["absent(faceline_queue_ready)".to_owned()]).await;
    assert!(old.is_empty(), "a gateway still reports the last counts of a broker that is unavailable");
    let gateways = async {
        tokio::join!(site.gateway.kill(), site.second.kill(), site.narrow.kill());
    };
    watch.during(Fault::NoGateway, gateways, async || ()).await;
}

/// Overwrites files with invalid content and restores them. Then lets a key and a certificate expire soon.
async fn files(site: &Site, watch: &Watch<'_>) {
    let mut before = None;
    let spoil = async {
        before = Some(site.write(&["keys.toml", "signing.toml", "accounts.toml", "tls.pem"], "half a fi"));
    };
    watch.during(Fault::SpoiledFiles, spoil, async || ()).await;
    for (path, text) in before.unwrap() {
        std::fs::write(path, text).unwrap();
    }
    let expiring = async {
        let soon = ACCOUNTS.replace("2020-01-01T00:00:00Z", &date("3 days", "+%FT%TZ").await);
        site.write(&["accounts.toml"], &soon);
        let tomorrow = date("1 day", "+%Y %-m %-d").await;
        let day: Vec<u16> = tomorrow.split(' ').map(|part| part.parse().unwrap()).collect();
        let day = (day[0].into(), day[1] as u8, day[2] as u8);
        let certificate = site.authority.issue_until("expiring", day);
        std::fs::copy(certificate.key, site.path("tls.key")).unwrap();
        std::fs::copy(certificate.certificate, site.path("tls.pem")).unwrap();
    };
    watch.during(Fault::ExpiringKeys, expiring, async || ()).await;
}

/// The date after a time such as `3 days`, in the format of date(1).
async fn date(ahead: &str, format: &str) -> String {
    let output = Command::new("date").args(["-u", "-d", ahead, format]).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn intrusive_caller(watch: &Watch<'_>, url: &str) {
    let client = Client::new();
    let intrude = async || {
        for _ in 0..5 {
            let request =
                client.post(format!("{url}/api/v1/face/liveness")).basic_auth("demo", Some("wrong"));
            let _ = request.json(&json!({"faceImageBase": ""})).send().await;
            create_session(&client, url, &json!({})).await;
        }
    };
    watch.during(Fault::IntrusiveCaller, async {}, intrude).await;
}

/// Sends the messages of a broken worker, of a gateway of another build, and of one with a wrong clock.
async fn other_builds(site: &Site, watch: &Watch<'_>) {
    let broken = async {
        let body = Bytes::from_static(b"no envelope");
        let message =
            Message { id: Uuid::now_v7(), reply_to: None, expiration: None, earlier_attempts: 0, body };
        assert_eq!(site.services.broker.publish(&Queue::Results, &message).await, Published::Accepted);
    };
    watch.during(Fault::BrokenResults, broken, async || ()).await;

    let mut replies = site.services.broker.replies("other").await;
    let Some(ReplyEvent::Opened { queue }) = replies.next().await else { panic!("no reply queue opens") };
    let newer = async || {
        for _ in 0..3 {
            publish(site, &queue, "newer", |envelope| envelope.version = VERSION + 1).await;
        }
    };
    watch.during(Fault::NewerJobs, async {}, newer).await;
    let fast = async || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(10);
        publish(site, &queue, "fast", |envelope| envelope.published_at = now.as_millis() as u64).await;
    };
    watch.during(Fault::FastClock, async {}, fast).await;
}

/// Publishes a job of the gateway `name`.
async fn publish(site: &Site, reply_to: &str, name: &str, change: impl FnOnce(&mut JobEnvelope)) {
    let (id, body) = envelope(site, name, change);
    let reply_to = Some(reply_to.to_owned());
    let message = Message { id, reply_to, expiration: None, earlier_attempts: 0, body };
    assert_eq!(site.services.broker.publish(&Queue::Interactive, &message).await, Published::Accepted);
}

/// A job of the gateway `name`, whose picture is not a picture.
fn envelope(site: &Site, name: &str, change: impl FnOnce(&mut JobEnvelope)) -> (Uuid, Bytes) {
    let id = Uuid::now_v7();
    let routing = Routing {
        id,
        client: "bank".into(),
        gateway: name.into(),
        budget: Duration::from_secs(4),
        traceparent: String::new(),
    };
    let picture = CarriedPicture::Inline(Bytes::from_static(b"no picture"));
    let task = Task::Code(Coding { picture, image_type: ImageType::Selfie, rotate: false });
    let mut envelope = JobEnvelope::seal(routing, &task, &site.services.keys.data).unwrap();
    change(&mut envelope);
    (id, envelope.encode().unwrap())
}

/// Adds a worker of another version. Then adds one with another model and another calibration, and kills it.
async fn other_workers(site: &Site, prometheus: &Prometheus, watch: &Watch<'_>, worker: SocketAddr) {
    let (address, other) = other_version(worker).await;
    let join = async { prometheus.set_targets(WORKERS, &[worker, address]) };
    watch.during(Fault::OtherVersion, join, async || ()).await;
    prometheus.set_targets(WORKERS, &[worker]);
    drop(other);

    let models = other_models();
    let own = [
        ("models.dir", models.path().to_str().unwrap()),
        ("liveness.calibration", "front-desk"),
        ("inference.sessions", "1"),
    ];
    let mut other = site.spawn("faceline-worker", &own);
    let join = async { prometheus.set_targets(WORKERS, &[worker, other.admin().await]) };
    watch.during(Fault::OtherModels, join, async || ()).await;
    prometheus.set_targets(WORKERS, &[worker]);
    site.consuming_workers_are(2).await;
    let kill = async {
        other.suspend().await;
        // The suspended worker gets every second job.
        for _ in 0..10 {
            publish(site, "nobody", "dead", |_| ()).await;
        }
        other.kill().await;
    };
    watch.during(Fault::KilledWorker, kill, async || ()).await;
}

async fn other_people(watch: &Watch<'_>, url: &str) {
    let (client, caller) = (Client::new(), Caller::new(url));
    let (dark, print, far_away) = (dark(), print(), far_away());
    let come = async || {
        caller.score("obama.jpg", "biden.jpg").await;
        for _ in 0..3 {
            let (status, body) = caller.face(dark.clone()).await;
            assert!(status.is_success(), "{status} {body}");
        }
        // There are enough prints to change the highest tenth of the scores.
        let prints = (0..6).map(|_| liveness(&client, url, &print));
        let others =
            [photo_verify(&client, url, "obama.jpg", "biden.jpg"), liveness(&client, url, &far_away)];
        for request in prints.chain(others) {
            assert!(request.send().await.unwrap().status().is_success());
        }
    };
    watch.during(Fault::OtherPeople, async {}, come).await;
}

/// Uploads that do not end, and then uploads that are not videos.
async fn videos(watch: &Watch<'_>, url: &str, video: &Recording) {
    watch.during(Fault::SlowUpload, async {}, async || slow_upload(url, video).await).await;
    let broken = async || upload(url, &Recording::of("no video", "video/webm"), 600).await;
    watch.during(Fault::BrokenVideos, async {}, broken).await;
}

/// Sends half of an upload, and nothing for two seconds.
async fn slow_upload(url: &str, video: &Recording) {
    let client = CaptureClient::new(url, "demo");
    let keys = client.published_keys().await.unwrap();
    let session = client.create_session(&json!({})).await.unwrap();
    let parameters = client.set_parameters(session, &wanted(video).parameters(), &keys).await.unwrap();
    let sealed = faceline_loadtest::capture::seal(session, &parameters, video).unwrap();
    let part = |name: &str, kind: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\nContent-Type: {kind}\r\n\r\n"
        )
    };
    let before = format!(
        "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n{}",
        sealed.metadata,
        part("media", "application/octet-stream")
    );
    let head = format!(
        "POST /bioserver-app/v2/bio-sessions/{session}/replay-liveness HTTP/1.1\r\nHost: x\r\napikey: demo\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        before.len() + sealed.media.len() + "\r\n--b--\r\n".len()
    );
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    stream.write_all((head + &before).as_bytes()).await.unwrap();
    stream.write_all(&sealed.media[..sealed.media.len() / 2]).await.unwrap();
    sleep(Duration::from_secs(2)).await;
}

/// A replay without an upload ends soon. The receiver accepts its callback at no attempt until the session ends.
async fn failing_receiver(watch: &Watch<'_>, url: &str) {
    let receiver = CallbackReceiver::failing(usize::MAX).await;
    let client = CaptureClient::new(url, "demo");
    let keys = client.published_keys().await.unwrap();
    let fail = async {
        let session = json!({"callbackURL": receiver.url(), "ttlSeconds": 30});
        let session = client.create_session(&session).await.unwrap();
        let parameters = wanted(&Recording::of(vec![], "video/webm")).parameters();
        client.set_parameters(session, &parameters, &keys).await.unwrap();
    };
    watch.during(Fault::FailingReceiver, fail, async || ()).await;
}

/// More bytes, and then more connections, than a gateway may hold.
async fn bounds(watch: &Watch<'_>, url: &str) {
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let bodies = async || {
        let _held = join_all((0..5).map(|_| Upload::begin(address, 900_000, Framing::Length))).await;
        sleep(Duration::from_secs(1)).await;
    };
    watch.during(Fault::LargeBodies, async {}, bodies).await;
    let connections = async || {
        let _held = join_all((0..310).map(|_| TcpStream::connect(address))).await;
        sleep(Duration::from_secs(1)).await;
    };
    watch.during(Fault::ManyConnections, async {}, connections).await;
}

/// Adds a gateway with other keys. The other gateways cannot read the rows that its sessions leave in the outbox.
async fn other_keys(site: &Site, watch: &Watch<'_>) {
    let elsewhere = TempDir::new().unwrap();
    let own = [("data_dir", elsewhere.path().to_str().unwrap()), ("limits.client_sessions", "10000")];
    let (client, joined) = (Client::new(), OnceLock::new());
    let join = async {
        let mut stranger = site.spawn("faceline-gateway", &own);
        let url = stranger.url().await;
        assert!(joined.set((stranger, url)).is_ok());
    };
    let leave = async || {
        let (_, url) = joined.get().expect("it has joined");
        create_session(&client, url, &json!({"ttlSeconds": 1})).await;
    };
    watch.during(Fault::OtherKeys, join, leave).await;
}

/// Replaces the folder of objects with a link to itself, so the pictures of ended sessions cannot be deleted.
async fn objects_unreachable(site: &Site, watch: &Watch<'_>, url: &str) {
    let client = Client::new();
    let (objects, renamed) = (site.path("objects"), site.path("objects-renamed"));
    let end_sessions = async {
        let session = json!({"imageStorageEnabled": true});
        let created = stream::iter(0..SESSIONS).map(|_| create_session(&client, url, &session));
        let sessions: Vec<_> = created.buffer_unordered(CALLERS).collect().await;
        std::fs::rename(&objects, &renamed).unwrap();
        std::os::unix::fs::symlink(&objects, &objects).unwrap();
        let sessions = stream::iter(sessions.into_iter().map(|session| session.expect("a session")));
        let client = &client;
        let delete = async |session: String| delete_session(client, url, &session).await;
        sessions.for_each_concurrent(CALLERS, delete).await;
    };
    let nonsense = async || drop(join_all((0..3).map(|_| ask_nonsense(url))).await);
    watch.during(Fault::ObjectsUnavailable, end_sessions, nonsense).await;
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(&renamed, &objects).unwrap();
}

/// The worker hangs. Its jobs miss their deadline, and then enough jobs wait to fill the queue.
async fn hung_worker(
    site: &Site,
    prometheus: &Prometheus,
    watch: &Watch<'_>,
    (url, narrow): (&str, &str),
    video: &Recording,
) {
    // After that, the worker takes the first jobs that are published.
    site.consuming_workers_are(1).await;
    let idle = [
        "sum(faceline_worker_running_jobs) + sum(faceline_gateway_inflight_jobs) \
         + sum(faceline:queue_ready:max{queue=\"faceline.jobs.interactive\"}) == 0",
        "min(up{job=\"faceline-worker\"}) == 1",
    ];
    let busy = prometheus.without_numbers(&idle.map(str::to_owned)).await;
    assert!(busy.is_empty(), "the worker is not idle: {busy:?}");
    let small = without_face();
    let post = |url: &str| {
        let (caller, small) = (Caller::new(url), small.clone());
        tokio::spawn(async move { drop(caller.face(small).await) })
    };
    let hang = async {
        site.worker.suspend().await;
        drop(post(url));
        let replays = join_all((0..3).map(|_| upload(narrow, video, 120)));
        let quarantine = async {
            for _ in 0..3 {
                let (id, body) = envelope(site, "dead", |_| ());
                let reply_to = Some("nobody".to_owned());
                let message = Message { id, reply_to, expiration: None, earlier_attempts: 2, body };
                let published = site.services.broker.publish(&Queue::Quarantine, &message).await;
                assert_eq!(published, Published::Accepted);
            }
        };
        let slow = async {
            post(narrow).await.unwrap();
            post(narrow).await.unwrap();
        };
        tokio::join!(replays, quarantine, slow);
        for _ in 0..3 {
            join_all((0..FLOOD).map(|_| post(narrow))).await;
        }
        let bound = ["set_policy", "short", "^faceline.jobs.interactive$", r#"{"max-length":1}"#];
        site.broker.control(&bound).await;
    };
    // The full queue refuses these requests quickly.
    let refused = async || drop(join_all((0..2).map(|_| post(narrow))).await);
    watch.during(Fault::HungWorker, hang, refused).await;
}
