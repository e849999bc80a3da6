//! Jobs about videos from the object store to the verdict.

use std::process::Command;

use faceline_shared::job::replay::{EncryptedMedia, VideoExamination};
use faceline_shared::object;
use faceline_shared::replay::LivenessType;
use faceline_shared::replay::media::{MediaSealer, MediaSecret};
use faceline_shared::settings::{ObjectSettings, Settings};
use tempfile::TempDir;
use uuid::Uuid;

use super::video_worker::*;
use crate::jobs::{TaskFault, TaskRunner as _};
use crate::matching::Comparator;
use crate::pipeline::tests::own_pipeline;
use crate::replay::exports::Exporter;
use crate::replay::tests::decoder;
use bytes::Bytes;
use faceline_models::calibration::Calibration;
use faceline_shared::job::replay::{FailedReason, Replay, ReplayError, Verdict};
use faceline_shared::job::{JobFailure, JobResult, Task};
use faceline_shared::liveness::SecurityLevel;

/// A worker with a store of its own.
struct Site {
    worker: VideoWorker,
    objects: std::sync::Arc<dyn object::ObjectStore>,
    runtime: tokio::runtime::Runtime,
    _folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        let objects = object::open(&ObjectSettings::default(), folder.path()).unwrap();
        let line = Calibration::parse("name = \"line\"\nknots = [[-1.0, 0.0], [1.0, -20.0]]").unwrap();
        let services = VideoServices {
            objects: objects.clone(),
            decoder: decoder(),
            exporter: std::sync::Arc::new(Exporter::open(&settings).unwrap()),
            runtime: runtime.handle().clone(),
        };
        let worker = VideoWorker::new(own_pipeline(), Comparator::new(line, "A".into(), 1), services);
        Self { worker, objects, runtime, _folder: folder }
    }

    /// Uploads an encrypted video, changed by `change`, and has it judged.
    fn judge(&mut self, video: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Result<Verdict, TaskFault> {
        let secret = MediaSecret::generate().unwrap();
        let session = Uuid::new_v4();
        let mut sealed = Vec::new();
        let mut sealer = MediaSealer::new(&secret, session, "r").unwrap();
        sealer.seal(video, &mut sealed).unwrap();
        sealer.finish(&mut sealed).unwrap();
        change(&mut sealed);
        let media = EncryptedMedia {
            object: format!("replays/{session}/{}", Uuid::now_v7()),
            length: sealed.len() as u64,
            key: secret.key,
            nonce_prefix: secret.nonce_prefix,
            session,
            replay: "r".into(),
            content_type: "video/mp4".into(),
        };
        if !sealed.is_empty() {
            self.runtime.block_on(self.objects.put(&media.object, sealed.into())).unwrap();
        }
        let task = Task::Replay(Box::new(Replay {
            media,
            liveness: LivenessType::PassiveVideo,
            level: SecurityLevel::High,
            challenges: vec![],
            events: vec![],
            mirrored: false,
            exports_image: false,
            exports_video: false,
        }));
        match self.worker.run(&task).result? {
            JobResult::Replayed(replayed) => Ok(replayed.verdict),
            other => panic!("{other:?}"),
        }
    }
}

/// Two seconds of a test picture.
fn clip() -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("clip.mp4");
    let made = Command::new("ffmpeg")
        .args("-v error -f lavfi -i testsrc2=size=320x240:rate=15:duration=2 -pix_fmt yuv420p".split(' '))
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    std::fs::read(file).unwrap()
}

#[test]
fn a_video_is_fetched_decrypted_decoded_and_judged() {
    let mut site = Site::new();
    assert_eq!(site.judge(&clip(), |_| ()).unwrap(), Verdict::Failed(FailedReason::NoFace));
}

#[test]
fn media_that_is_lost_or_does_not_open_ends_with_its_reason() {
    let mut site = Site::new();
    let clip = clip();
    assert_eq!(site.judge(&clip, Vec::clear).unwrap(), Verdict::Error(ReplayError::Lost));
    let undecryptable = Verdict::Error(ReplayError::Undecryptable);
    assert_eq!(site.judge(&clip, |sealed| sealed[1000] ^= 1).unwrap(), undecryptable);
    assert_eq!(site.judge(&clip, |sealed| sealed.truncate(sealed.len() - 1)).unwrap(), undecryptable);
    assert_eq!(site.judge(&clip, |sealed| sealed.push(0)).unwrap(), undecryptable);
}

#[test]
fn files_that_are_no_videos_end_with_their_reason() {
    let mut site = Site::new();
    let unsupported = Verdict::Error(ReplayError::UnsupportedFormat);
    assert_eq!(site.judge(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", |_| ()).unwrap(), unsupported);
    assert_eq!(site.judge(b"", |_| ()).unwrap(), unsupported);
    let broken = &clip()[..2000];
    assert_eq!(site.judge(broken, |_| ()).unwrap(), Verdict::Error(ReplayError::Malformed));
}

#[test]
fn a_video_whose_caller_waits_fails_with_the_same_reasons() {
    let mut site = Site::new();
    let mut examine = |video: Vec<u8>| {
        let video = Bytes::from(video);
        site.worker.run(&Task::ExamineVideo(VideoExamination { video, level: SecurityLevel::Medium })).result
    };
    let Ok(JobResult::VideoExamined(examined)) = examine(clip()) else { panic!("no result") };
    assert_eq!(examined.verdict, Verdict::Failed(FailedReason::NoFace));
    let Err(TaskFault::Job(failure)) = examine(b"GIF89a".to_vec()) else { panic!("a GIF is judged") };
    assert_eq!(failure, JobFailure::BadVideo(ReplayError::UnsupportedFormat));
}
