//! Uploads of replays: the accepted ones, and every refusal.

mod connections;
mod device;
mod races;
mod session_id;

use std::time::Duration;

use faceline_gateway::replays::{EndedReplay, ReplayState, ReplayStatus};
use faceline_gateway_store::outbox::Lane;
use faceline_shared::broker::{Message, Queue};
use faceline_shared::job::examination::Direction;
use faceline_shared::job::replay::ChallengeEvent;
use faceline_shared::replay::challenges;
use faceline_shared::replay::metadata::ShownChallenge;
use uuid::Uuid;

use self::device::{Device, Row};
use crate::client::{Answer, form, multipart, post_body, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

const NOT_OPEN: &str = "`metadata` does not open, or is not for this replay";

async fn gateway() -> Gateway {
    Gateway::start(Workers::able()).await
}

/// Status and message of an error.
fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["message"].as_str().unwrap().to_owned())
}

fn counted(gateway: &Gateway, outcome: &str, count: u32) {
    let line = format!("faceline_replay_uploads_total{{outcome=\"{outcome}\"}} {count}\n");
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    assert!(metrics.contains("faceline_replay_uploads_in_progress 0\n"));
}

/// Sessions and jobs of the rows for judging replays, published or not.
async fn jobs(gateway: &Gateway) -> Vec<(Uuid, Uuid)> {
    let outbox = gateway.stores.records().outbox;
    let rows = outbox.list::<Row>(Lane::Replays, 100).await.unwrap();
    let job = |row| match row {
        Row::Judge { session, job } => Some((session, job)),
        _ => None,
    };
    rows.into_iter().filter_map(|row| job(row.payload.unwrap())).collect()
}

#[tokio::test]
async fn an_upload_is_kept_as_it_came_and_handed_to_the_workers() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let upload = device.upload(3_000_000);
    let answer = device.send(&upload.body()).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{answer:?}");
    assert_eq!(answer.header("content-length"), Some("0"));

    let replay = device.stored().await;
    let ReplayState::InProgress(submitted) = replay.record.state else { panic!("{replay:?}") };
    assert_eq!(device.objects(), [format!("replays/{}/{}", device.session, submitted.job)]);
    let object = gateway.stores.objects().get(&device.objects()[0]).await.unwrap().unwrap();
    assert!(object == upload.media);

    let media = &submitted.task.media;
    assert_eq!((media.object.as_str(), media.length), (device.objects()[0].as_str(), object.len() as u64));
    assert_eq!((media.session, media.replay.as_str()), (device.session, "replay-id"));
    assert_eq!(media.content_type, "video/mp4");
    let expected: Vec<Direction> = challenges(device.record.seed, 2);
    assert_eq!(submitted.task.challenges, expected);
    assert_eq!(submitted.task.events, [ChallengeEvent { challenge: 1, shown_at_ms: 1500 }]);
    assert!(submitted.task.mirrored);
    assert_eq!(submitted.device_info.unwrap(), serde_json::json!({"osType": "Android"}));
    assert_eq!(submitted.sdk_info.unwrap(), serde_json::json!({"sdkVersion": "1.0.0"}));
    assert!(submitted.traceparent.starts_with("00-"));

    assert_eq!(jobs(&gateway).await, [(device.session, submitted.job)]);
    counted(&gateway, "accepted", 1);
    let bytes = format!("faceline_replay_upload_bytes_total {}\n", upload.media.len());
    assert!(gateway.metrics.encode().contains(&bytes));
    let deleted = crate::client::delete(gateway.address, &format!("{SESSIONS}/{}", device.session)).await;
    assert_eq!(deleted.status, 409, "a video is being judged");
}

#[tokio::test]
async fn the_same_upload_again_gets_the_same_answer_and_another_one_is_refused() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let upload = device.upload(100_000);
    assert_eq!(device.send(&upload.body()).await.status, 202);
    let first = device.stored().await.revision;
    assert_eq!(device.send(&upload.body()).await.status, 202);
    // The media is not read again, because the metadata identifies it.
    let without_media = form(&[("metadata", upload.metadata.as_bytes())]);
    assert_eq!(device.send(&without_media).await.status, 202);
    let another = device.send(&device.upload(100_000).body()).await;
    assert_eq!(refused(&another), (409, "The replay has another video already".into()));

    let record = device.stored().await.record;
    let ReplayState::InProgress(submitted) = record.state.clone() else { panic!() };
    assert_eq!((device.stored().await.revision, device.objects().len()), (first, 1));
    let ended = EndedReplay {
        job: Some(submitted.job),
        media_digest: Some(submitted.media_digest),
        ..ended(ReplayStatus::Success)
    };
    let record =
        faceline_gateway::replays::ReplayRecord { state: ReplayState::Ended(Box::new(ended)), ..record };
    assert!(device.write(first, &record, None, Duration::ZERO).await);
    assert_eq!(device.send(&upload.body()).await.status, 202, "after the end, too");
    assert_eq!(device.send(&device.upload(10).body()).await.status, 409);
    counted(&gateway, "repeated", 3);
}

