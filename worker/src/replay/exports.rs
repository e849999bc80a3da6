//! The export of a replay's media for the service provider: its best image and its video, readable, into a store of their own.
//!
//! A file's name is that of the job, so a job that is done twice writes the same files again.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use faceline_shared::digest::{Sha256, sha256_hex};
use faceline_shared::job::replay::{ExportedMedia, Replay};
use faceline_shared::object::{self, ObjectError, ObjectPlace, ObjectStore};
use faceline_shared::settings::Settings;
use tokio::runtime::Handle;

use crate::video::{Container, MemoryFile};

/// Bytes of the pieces in which a video is read and written.
const PIECE_BYTES: usize = 1 << 20;

/// Reason why media could not be exported. The job has to be tried again: the answer to the service provider names the
/// files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The store does not take it.
    #[error("media cannot be exported: {0}")]
    Store(#[from] ObjectError),
    /// The video cannot be read from memory.
    #[error("media cannot be exported: {0}")]
    Read(#[from] io::Error),
}

/// The media that were exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exported {
    /// The best image.
    pub(crate) image: Option<ExportedMedia>,
    /// The video.
    pub(crate) video: Option<ExportedMedia>,
}

/// Exports media.
pub(crate) struct Exporter {
    store: Arc<dyn ObjectStore>,
    place: ObjectPlace,
}

impl Exporter {
    /// An exporter to the store of the section `exports`. The first export creates the folder or connects to the server.
    ///
    /// # Errors
    /// [`ObjectError::Url`].
    pub(crate) fn open(settings: &Settings) -> Result<Self, ObjectError> {
        let data_dir: &Path = &settings.data_dir;
        let store = settings.exports.store(data_dir);
        Ok(Self { store: object::open(&store, data_dir)?, place: ObjectPlace::new(&store, data_dir) })
    }

    /// Exports what `replay` asks for: the best image, if there is one, and the video, unless the replay is a still picture.
    ///
    /// # Errors
    /// [`ExportError`]; some of it may be exported then.
    pub(crate) async fn export(
        &self,
        replay: &Replay,
        best_image: Option<&Bytes>,
        video: Option<(&MemoryFile, Container)>,
    ) -> Result<Exported, ExportError> {
        let name = name(replay);
        let mut exported = Exported::default();
        if let Some(jpeg) = best_image.filter(|_| replay.exports_image) {
            exported.image = Some(self.export_image(&name, jpeg.clone()).await?);
        }
        if let Some((file, container)) = video.filter(|_| replay.exports_video) {
            exported.video = Some(self.export_video(&name, file, container).await?);
        }
        Ok(exported)
    }

    /// [`Self::export`] for a thread that may wait.
    ///
    /// # Errors
    /// As [`Self::export`].
    ///
    /// # Panics
    /// This thread belongs to `runtime`.
    pub(crate) fn export_blocking(
        &self,
        runtime: &Handle,
        replay: &Replay,
        best_image: Option<&Bytes>,
        video: Option<(&MemoryFile, Container)>,
    ) -> Result<Exported, ExportError> {
        runtime.block_on(self.export(replay, best_image, video))
    }

    async fn export_image(&self, name: &str, jpeg: Bytes) -> Result<ExportedMedia, ExportError> {
        let key = format!("{name}.jpg");
        let hash = sha256_hex(&jpeg);
        self.store.put_with_type(&key, jpeg, "image/jpeg").await?;
        Ok(self.exported(&key, hash, "image/jpeg"))
    }

    async fn export_video(
        &self,
        name: &str,
        file: &MemoryFile,
        container: Container,
    ) -> Result<ExportedMedia, ExportError> {
        let (extension, media_type) = extension_and_type(container);
        let key = format!("{name}.{extension}");
        let mut upload = self.store.begin_upload(&key, Some(media_type)).await?;
        let mut digest = Sha256::default();
        let mut offset = 0;
        while offset < file.len() {
            let mut piece = vec![0; PIECE_BYTES];
            let count = file.read_at(offset, &mut piece)?;
            piece.truncate(count);
            digest.update(&piece);
            upload.write(piece.into()).await?;
            offset += count as u64;
        }
        upload.finish().await?;
        Ok(self.exported(&key, digest.finish_hex(), media_type))
    }

    fn exported(&self, key: &str, hash: String, content_type: &str) -> ExportedMedia {
        let ObjectPlace { region, bucket, .. } = self.place.clone();
        ExportedMedia { region, bucket, key: self.place.key(key), hash, content_type: content_type.into() }
    }
}

/// The name of a replay's files without extension: the session and the job, which is the last part of the upload's key.
fn name(replay: &Replay) -> String {
    let media = &replay.media;
    let job = media.object.rsplit('/').next().unwrap_or_default();
    format!("{}/{job}", media.session)
}

fn extension_and_type(container: Container) -> (&'static str, &'static str) {
    match container {
        Container::WebM => ("webm", "video/webm"),
        Container::Matroska => ("mkv", "video/x-matroska"),
        Container::Mp4 => ("mp4", "video/mp4"),
        Container::QuickTime => ("mov", "video/quicktime"),
    }
}

