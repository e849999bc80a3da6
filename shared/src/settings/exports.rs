//! The section `exports`.

use std::path::Path;

use serde::Deserialize;

use super::error::{SettingsError, invalid};
use super::objects::{ObjectEncryption, ObjectSettings, ObjectsUrl};

/// Media of replays that are exported, unsealed, for the service provider. The service never deletes them: the owner
/// of the bucket decides how long to keep them.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ExportSettings {
    /// Whether the best images are exported.
    pub images: bool,
    /// Whether the videos are exported.
    pub videos: bool,
    /// Destination: a separate bucket, with server-side encryption. If `url` is not set, it is the folder `exports`
    /// in `data_dir`. All workers share it.
    pub store: ObjectSettings,
}

impl ExportSettings {
    /// The settings of the store, with the defaults that are not those of `objects`.
    #[must_use]
    pub fn store(&self, data_dir: &Path) -> ObjectSettings {
        let mut store = self.store.clone();
        match &store.url {
            None => store.url = Some(ObjectsUrl::Folder(data_dir.join("exports"))),
            Some(ObjectsUrl::Folder(_)) => (),
            Some(ObjectsUrl::S3(_)) => {
                store.encryption.get_or_insert(ObjectEncryption::Aes256);
            }
        }
        store
    }

    pub(super) fn validate(&self, objects: &ObjectSettings) -> Result<(), SettingsError> {
        self.store.validate()?;
        let is_same = match (&self.store.url, &objects.url) {
            (Some(ObjectsUrl::S3(own)), Some(ObjectsUrl::S3(other))) => bucket(own) == bucket(other),
            (Some(ObjectsUrl::Folder(own)), Some(ObjectsUrl::Folder(other))) => {
                own.starts_with(other) || other.starts_with(own)
            }
            _ => false,
        };
        if is_same {
            return invalid(
                "exports.store.url leads to where objects.url does; exported media are readable and need a bucket or \
                 folder of their own",
            );
        }
        Ok(())
    }
}

/// The name of the bucket in `s3://bucket/folder`.
fn bucket(url: &str) -> Option<&str> {
    url.trim_start_matches("s3://").split('/').next()
}