/// The end of a replay with a status and nothing else.
pub(crate) fn ended(status: ReplayStatus) -> EndedReplay {
    EndedReplay {
        job: None,
        media_digest: None,
        status,
        diagnostic: None,
        best_image: None,
        best_face: None,
        best_face_id: None,
        age: None,
        device_info: None,
        sdk_info: None,
        image_storage: None,
        video_storage: None,
    }
}

#[tokio::test]
async fn a_body_has_two_parts_in_their_order() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let upload = device.upload(1000);
    let (metadata, media) = (("metadata", upload.metadata.as_bytes()), ("media", &upload.media[..]));
    let long = vec![b'x'; (16 << 10) + 1];
    for (parts, expected) in [
        (&[media, metadata][..], "the first part must be `metadata`"),
        (&[media], "the first part must be `metadata`"),
        (&[], "the first part must be `metadata`"),
        (&[metadata], "the second part must be `media`"),
        (&[metadata, metadata, media], "the second part must be `media`"),
        (&[metadata, ("other", b"x"), media], "the second part must be `media`"),
        (&[metadata, media, ("other", b"x")], "no part may follow `media`"),
        (&[metadata, media, media], "no part may follow `media`"),
        (&[("metadata", b""), media], NOT_OPEN),
    ] {
        let answer = device.send(&form(parts)).await;
        assert_eq!(refused(&answer), (400, expected.into()));
        assert!(device.is_initialized().await && device.objects().is_empty(), "{expected}");
    }
    let (status, message) = refused(&device.send(&form(&[("metadata", &long), media])).await);
    assert_eq!(status, 413, "{message}");
    let mut cut = upload.body();
    cut.truncate(cut.len() - 20);
    assert_eq!(device.send(&cut).await.status, 400);
    let coded = "name=\"metadata\"\r\nContent-Transfer-Encoding: base64";
    assert_eq!(device.send(&multipart(&[(coded, &upload.metadata)])).await.status, 400);
    let json = [("apikey", "demo"), ("Content-Type", "application/json")];
    let answer = send(gateway.address, &format!("POST {}", device.path()), &json, b"{}").await;
    assert_eq!(answer.status, 400);
    assert_eq!(device.send(&upload.body()).await.status, 202, "nothing of that was harmful");
    assert_eq!(jobs(&gateway).await.len(), 1);
}

#[tokio::test]
async fn a_line_end_around_the_metadata_and_a_mixed_body_are_fine() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let upload = device.upload(1000);
    let metadata = format!("{}\r\n", upload.metadata);
    let body = form(&[("metadata", metadata.as_bytes()), ("media", &upload.media)]);
    let headers = [("apikey", "demo"), ("Content-Type", "multipart/mixed; boundary=\"b\"")];
    let answer = send(gateway.address, &format!("POST {}", device.path()), &headers, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn metadata_for_something_else_is_one_error() {
    let gateway = gateway().await;
    let (device, other) = (Device::new(&gateway).await, Device::new(&gateway).await);
    let good = device.upload(1000);
    let stranger = Gateway::start(Workers::able()).await;
    let for_another_key = Device::new(&stranger).await;
    let sealed_for_it =
        Device { certificate: for_another_key.certificate.clone(), ..Device::new(&gateway).await };
    let mut changed = good.metadata.clone();
    // The last character has bits without effect, so the one before it is changed.
    let last = changed.len() - 2;
    let other_letter = if changed[last..].starts_with('A') { "B" } else { "A" };
    changed.replace_range(last..=last, other_letter);
    for metadata in [
        "x".to_owned(),
        changed,
        good.metadata[1..].to_owned(),
        sealed_for_it.upload(1000).metadata,
        other.upload(1000).metadata,
        device.upload_with(1000, |metadata| metadata.id = "replay-ID".into()).metadata,
        device.upload_with(1000, |metadata| metadata.seed += 1).metadata,
        device.upload_with(1000, |metadata| metadata.server_random[31] ^= 1).metadata,
    ] {
        let body = form(&[("metadata", metadata.as_bytes()), ("media", &good.media)]);
        assert_eq!(refused(&device.send(&body).await), (400, NOT_OPEN.into()));
    }
    assert!(device.is_initialized().await);
    assert_eq!(device.send(&good.body()).await.status, 202);
}

#[tokio::test]
async fn members_of_the_metadata_are_checked() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let no_type = device.upload_with(1000, |metadata| metadata.content_type = "text/plain".into());
    let (status, message) = refused(&device.send(&no_type.body()).await);
    assert!(status == 400 && message.contains("contentType"), "{message}");
    let no_challenge = device.upload_with(1000, |metadata| {
        metadata.events = vec![ShownChallenge { challenge: 2, shown_at: 0 }];
    });
    let (status, message) = refused(&device.send(&no_challenge.body()).await);
    assert!(status == 400 && message.contains("events"), "{message}");
}

