//! Location of the objects of a store, for other programs.

use std::path::Path;

use crate::settings::{ObjectSettings, ObjectsUrl};

/// The region if none is configured, as in the clients of AWS.
const DEFAULT_REGION: &str = "us-east-1";

/// Value of the region for a folder.
const NO_REGION: &str = "local";

/// Location of a store's objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectPlace {
    /// Region of the bucket; `local` for a folder.
    pub region: String,
    /// Name of the bucket, or of the folder.
    pub bucket: String,
    /// Folder in the bucket; may be empty.
    pub folder: String,
}

impl ObjectPlace {
    /// Location of the store that [`open`](super::open()) opens with the same arguments.
    #[must_use]
    pub fn new(settings: &ObjectSettings, data_dir: &Path) -> Self {
        let of_folder = |path: &Path| Self {
            region: NO_REGION.into(),
            bucket: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: String::new(),
        };
        match &settings.url {
            None => of_folder(&data_dir.join("objects")),
            Some(ObjectsUrl::Folder(path)) => of_folder(path),
            Some(ObjectsUrl::S3(url)) => {
                let address = url.trim_start_matches("s3://");
                let (bucket, folder) = address.split_once('/').unwrap_or((address, ""));
                Self {
                    region: region(settings),
                    bucket: bucket.into(),
                    folder: folder.trim_matches('/').into(),
                }
            }
        }
    }

    /// The key in the bucket of the store's object under `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> String {
        if self.folder.is_empty() { key.into() } else { format!("{}/{key}", self.folder) }
    }
}

/// The region that requests go to, whatever the source of the access keys.
pub(super) fn region(settings: &ObjectSettings) -> String {
    region_or(settings, region_of_environment)
}

fn region_or(settings: &ObjectSettings, of_environment: impl FnOnce() -> Option<String>) -> String {
    settings.region.clone().or_else(of_environment).unwrap_or_else(|| DEFAULT_REGION.into())
}

#[expect(clippy::disallowed_methods, reason = "AWS's own variables, which its clients read as well")]
fn region_of_environment() -> Option<String> {
    ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| std::env::var(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_bucket() {
        let place = |url: &str, region: Option<&str>| {
            let settings = ObjectSettings {
                url: Some(url.parse().unwrap()),
                region: region.map(Into::into),
                ..ObjectSettings::default()
            };
            ObjectPlace::new(&settings, Path::new("/srv"))
        };
        let below = place("s3://bucket/a/b/", Some("eu-central-1"));
        assert_eq!((below.region.as_str(), below.bucket.as_str()), ("eu-central-1", "bucket"));
        assert_eq!(below.key("c/d.jpg"), "a/b/c/d.jpg");
        let top = place("s3://bucket", None);
        assert_eq!(top.key("c/d.jpg"), "c/d.jpg");
        let folder = place("file:///srv/exports", None);
        assert_eq!((folder.region.as_str(), folder.bucket.as_str()), ("local", "exports"));
        assert_eq!(folder.key("c/d.jpg"), "c/d.jpg");
    }

    #[test]
    fn the_environments_region_counts_also_with_access_keys_in_the_settings() {
        let mut settings = ObjectSettings { access_key_id: Some("id".into()), ..ObjectSettings::default() };
        assert_eq!(region_or(&settings, || Some("eu-west-1".into())), "eu-west-1");
        assert_eq!(region_or(&settings, || None), "us-east-1");
        settings.region = Some("eu-central-1".into());
        assert_eq!(region_or(&settings, || Some("eu-west-1".into())), "eu-central-1");
    }
}
