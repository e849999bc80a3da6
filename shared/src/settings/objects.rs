//! The section `objects`.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::error::{InvalidUrl, SettingsError, invalid};
use crate::redact::{SecretText, SecretUrl};

/// Address of the object store.
#[derive(Clone, Debug)]
pub enum ObjectsUrl {
    /// A folder: `file:///…`.
    Folder(PathBuf),
    /// A bucket, or a folder in one: `s3://bucket/folder`.
    S3(SecretUrl),
}

impl FromStr for ObjectsUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        match text.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Folder(path.into())),
            Some(("s3", _)) => Ok(Self::S3(text.into())),
            _ => Err(InvalidUrl("file:///… or s3://bucket/folder")),
        }
    }
}

impl<'de> Deserialize<'de> for ObjectsUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
impl serde::Serialize for ObjectsUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Folder(path) => serializer.collect_str(&format_args!("file://{}", path.display())),
            Self::S3(url) => serializer.collect_str(url),
        }
    }
}

/// Server-side encryption of a bucket's objects.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub enum ObjectEncryption {
    /// As the bucket's own default says.
    #[serde(rename = "none")]
    BucketDefault,
    /// With keys of the server (SSE-S3).
    #[serde(rename = "AES256")]
    Aes256,
    /// With a key of the key management service (SSE-KMS).
    #[serde(rename = "aws:kms")]
    Kms,
}

/// The store of videos in transit to a worker, of pictures that sessions keep, and of usage records.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ObjectSettings {
    /// `file:///…` for a folder, which all gateways and workers share, or `s3://bucket/folder`. If this is not set,
    /// it is a folder in `data_dir`: `objects`, or `exports` for `exports.store`.
    pub url: Option<ObjectsUrl>,
    /// Region of the bucket. If this is not set, it is that of the environment (`AWS_REGION`), or `us-east-1`.
    pub region: Option<String>,
    /// Address of an S3-compatible server other than Amazon's. The connection is without TLS only if this begins with
    /// `http://`.
    pub endpoint: Option<SecretUrl>,
    /// Access key for S3, together with `secret_access_key`. If neither is set, the credentials of the environment,
    /// the container or the machine are used.
    pub access_key_id: Option<SecretText>,
    /// Secret access key that belongs to `access_key_id`.
    pub secret_access_key: Option<SecretText>,
    /// Server-side encryption requested from S3: `none` (the bucket's default applies), `AES256` or `aws:kms`. If
    /// this is not set, it is `none` for `objects`, which hold sealed content, and `AES256` for `exports.store`.
    pub encryption: Option<ObjectEncryption>,
    /// Id of the key for `aws:kms`. If this is not set, the bucket's key is used.
    pub kms_key_id: Option<String>,
}

impl ObjectSettings {
    /// Whether the objects are in a bucket, and not in a folder.
    #[must_use]
    pub fn is_bucket(&self) -> bool {
        matches!(self.url, Some(ObjectsUrl::S3(_)))
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let has_s3_keys = self.region.is_some()
            || self.endpoint.is_some()
            || self.access_key_id.is_some()
            || self.secret_access_key.is_some()
            || self.encryption.is_some();
        if has_s3_keys && !matches!(self.url, Some(ObjectsUrl::S3(_))) {
            return invalid(
                "objects.region, endpoint, access_key_id, secret_access_key and encryption are for s3://… only",
            );
        }
        if self.kms_key_id.is_some() && self.encryption != Some(ObjectEncryption::Kms) {
            return invalid("objects.kms_key_id is for objects.encryption = \"aws:kms\"");
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return invalid("objects.access_key_id and objects.secret_access_key need each other");
        }
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("https://")
            && !endpoint.starts_with("http://")
        {
            return invalid("objects.endpoint must be https://… or http://…");
        }
        Ok(())
    }
}
