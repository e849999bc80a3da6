//! Checks of the object store, and of the one for exports.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use faceline_shared::object::{self, ObjectError, ObjectStore};
use faceline_shared::settings::{ObjectSettings, ObjectsUrl};
use uuid::Uuid;

use super::finding::Finding;
use super::subject::Subject;

/// The content of the probe.
const PROBE: &[u8] = b"faceline doctor";
/// Permission bit: other users may write.
const WORLD_WRITABLE: u32 = 0o002;

/// The store of videos, of pictures of sessions, and of usage records.
pub(super) async fn objects(subject: Subject) -> Vec<Finding> {
    let settings = &subject.settings;
    check("objects", "objects", &settings.objects, &settings.data_dir).await
}

/// The store of exported media.
pub(super) async fn exports(subject: Subject) -> Vec<Finding> {
    let settings = &subject.settings;
    let store = settings.exports.store(&settings.data_dir);
    check("exports", "exports.store", &store, &settings.data_dir).await
}

async fn check(
    check: &'static str,
    section: &str,
    settings: &ObjectSettings,
    data_dir: &Path,
) -> Vec<Finding> {
    let folder = match &settings.url {
        None => Some(data_dir.join("objects")),
        Some(ObjectsUrl::Folder(path)) => Some(path.clone()),
        Some(ObjectsUrl::S3(_)) => None,
    };
    let mut findings = Vec::new();
    if let Some(folder) = &folder {
        match fs::metadata(folder) {
            Ok(about) if about.permissions().mode() & WORLD_WRITABLE != 0 => findings.push(Finding::warning(
                check,
                format!("everybody on this machine can write to {}", folder.display()),
                format!("chmod o-w {}", folder.display()),
            )),
            Ok(_) => (),
            // Writing the probe would make the missing folder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return vec![missing(check, section, folder, settings.url.is_some())];
            }
            Err(_) => (),
        }
    }
    let probed = match object::open(settings, data_dir) {
        Ok(store) => probe(&*store).await,
        Err(error) => Err(error),
    };
    let place = folder.as_deref().map_or_else(|| "the bucket".into(), |folder| folder.display().to_string());
    findings.push(match probed {
        Ok(()) => Finding::ok(check, format!("{place} takes an object, gives it back and deletes it")),
        Err(error) => Finding::problem(
            check,
            format!("{place}: {error}"),
            match folder {
                Some(_) => format!("mount the folder of {section}.url here, let this user write to it, and see that the disk is not full"),
                None => format!(
                    "correct {section}.url, .endpoint, .region and the access key, and allow it s3:GetObject, s3:PutObject, s3:DeleteObject and \
                     s3:ListBucket"
                ),
            },
        ),
    });
    findings
}

fn missing(check: &'static str, section: &str, folder: &Path, is_configured: bool) -> Finding {
    let found = format!("{} does not exist yet; the first object makes it", folder.display());
    if is_configured {
        let remedy = format!("mount the folder of {section}.url here if it is to be shared, or make it");
        Finding::warning(check, found, remedy)
    } else {
        Finding::ok(check, found)
    }
}

/// Writes an object, reads it and deletes it.
async fn probe(store: &dyn ObjectStore) -> Result<(), ObjectError> {
    store.check().await?;
    let key = format!("doctor-{}", Uuid::new_v4());
    store.put(&key, Bytes::from_static(PROBE)).await?;
    let read = store.get(&key).await;
    store.delete(&key).await?;
    match read? {
        Some(read) if read == PROBE => Ok(()),
        _ => Err(ObjectError::Unreachable(
            "an object that was written is not there, or has other bytes".into(),
        )),
    }
}
