//! Replays, from the capture client to the callback, also if a process is killed in between.

use std::time::Duration;

use faceline_loadtest::capture::{
    Capture, CaptureClient, PinnedKeys, Recording, UploadAnswer, capture, seal,
};
use faceline_shared::replay::LivenessType;
use faceline_shared::testkit::{PooledRabbitMq, Redis, S3};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use crate::callback_receiver::CallbackReceiver;
use crate::client::bytes;
use crate::process::{Process, ServerRun};
use crate::sessions::in_turn;

/// Settings with which callbacks reach this machine, and a lost job is detected soon.
const SETTINGS: [(&str, &str); 3] = [
    ("callbacks.allowed_networks", r#"["127.0.0.0/8"]"#),
    ("replay.deadline", "60s"),
    ("inference.sessions", "1"),
];
/// Time limit. These tests run slow builds of the workers.
const TIMEOUT: Duration = Duration::from_mins(4);

/// Three seconds of a photo that does not move: a presentation attack.
pub(crate) async fn photo_video() -> Recording {
    let folder = TempDir::new().unwrap();
    let (photo, video) = (folder.path().join("photo.jpg"), folder.path().join("video.webm"));
    std::fs::write(&photo, bytes("obama.jpg")).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-loop", "1", "-framerate", "10", "-i", photo.to_str().unwrap()])
        .args(["-t", "3", "-vf", "scale=640:-2", "-c:v", "libvpx", "-b:v", "1M", video.to_str().unwrap()])
        .output()
        .await
        .expect("ffmpeg is installed by deploy/dev/packages.sh");
    assert!(output.status.success(), "{output:?}");
    Recording::of(std::fs::read(video).unwrap(), "video/webm")
}

async fn client(process: &mut Process) -> (CaptureClient, PinnedKeys) {
    client_of(&process.url().await).await
}

async fn client_of(url: &str) -> (CaptureClient, PinnedKeys) {
    let client = CaptureClient::new(url, "demo");
    let keys = client.published_keys().await.unwrap();
    (client, keys)
}

fn wanted(recording: Recording, receiver: &CallbackReceiver) -> Capture {
    Capture {
        session: json!({"callbackURL": receiver.url()}),
        timeout: TIMEOUT,
        ..Capture::new(LivenessType::PassiveVideo, recording)
    }
}

/// Uploads a recording, and returns when the service has accepted it.
async fn uploaded(client: &CaptureClient, keys: &PinnedKeys, wanted: &Capture) -> Uuid {
    let session = client.create_session(&wanted.session).await.unwrap();
    let parameters = client.set_parameters(session, &wanted.parameters(), keys).await.unwrap();
    let upload = seal(session, &parameters, &wanted.recording).unwrap();
    client.upload_until_accepted(session, &upload, &parameters).await.unwrap();
    session
}

fn assert_spoof(status: &Value) {
    assert_eq!(status["status"], "SPOOF", "{status}");
    assert!(status.get("image").is_none(), "{status}");
}

/// Asserts that the receiver got one callback for a session, at least `attempts` times.
async fn assert_called_back(receiver: &CallbackReceiver, session: Uuid, attempts: usize) {
    let received = receiver.until(attempts).await;
    let body = json!({"sessionId": session}).to_string();
    assert!(received.iter().all(|callback| callback.body == body), "{received:?}");
    assert_eq!(receiver.distinct(), 1, "{received:?}");
}

#[tokio::test]
async fn a_replay_goes_from_the_device_to_the_service_provider() {
    let _run = ServerRun::begin().await;
    let folder = TempDir::new().unwrap();
    let data_dir = ("data_dir", folder.path().to_str().unwrap());
    let mut faceline = Process::start("faceline", &[&SETTINGS[..], &[data_dir]].concat()).await;
    let (client, keys) = client(&mut faceline).await;
    let receiver = CallbackReceiver::failing(2).await;
    let done = capture(&client, &keys, &wanted(photo_video().await, &receiver)).await.unwrap();
    assert_spoof(&done.status);
    assert_called_back(&receiver, done.session, 3).await;
    faceline.metric_is(r#"faceline_outbox_rows{lane="callbacks"}"#, |rows| rows == 0.0).await;
}

/// The settings of processes that share a broker, a store and a bucket.
fn shared<'a>(
    folder: &'a TempDir,
    urls: &'a [String; 3],
    objects: &'a faceline_shared::settings::ObjectSettings,
) -> Vec<(&'a str, &'a str)> {
    let mut settings = SETTINGS.to_vec();
    settings.extend([
        ("data_dir", folder.path().to_str().unwrap()),
        ("broker.url", &*urls[0]),
        ("store.url", &*urls[1]),
        ("objects.url", &*urls[2]),
        ("objects.endpoint", objects.endpoint.as_deref().unwrap()),
        ("objects.access_key_id", objects.access_key_id.as_deref().unwrap()),
        ("objects.secret_access_key", objects.secret_access_key.as_deref().unwrap()),
    ]);
    settings
}

#[tokio::test]
async fn two_gateways_and_two_workers_share_replays_and_a_killed_worker_loses_none() {
    let _run = ServerRun::begin().await;
    let (broker, redis, s3) = tokio::join!(PooledRabbitMq::take(), Redis::start_persistent(), S3::start());
    let folder = TempDir::new().unwrap();
    let (urls, objects) = ([broker.url(), redis.url(), s3.url()], s3.settings());
    let settings = shared(&folder, &urls, &objects);
    let start = |program| Process::start(program, &settings);
    let (mut one, mut two) = tokio::join!(start("faceline-gateway"), start("faceline-gateway"));
    let (mut first, second) = tokio::join!(start("faceline-worker"), start("faceline-worker"));
    let addresses = [one.url().await, two.url().await];
    let addresses = addresses.map(|url| url.trim_start_matches("http://").parse().unwrap());
    let (url, _balancer) = in_turn(addresses.to_vec()).await;
    let (client, keys) = client_of(&url).await;
    let video = photo_video().await;
    let receiver = CallbackReceiver::failing(2).await;
    let done = capture(&client, &keys, &wanted(video.clone(), &receiver)).await.unwrap();
    assert_spoof(&done.status);
    assert_called_back(&receiver, done.session, 3).await;

    // The only worker is killed while it has the job.
    drop(second);
    let receiver = CallbackReceiver::failing(0).await;
    let published = async |gateway: &mut Process| {
        gateway.metric(r#"faceline_replay_jobs_published_total{outcome="accepted"}"#).await
    };
    let before = published(&mut one).await + published(&mut two).await;
    let session = uploaded(&client, &keys, &wanted(video, &receiver)).await;
    while published(&mut one).await + published(&mut two).await == before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.kill().await;
    assert_eq!(client.status(session, &keys).await.unwrap()["status"], "IN_PROGRESS");
    let _successor = start("faceline-worker").await;
    assert_spoof(&client.wait_for_end(session, &keys, TIMEOUT).await.unwrap());
    assert_called_back(&receiver, session, 1).await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_after_it_accepted_an_upload_loses_no_replay() {
    let _run = ServerRun::begin().await;
    let (broker, redis, s3) = tokio::join!(PooledRabbitMq::take(), Redis::start_persistent(), S3::start());
    let folder = TempDir::new().unwrap();
    let (urls, objects) = ([broker.url(), redis.url(), s3.url()], s3.settings());
    let settings = shared(&folder, &urls, &objects);
    let _worker = Process::start("faceline-worker", &settings).await;
    let video = photo_video().await;
    for _ in 0..3 {
        let receiver = CallbackReceiver::failing(1).await;
        let mut gateway = Process::start("faceline-gateway", &settings).await;
        let (client, keys) = client(&mut gateway).await;
        let session = uploaded(&client, &keys, &wanted(video.clone(), &receiver)).await;
        gateway.kill().await;
        let mut successor = Process::start("faceline-gateway", &settings).await;
        let (client, keys) = client_of(&successor.url().await).await;
        assert_spoof(&client.wait_for_end(session, &keys, TIMEOUT).await.unwrap());
        assert_called_back(&receiver, session, 2).await;
    }
}

#[tokio::test]
async fn a_standalone_that_is_killed_in_mid_replay_judges_it_after_its_restart() {
    let _run = ServerRun::begin().await;
    let folder = TempDir::new().unwrap();
    let data_dir = ("data_dir", folder.path().to_str().unwrap());
    let settings = [&SETTINGS[..], &[data_dir]].concat();
    let mut faceline = Process::start("faceline", &settings).await;
    let (client, keys) = client(&mut faceline).await;
    let receiver = CallbackReceiver::failing(0).await;
    let session = uploaded(&client, &keys, &wanted(photo_video().await, &receiver)).await;
    faceline.metric_reaches(r#"faceline_replay_jobs_published_total{outcome="accepted"}"#, 1.0).await;
    faceline.kill().await;
    let mut successor = Process::start("faceline", &settings).await;
    let (client, keys) = client_of(&successor.url().await).await;
    assert_spoof(&client.wait_for_end(session, &keys, TIMEOUT).await.unwrap());
    assert_called_back(&receiver, session, 1).await;
}

#[tokio::test]
async fn a_replay_without_an_upload_ends_with_timeout_and_a_callback() {
    let folder = TempDir::new().unwrap();
    let own = [("data_dir", folder.path().to_str().unwrap()), ("replay.upload_timeout", "1s")];
    let mut faceline = Process::start("faceline", &[&SETTINGS[..], &own].concat()).await;
    let (client, keys) = client(&mut faceline).await;
    let receiver = CallbackReceiver::failing(2).await;
    let wanted = wanted(Recording::of(vec![], "video/webm"), &receiver);
    let session = client.create_session(&wanted.session).await.unwrap();
    let parameters = client.set_parameters(session, &wanted.parameters(), &keys).await.unwrap();
    let status = client.wait_for_end(session, &keys, TIMEOUT).await.unwrap();
    assert_eq!(status["status"], "TIMEOUT", "{status}");
    assert_called_back(&receiver, session, 3).await;
    // The token expires with the challenge.
    let recording = Recording::of(vec![0; 1000], "video/webm");
    let upload = seal(session, &parameters, &recording).unwrap();
    let token = parameters.capture_token.as_deref().unwrap();
    let credential = faceline_loadtest::capture::Credential::Token(token);
    let UploadAnswer { status, .. } = client.upload(session, &upload, credential).await.unwrap();
    assert!((400..500).contains(&status), "{status}");
}
