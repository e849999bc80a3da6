//! Sets replays to the states that uploads and workers' results lead to.

use std::time::Duration;

use faceline_gateway::replays::{EndedReplay, ReplayRecord, ReplayState, ReplayStatus, SubmittedReplay};
use faceline_gateway::sessions::face::FaceDescription;
use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::sealed::{OpenedReplay, UnsealedChange};
use faceline_gateway_store::sessions::{ReplayLookup, ReplayOutcome};
use faceline_shared::face::{Eyes, ImageType, PixelBox};
use faceline_shared::job::JobId;
use faceline_shared::job::replay::{EncryptedMedia, ExportedMedia, Replay};
use uuid::Uuid;

use crate::client::{Answer, post_json};
use crate::gateway::{Gateway, SESSIONS};

/// A file in place of a real best image.
pub(crate) const BEST_IMAGE: &[u8] = b"the best image";

impl Gateway {
    /// Sets the parameters of a session's replay.
    pub(crate) async fn init_replay(&self, session: Uuid, body: &str) -> Answer {
        post_json(self.address, &format!("{SESSIONS}/{session}/init-liveness-parameters"), body).await
    }

    /// The record of a session's replay.
    pub(crate) async fn replay(&self, session: Uuid) -> OpenedReplay<ReplayRecord> {
        match self.stores.records().sessions.replay(&self.name(session)).await.unwrap() {
            ReplayLookup::Found(replay) => replay,
            other => panic!("{other:?}"),
        }
    }

    /// Sets the state of a session's replay.
    pub(crate) async fn set_replay(&self, session: Uuid, state: ReplayState) {
        let OpenedReplay { revision, record, .. } = self.replay(session).await;
        let record = ReplayRecord { state, ..record };
        let change: UnsealedChange<'_, ReplayRecord, ()> = UnsealedChange {
            expected: revision,
            record: &record,
            in_progress: matches!(record.state, ReplayState::InProgress(_)),
            upload_within: None,
            lease: Duration::ZERO,
            rows: vec![],
        };
        let sessions = &self.stores.records().sessions;
        let changed = sessions.change_replay(&self.name(session), &change, &ClientBounds::NONE).await;
        assert!(matches!(changed, Ok(ReplayOutcome::Changed { .. })), "{changed:?}");
    }

    /// Ends a session's replay with a best image, as a worker's result does.
    pub(crate) async fn end_replay(&self, session: Uuid, change: impl FnOnce(&mut EndedReplay)) {
        let key = format!("sessions/{session}/replay-{}", Uuid::nil());
        self.stores.sealed_objects().put("demo", &key, BEST_IMAGE).await.unwrap();
        let mut ended = succeeded(key);
        change(&mut ended);
        self.set_replay(session, ReplayState::Ended(Box::new(ended))).await;
    }
}

/// The end of a replay that succeeded.
fn succeeded(best_image: String) -> EndedReplay {
    EndedReplay {
        job: None,
        media_digest: None,
        status: ReplayStatus::Success,
        diagnostic: None,
        best_image: Some(best_image),
        best_face: Some(FaceDescription {
            friendly_name: None,
            digest: None,
            image_type: ImageType::Selfie,
            image_type_is_claimed: false,
            quality: Some(250),
            eyes: Some(Eyes { x1: 581.0, y1: 270.0, x2: 695.0, y2: 266.0 }),
            face_box: Some(PixelBox { x: 465, y: 149, width: 348, height: 348 }),
            rotation: None,
        }),
        best_face_id: None,
        age: None,
        device_info: None,
        sdk_info: None,
        image_storage: None,
        video_storage: None,
    }
}

/// A file in the bucket of the API's samples.
pub(crate) fn exported(name: &str, content_type: &str) -> ExportedMedia {
    ExportedMedia {
        region: "eu-central-1".into(),
        bucket: "wbs-video-storage".into(),
        key: format!("doc-dev/{name}"),
        hash: "d32c4ff2770a4f9d4d10d048492dbb456fb153153db5ae5f1454d1442d488093".into(),
        content_type: content_type.into(),
    }
}

/// A replay whose upload is complete.
pub(crate) fn submitted(record: &ReplayRecord, session: Uuid) -> ReplayState {
    let task = Replay {
        media: EncryptedMedia {
            object: format!("replays/{session}/x"),
            length: 1,
            key: [0; 32],
            nonce_prefix: [0; 7],
            session,
            replay: record.id.clone(),
            content_type: "video/webm".into(),
        },
        liveness: record.liveness,
        level: record.level,
        challenges: vec![],
        events: vec![],
        mirrored: false,
        exports_image: false,
        exports_video: false,
    };
    ReplayState::InProgress(Box::new(SubmittedReplay {
        job: JobId::nil(),
        media_digest: [0; 32],
        task,
        device_info: Some(
            serde_json::json!({"osVersion": "7.0", "deviceModel": "SM-G935F", "osType": "Android", "x": 1}),
        ),
        sdk_info: Some(serde_json::json!({"sdkVersion": "1.0.0"})),
        traceparent: String::new(),
        tracestate: None,
    }))
}
