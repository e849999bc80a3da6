//! Objects in a bucket of S3 or of a server with the same protocol.

mod read;
mod request;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig};

use self::request::{OPERATION_TIMEOUT, within, write};
use self::upload::S3Upload;
use super::error::ObjectError;
use super::key::checked_key;
use super::store::{ObjectStore, ObjectUpload};
use super::stream::ObjectStream;
use crate::settings::{ObjectEncryption, ObjectSettings};

/// Time limit of one request, whatever the size of its object.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// Time limit of listing or deleting a folder, which take two requests for each thousand objects.
const FOLDER_TIMEOUT: Duration = Duration::from_secs(60);

/// A bucket, or a folder of it.
pub struct S3Objects {
    bucket: Arc<AmazonS3>,
    folder: Path,
}

impl S3Objects {
    /// A store at `s3://bucket/folder`. If `settings` have no access keys, those of the environment, the container or the
    /// machine are used, in the order of AWS.
    ///
    /// # Errors
    /// [`ObjectError::Url`].
    pub fn new(url: &str, settings: &ObjectSettings) -> Result<Self, ObjectError> {
        let unusable = |text: &str| ObjectError::Url(text.to_owned());
        let address = url.strip_prefix("s3://").unwrap_or(url);
        let (bucket, folder) = address.split_once('/').unwrap_or((address, ""));
        let folder = folder.trim_end_matches('/');
        if bucket.is_empty() {
            return Err(unusable("s3:// is followed by the name of a bucket"));
        }
        if !folder.is_empty() {
            checked_key(folder).map_err(|_| unusable("the folder in the bucket is none"))?;
        }
        let mut builder = match (&settings.access_key_id, &settings.secret_access_key) {
            // Only the region is read from the environment, below: a session token there would belong to other access
            // keys.
            (Some(id), Some(secret)) => {
                AmazonS3Builder::new().with_access_key_id(&**id).with_secret_access_key(&**secret)
            }
            _ => AmazonS3Builder::from_env(),
        };
        builder = builder.with_region(super::place::region(settings));
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(&**endpoint);
        }
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).unwrap_or_default();
        let options = ClientOptions::new()
            .with_connect_timeout(Duration::from_secs(3))
            .with_timeout(REQUEST_TIMEOUT)
            .with_allow_http(endpoint.starts_with("http://"));
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(1),
                base: 2.0,
            },
            max_retries: 3,
            retry_timeout: REQUEST_TIMEOUT,
        };
        let builder = encrypted(builder, settings);
        let bucket = builder.with_bucket_name(bucket).with_client_options(options).with_retry(retry).build();
        // The library's own message may contain a value of the settings.
        let bucket = bucket.map_err(|_| unusable("endpoint, region or keys are not of the form"))?;
        Ok(Self { bucket: Arc::new(bucket), folder: Path::from(folder) })
    }

    fn path(&self, key: &str) -> Result<Path, ObjectError> {
        let key = checked_key(key)?;
        Ok(Path::from_iter(self.folder.parts().chain(Path::from(key).parts())))
    }

    /// The key of the object at `location`.
    fn key(&self, location: &Path) -> Option<String> {
        let parts: Vec<_> =
            location.prefix_match(&self.folder)?.map(|part| part.as_ref().to_owned()).collect();
        Some(parts.join("/"))
    }
}

/// Asks for the server-side encryption of the settings.
fn encrypted(builder: AmazonS3Builder, settings: &ObjectSettings) -> AmazonS3Builder {
    let kind = match settings.encryption {
        None | Some(ObjectEncryption::BucketDefault) => return builder,
        Some(ObjectEncryption::Aes256) => "AES256",
        Some(ObjectEncryption::Kms) => "aws:kms",
    };
    // The library exports these keys by their names only.
    let options =
        [("aws_server_side_encryption", Some(kind)), ("aws_sse_kms_key_id", settings.kms_key_id.as_deref())];
    options.into_iter().fold(builder, |builder, (name, value)| {
        match (name.parse::<AmazonS3ConfigKey>(), value) {
            (Ok(key), Some(value)) => builder.with_config(key, value),
            _ => builder,
        }
    })
}

#[async_trait]
impl ObjectStore for S3Objects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        write(self.bucket.put(&path, bytes.into())).await.map(drop)
    }

    async fn begin_upload(
        &self,
        key: &str,
        media_type: Option<&str>,
    ) -> Result<Box<dyn ObjectUpload>, ObjectError> {
        Ok(Box::new(S3Upload::new(Arc::clone(&self.bucket), self.path(key)?, media_type)))
    }

    async fn open(&self, key: &str) -> Result<Option<ObjectStream>, ObjectError> {
        read::open(Arc::clone(&self.bucket), self.path(key)?).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        let path = self.path(key)?;
        within(OPERATION_TIMEOUT, async { self.bucket.get(&path).await?.bytes().await }).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        within(OPERATION_TIMEOUT, self.bucket.delete(&path)).await.map(|_| ())
    }

    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError> {
        let path = self.path(prefix)?;
        let listed = self.bucket.list(Some(&path)).map_ok(|object| object.location).boxed();
        let deleted = self.bucket.delete_stream(listed).try_fold(0, async |count, _| Ok(count + 1));
        Ok(within(FOLDER_TIMEOUT, deleted).await?.unwrap_or_default())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let path = self.path(prefix)?;
        let listed = self.bucket.list(Some(&path)).map_ok(|object| object.location).try_collect::<Vec<_>>();
        let listed = within(FOLDER_TIMEOUT, listed).await?.unwrap_or_default();
        let mut keys: Vec<String> = listed.iter().filter_map(|location| self.key(location)).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let path = self.path(prefix)?;
        let listed = within(FOLDER_TIMEOUT, self.bucket.list_with_delimiter(Some(&path))).await?;
        let folders = listed.map(|listed| listed.common_prefixes).unwrap_or_default();
        let mut names: Vec<String> =
            folders.iter().filter_map(|folder| Some(folder.filename()?.to_owned())).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn check(&self) -> Result<(), ObjectError> {
        let mut listed = self.bucket.list(Some(&self.folder));
        match within(OPERATION_TIMEOUT, listed.try_next()).await? {
            Some(_) => Ok(()),
            None => Err(ObjectError::Unreachable("the bucket is not there".into())),
        }
    }
}