#[cfg(test)]
mod tests {
    use faceline_shared::job::replay::EncryptedMedia;
    use faceline_shared::liveness::SecurityLevel;
    use faceline_shared::replay::LivenessType;
    use faceline_shared::settings::{ObjectsUrl, Settings};
    use faceline_shared::testkit::S3;
    use uuid::Uuid;

    use super::*;

    fn replay(exports_image: bool, exports_video: bool) -> Replay {
        let (session, job) = (Uuid::new_v4(), Uuid::now_v7());
        Replay {
            media: EncryptedMedia {
                object: format!("replays/{session}/{job}"),
                length: 1,
                key: [0; 32],
                nonce_prefix: [0; 7],
                session,
                replay: "id".into(),
                content_type: "video/webm".into(),
            },
            liveness: LivenessType::PassiveVideo,
            level: SecurityLevel::High,
            challenges: Vec::new(),
            events: Vec::new(),
            mirrored: false,
            exports_image,
            exports_video,
        }
    }

    /// A video of several pieces, the last one short.
    fn video() -> Vec<u8> {
        (0..6 * PIECE_BYTES + 17).map(|at| (at / 7) as u8).collect()
    }

    fn name_of(replay: &Replay) -> String {
        let job = replay.media.object.rsplit('/').next().unwrap();
        format!("{}/{job}", replay.media.session)
    }

    #[tokio::test]
    async fn files_of_a_folder_hold_what_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        let exporter = Exporter::open(&settings).unwrap();
        let (replay, video, jpeg) = (replay(true, true), video(), Bytes::from_static(b"a JPEG"));
        let file = MemoryFile::of(&video).unwrap();
        let exported = exporter.export(&replay, Some(&jpeg), Some((&file, Container::WebM))).await.unwrap();
        let name = name_of(&replay);
        let image = exported.image.clone().unwrap();
        assert_eq!((image.region.as_str(), image.bucket.as_str()), ("local", "exports"));
        assert_eq!((image.key, image.hash), (format!("{name}.jpg"), sha256_hex(b"a JPEG")));
        assert_eq!(image.content_type, "image/jpeg");
        let clip = exported.video.clone().unwrap();
        assert_eq!((clip.key, clip.hash), (format!("{name}.webm"), sha256_hex(&video)));
        let read = |name: String| std::fs::read(folder.path().join("exports").join(name)).unwrap();
        assert_eq!(read(format!("{name}.jpg")), &jpeg[..]);
        assert!(read(format!("{name}.webm")) == video);

        // A job that is done again writes the same files.
        let again = exporter.export(&replay, Some(&jpeg), Some((&file, Container::WebM))).await.unwrap();
        assert_eq!(again, exported);
        let files = std::fs::read_dir(folder.path().join("exports").join(replay.media.session.to_string()));
        assert_eq!(files.unwrap().count(), 2);
    }

    #[tokio::test]
    async fn objects_of_a_bucket_are_named_as_others_find_them() {
        let server = S3::start().await;
        let mut settings = Settings::default();
        settings.exports.store = server.settings();
        settings.exports.store.region = Some("eu-central-1".into());
        let exporter = Exporter::open(&settings).unwrap();
        let (replay, video, jpeg) = (replay(true, true), video(), Bytes::from_static(b"a JPEG"));
        let file = MemoryFile::of(&video).unwrap();
        let exported = exporter.export(&replay, Some(&jpeg), Some((&file, Container::Mp4))).await.unwrap();
        for (exported, extension, bytes) in
            [(exported.image, "jpg", &jpeg[..]), (exported.video, "mp4", &video[..])]
        {
            let exported = exported.unwrap();
            assert_eq!((exported.region.as_str(), exported.bucket.as_str()), ("eu-central-1", S3::BUCKET));
            assert_eq!(exported.key, format!("below/here/{}.{extension}", name_of(&replay)));
            assert_eq!(exported.hash, sha256_hex(bytes));
            let stored = std::fs::read(server.data_dir().join(S3::BUCKET).join(&exported.key)).unwrap();
            assert!(stored == bytes);
        }
    }

    #[tokio::test]
    async fn what_nobody_asked_for_is_not_exported() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        let exporter = Exporter::open(&settings).unwrap();
        let (jpeg, file) = (Bytes::from_static(b"a JPEG"), MemoryFile::of(b"a video").unwrap());
        let video = (&file, Container::QuickTime);
        let none = exporter.export(&replay(false, false), Some(&jpeg), Some(video)).await.unwrap();
        assert_eq!(none, Exported::default());
        assert!(!folder.path().join("exports").exists());
        // There is no usable face, or the replay is a still picture.
        let none = exporter.export(&replay(true, true), None, None).await.unwrap();
        assert_eq!(none, Exported::default());
        let only = exporter.export(&replay(false, true), Some(&jpeg), Some(video)).await.unwrap();
        assert!(only.image.is_none() && only.video.unwrap().key.ends_with(".mov"));
    }

    #[test]
    fn an_unreachable_store_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, b"no folder").unwrap();
        let mut settings = Settings::default();
        settings.exports.store.url = Some(ObjectsUrl::Folder(blocked));
        let exporter = Exporter::open(&settings).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let jpeg = Bytes::from_static(b"a JPEG");
        let failed = exporter.export_blocking(runtime.handle(), &replay(true, false), Some(&jpeg), None);
        assert!(matches!(failed, Err(ExportError::Store(_))), "{failed:?}");
    }
}
