//! Concurrent uploads for one replay, and changes of a replay during an upload.

use std::time::Duration;

use faceline_gateway::replays::{ReplayRecord, ReplayState};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::device::{Device, record};
use super::{gateway, jobs, refused};
use crate::client::{Answer, delete, read_one};
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

/// An upload of which half was sent.
struct Half {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Half {
    /// Sends the first half of an upload, and waits until it has claimed its replay.
    async fn of(device: &Device<'_>, length: usize) -> Self {
        let half = Self::sent(device, length).await;
        device.gateway.until(async || device.is_uploading().await).await;
        half
    }

    async fn sent(device: &Device<'_>, length: usize) -> Self {
        let mut bytes = device.request(&device.upload(length).body());
        let rest = bytes.split_off(bytes.len() - length / 2);
        let mut stream = TcpStream::connect(device.gateway.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        Self { stream, rest }
    }

    async fn finish(mut self) -> Answer {
        self.stream.write_all(&self.rest).await.unwrap();
        read_one(&mut self.stream).await
    }
}

#[tokio::test]
async fn another_upload_waits_for_the_one_that_runs() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let half = Half::of(&device, 200_000).await;
    let other = device.send(&device.upload(1000).body()).await;
    assert_eq!(refused(&other), (409, "another upload for this replay is in progress".into()));
    let seconds: u64 = other.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(device.objects(), [""; 0], "nothing is there before it is complete");
    assert_eq!(half.finish().await.status, 202);
    assert_eq!(device.objects().len(), 1);
}

#[tokio::test]
async fn of_many_uploads_at_once_one_is_accepted() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let bodies: Vec<_> = (0..8).map(|_| device.upload(50_000).body()).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| device.send(body))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(accepted, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 202 | 409)), "{answers:?}");
    assert_eq!(device.objects().len(), 1);
    assert_eq!(jobs(&gateway).await.len(), 1);
}

#[tokio::test]
async fn an_upload_whose_lease_has_ended_is_taken_over() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    // A gateway that was killed during an upload left this state.
    let dead =
        ReplayRecord { state: ReplayState::Uploading { upload: Uuid::now_v7() }, ..device.record.clone() };
    assert!(device.write(1, &dead, None, Duration::from_millis(1500)).await);
    let upload = device.upload(1000);
    let early = device.send(&upload.body()).await;
    assert_eq!((early.status, early.header("retry-after").is_some()), (409, true), "{early:?}");
    gateway.until(async || device.stored().await.lease_left.is_zero()).await;
    assert_eq!(device.send(&upload.body()).await.status, 202);
}

#[tokio::test]
async fn an_upload_that_was_taken_over_changes_nothing() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let half = Half::of(&device, 200_000).await;
    // The claim was lost without the gateway's knowledge, and another gateway has the replay.
    let revision = device.stored().await.revision;
    let other = ReplayState::Uploading { upload: Uuid::now_v7() };
    let other = ReplayRecord { state: other, ..device.record.clone() };
    assert!(device.write(revision, &other, None, Duration::from_secs(30)).await);
    let (status, message) = refused(&half.finish().await);
    assert_eq!(status, 409, "{message}");
    assert_eq!(device.stored().await.revision, revision + 1, "the other upload goes on");
}

#[tokio::test]
async fn new_parameters_replace_an_upload() {
    let gateway = gateway().await;
    let mut device = Device::new(&gateway).await;
    let half = Half::of(&device, 200_000).await;
    let revision = device.stored().await.revision;
    let new = record();
    assert!(device.write(revision, &new, Some(Duration::from_secs(60)), Duration::ZERO).await);
    assert_eq!(half.finish().await.status, 409);
    device.record = new;
    assert!(device.is_initialized().await);
    assert_eq!(device.send(&device.upload(1000).body()).await.status, 202);
}

#[tokio::test]
async fn the_end_of_the_session_ends_an_upload() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let mut half = Half::of(&device, 200_000).await;
    let deleted = delete(gateway.address, &format!("{SESSIONS}/{}", device.session)).await;
    assert_eq!(deleted.status, 204, "nothing is judged yet");
    let answer = read_one(&mut half.stream).await;
    assert_eq!(refused(&answer), (404, "Session not found".into()));
    assert_eq!(device.objects(), [""; 0]);
}

#[tokio::test]
async fn places_for_uploads_are_bounded() {
    let gateway = Gateway::with(Workers::able(), |config| config.replay.uploads = 1).await;
    let (device, other) = (Device::new(&gateway).await, Device::new(&gateway).await);
    let half = Half::of(&device, 200_000).await;
    let refused = other.send(&other.upload(1000).body()).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((5..=20).contains(&seconds), "{seconds}");
    assert_eq!(half.finish().await.status, 202);
    gateway
        .until(async || gateway.metrics.encode().contains("faceline_replay_uploads_in_progress 0\n"))
        .await;
    assert_eq!(other.send(&other.upload(1000).body()).await.status, 202);
}
