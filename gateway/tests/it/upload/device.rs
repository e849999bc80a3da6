//! A device that uploads, and the replays for which it uploads.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::STANDARD;
use faceline_gateway::replays::{RecipientKeys, ReplayOrigin, ReplayRecord, ReplayState};
use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::sealed::{OpenedReplay, UnsealedChange};
use faceline_gateway_store::sessions::{ReplayLookup, ReplayOutcome};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::media::{MediaSealer, MediaSecret};
use faceline_shared::replay::metadata::{DeviceInfo, SdkInfo, ShownChallenge, UploadMetadata};
use faceline_shared::replay::{LivenessType, jwe};
use faceline_shared::telemetry::Metrics;
use uuid::Uuid;

use crate::client::{Answer, exchange, request};
use crate::gateway::{Gateway, SESSIONS};

/// A session with a replay that waits for its upload.
pub(super) struct Device<'g> {
    pub(super) gateway: &'g Gateway,
    pub(super) session: Uuid,
    pub(super) record: ReplayRecord,
    /// The certificate for which the device encrypts.
    pub(super) certificate: Vec<u8>,
}

/// A row of the replays' lane, as the tests read it.
#[derive(serde::Deserialize)]
pub(super) enum Row {
    Judge { session: Uuid, job: Uuid },
    TimeOut {},
    DeleteMedia {},
}

/// The two parts of an upload.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) metadata: String,
    pub(super) media: Vec<u8>,
}

/// A record of a replay with two challenges.
pub(super) fn record() -> ReplayRecord {
    ReplayRecord {
        id: "replay-id".into(),
        origin: ReplayOrigin::NativeSdk,
        liveness: LivenessType::Active,
        level: SecurityLevel::High,
        challenge_count: 2,
        returns_image: false,
        seed: 1_150_867_590,
        server_random: *Uuid::new_v4()
            .as_simple()
            .encode_lower(&mut [0; 32])
            .as_bytes()
            .first_chunk()
            .unwrap(),
        capture_token: [0; 32],
        answer: "{}".into(),
        state: ReplayState::Initialized,
    }
}

impl<'g> Device<'g> {
    pub(super) async fn new(gateway: &'g Gateway) -> Self {
        Self::within(gateway, Duration::from_secs(300)).await
    }

    /// A device that has some time for its upload.
    pub(super) async fn within(gateway: &'g Gateway, time: Duration) -> Self {
        let session = gateway.session(r#"{"correlationId":"case 17"}"#).await;
        let record = record();
        let keys = RecipientKeys::load(&gateway.config, &Metrics::new()).unwrap();
        let certificate = STANDARD.decode_to_vec(&keys.certificates()[0]).unwrap();
        let device = Self { gateway, session, record, certificate };
        assert!(device.write(0, &device.record, Some(time), Duration::ZERO).await);
        device
    }

    /// Writes a record as another gateway would.
    pub(super) async fn write(
        &self,
        expected: u64,
        record: &ReplayRecord,
        upload_within: Option<Duration>,
        lease: Duration,
    ) -> bool {
        let change: UnsealedChange<'_, _, ()> = UnsealedChange {
            expected,
            record,
            in_progress: matches!(record.state, ReplayState::InProgress(_)),
            upload_within,
            lease,
            rows: vec![],
        };
        let sessions = self.gateway.stores.records().sessions;
        let name = self.gateway.name(self.session);
        let changed = sessions.change_replay(&name, &change, &ClientBounds::NONE).await;
        matches!(changed.unwrap(), ReplayOutcome::Changed { .. })
    }

    /// The replay as the store has it.
    pub(super) async fn stored(&self) -> OpenedReplay<ReplayRecord> {
        let sessions = self.gateway.stores.records().sessions;
        let found = sessions.replay(&self.gateway.name(self.session)).await.unwrap();
        let ReplayLookup::Found(replay) = found else { panic!("{found:?}") };
        replay
    }

    pub(super) async fn is_initialized(&self) -> bool {
        let replay = self.stored().await;
        matches!(replay.record.state, ReplayState::Initialized) && replay.lease_left.is_zero()
    }

    pub(super) async fn is_uploading(&self) -> bool {
        matches!(self.stored().await.record.state, ReplayState::Uploading { .. })
    }

    /// The metadata of media.
    pub(super) fn metadata(&self, secret: &MediaSecret, media: &[u8]) -> UploadMetadata {
        UploadMetadata {
            id: self.record.id.clone(),
            seed: self.record.seed,
            server_random: self.record.server_random,
            media_key: secret.key,
            nonce_prefix: secret.nonce_prefix,
            media_length: media.len() as u64,
            media_digest: digest(&SHA256, media).as_ref().try_into().unwrap(),
            content_type: "video/mp4".into(),
            mirrored: true,
            device_info: Some(DeviceInfo { os_type: Some("Android".into()), ..DeviceInfo::default() }),
            sdk_info: Some(SdkInfo { sdk_version: Some("1.0.0".into()) }),
            events: vec![ShownChallenge { challenge: 1, shown_at: 1500 }],
        }
    }

    /// An encrypted video of `length` bytes, with metadata that `change` modified before its encryption.
    pub(super) fn upload_with(&self, length: usize, change: impl FnOnce(&mut UploadMetadata)) -> Upload {
        let secret = MediaSecret::generate().unwrap();
        let mut media = Vec::new();
        let mut sealer = MediaSealer::new(&secret, self.session, &self.record.id).unwrap();
        sealer.seal(&vec![7; length], &mut media).unwrap();
        sealer.finish(&mut media).unwrap();
        let mut metadata = self.metadata(&secret, &media);
        change(&mut metadata);
        Upload { metadata: jwe::seal(&metadata.to_json(), &self.certificate).unwrap(), media }
    }

    pub(super) fn upload(&self, length: usize) -> Upload {
        self.upload_with(length, |_| ())
    }

    pub(super) fn path(&self) -> String {
        format!("{SESSIONS}/{}/replay-liveness", self.session)
    }

    /// Sends a body.
    pub(super) async fn send(&self, body: &[u8]) -> Answer {
        exchange(self.gateway.address, &self.request(body)).await
    }

    pub(super) fn request(&self, body: &[u8]) -> Vec<u8> {
        let headers = [("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b")];
        request(&format!("POST {}", self.path()), &headers, body)
    }

    /// The objects of the session's uploads.
    pub(super) fn objects(&self) -> Vec<String> {
        let prefix = format!("replays/{}/", self.session);
        self.gateway.stores.pictures().into_iter().filter(|key| key.starts_with(&prefix)).collect()
    }
}

impl Upload {
    pub(super) fn body(&self) -> Vec<u8> {
        crate::client::form(&[("metadata", self.metadata.as_bytes()), ("media", &self.media)])
    }
}