#[tokio::test]
async fn other_media_than_announced_is_refused_and_the_device_may_try_again() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let good = device.upload(200_000);
    let mut changed = good.clone();
    changed.media[100_000] ^= 1;
    let mut short = good.clone();
    short.media.pop();
    let mut long = good.clone();
    long.media.push(0);
    for (upload, what) in [(changed, "digest"), (short, "length"), (long, "length")] {
        let expected = format!("`media` has another {what} than `metadata` says");
        assert_eq!(refused(&device.send(&upload.body()).await), (400, expected));
        assert!(device.is_initialized().await && device.objects().is_empty(), "{what}");
        assert_eq!(jobs(&gateway).await, []);
    }
    assert_eq!(device.send(&good.body()).await.status, 202);
}

#[tokio::test]
async fn media_has_a_limit() {
    let gateway = Gateway::with(Workers::able(), |config| config.replay.media_bytes = 100_000).await;
    let device = Device::new(&gateway).await;
    let (status, message) = refused(&device.send(&device.upload(100_001).body()).await);
    assert_eq!((status, message.contains("100000 bytes are allowed in `media`")), (413, true), "{message}");
    let liar = device.upload_with(100_001, |metadata| metadata.media_length = 99_999);
    assert_eq!(device.send(&liar.body()).await.status, 400);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\napikey: demo\r\nContent-Length: 1000000\r\n\
         Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n",
        device.path()
    );
    let announced = crate::client::exchange(gateway.address, head.as_bytes()).await;
    assert_eq!(announced.status, 413, "a body that is announced as too long is not invited");
    assert_eq!(device.send(&device.upload(90_000).body()).await.status, 202);
}

#[tokio::test]
async fn a_session_must_exist_have_a_replay_and_be_in_time() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let body = device.upload(1000).body();
    let to = async |session: Uuid| {
        let answer =
            post_body(gateway.address, &format!("{SESSIONS}/{session}/replay-liveness"), &body).await;
        refused(&answer)
    };
    assert_eq!(to(Uuid::new_v4()).await, (404, "Session not found".into()));
    let without_replay = gateway.session("").await;
    assert_eq!(to(without_replay).await.0, 404);

    let late = Device::within(&gateway, Duration::from_millis(1)).await;
    gateway.until(async || late.stored().await.upload_left.is_zero()).await;
    let over = (409, "The time for the upload is over".to_owned());
    assert_eq!(refused(&late.send(&late.upload(1000).body()).await), over);
    let mut record = device.record.clone();
    record.state = ReplayState::Ended(Box::new(ended(ReplayStatus::Timeout)));
    assert!(device.write(1, &record, None, Duration::ZERO).await);
    assert_eq!(to(device.session).await, over);
}

#[tokio::test]
async fn a_caller_needs_a_credential() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let body = device.upload(1000).body();
    let form = ("Content-Type", "multipart/form-data; boundary=b");
    for headers in [&[form][..], &[form, ("apikey", "wrong")], &[form, ("X-Capture-Token", "wrong")]] {
        let answer = send(gateway.address, &format!("POST {}", device.path()), headers, &body).await;
        assert_eq!(answer.status, 401, "{headers:?}");
    }
    assert!(device.is_initialized().await);
}

#[tokio::test]
async fn no_more_videos_are_taken_than_workers_judge_in_time() {
    let gateway =
        Gateway::with(Workers::able(), |config| config.replay.deadline = Duration::from_secs(15)).await;
    let device = Device::new(&gateway).await;
    let broker = &gateway.stores.broker;
    for _ in 0..40 {
        let message = Message {
            id: Uuid::now_v7(),
            reply_to: None,
            expiration: None,
            earlier_attempts: 0,
            body: bytes::Bytes::from_static(b"a job"),
        };
        broker.publish(&Queue::Replay, &message).await;
    }
    let upload = device.upload(1000);
    let answer = device.send(&upload.body()).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("300"));
    counted(&gateway, "wait", 1);
    assert!(device.is_initialized().await);
}

#[tokio::test]
async fn an_unreachable_object_store_is_503_and_the_device_may_try_again() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let upload = device.upload(1000);
    let away = &gateway.stores.objects.away;
    away.store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = device.send(&upload.body()).await;
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{answer:?}");
    assert!(device.is_initialized().await);
    away.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(device.send(&upload.body()).await.status, 202);
}
