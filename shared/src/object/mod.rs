//! Objects: pictures that are kept as long as their session, in a folder or in a bucket.
//!
//! No store here ends anything by itself; what has to go is deleted by way of the outbox. What a store holds is sealed
//! by [`SealedObjects`].

pub mod folder;
#[cfg(feature = "s3")]
pub mod s3;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::folder::FolderObjects;
use crate::seal::{KeyRing, Purpose, SealError};
use crate::settings::{ObjectSettings, ObjectsUrl};

/// Why an object store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The address cannot be understood.
    #[error("objects.url is not usable: {0}")]
    Url(String),
    /// The store does not answer, not in time, or does not let us in.
    #[error("the object store does not answer: {0}")]
    Unreachable(String),
    /// Not a key that objects have.
    #[error("`{0}` is no key of an object")]
    Key(String),
    /// The bytes do not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The store that the settings name, or the folder `objects` in `data_dir` if they name none. It connects when it is first
/// used.
///
/// # Errors
/// [`ObjectError::Url`] if the address cannot be understood, or this program is built without S3.
pub fn open(settings: &ObjectSettings, data_dir: &Path) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    match &settings.url {
        None => Ok(Arc::new(FolderObjects::new(data_dir.join("objects")))),
        Some(ObjectsUrl::Folder(path)) => Ok(Arc::new(FolderObjects::new(path.clone()))),
        #[cfg(feature = "s3")]
        Some(ObjectsUrl::S3(url)) => Ok(Arc::new(s3::S3Objects::new(url, settings)?)),
        #[cfg(not(feature = "s3"))]
        Some(ObjectsUrl::S3(_)) => Err(ObjectError::Url("this program is built without S3".into())),
    }
}

/// `key`, if it is one: what stands between its slashes is neither empty nor a way up.
fn checked(key: &str) -> Result<&str, ObjectError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_key = key.split('/').all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(fits));
    if is_key { Ok(key) } else { Err(ObjectError::Key(key.to_owned())) }
}
/// The port. Keys are paths of `/`-separated segments of ASCII letters, digits, `-`, `_` and `.`.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps `bytes` under `key`, durably; an existing object is replaced, and no reader ever sees half of one.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;

    /// The bytes under `key`; `None` where there are none.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError>;

    /// Forgets `key`; nothing happens where it is not there.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// Forgets everything below `prefix`, which names a folder (`a/b` does not reach `a/bc`), and says how many objects
    /// that were.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError>;

    /// Keys of all objects below `prefix`, which names a folder, in order.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Names of the folders in the folder `prefix`, in order.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// What is wrong.
    async fn check(&self) -> Result<(), ObjectError>;
}

/// Seals what goes into a store and opens what comes out, each for its client and its key.
#[derive(Clone)]
pub struct SealedObjects {
    store: Arc<dyn ObjectStore>,
    ring: KeyRing,
}

impl SealedObjects {
    /// A sealing front of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, ring: KeyRing) -> Self {
        Self { store, ring }
    }

    /// Seals and keeps `plain`.
    ///
    /// # Errors
    /// As [`ObjectStore::put`].
    pub async fn put(&self, client: &str, key: &str, plain: &[u8]) -> Result<(), ObjectError> {
        let sealed = self.ring.seal(Purpose::Object, &place(client, key), plain)?;
        self.store.put(key, sealed.into()).await
    }

    /// Fetches and opens the bytes under `key`.
    ///
    /// # Errors
    /// As [`ObjectStore::get`]; also bytes that were sealed for another client or key, or changed.
    pub async fn get(&self, client: &str, key: &str) -> Result<Option<Bytes>, ObjectError> {
        match self.store.get(key).await? {
            Some(sealed) => Ok(Some(self.ring.open_bytes(Purpose::Object, &place(client, key), sealed)?)),
            None => Ok(None),
        }
    }

    /// Forgets `key`.
    ///
    /// # Errors
    /// As [`ObjectStore::delete`].
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.store.delete(key).await
    }

    /// Forgets everything below `prefix`.
    ///
    /// # Errors
    /// As [`ObjectStore::delete_all`].
    pub async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError> {
        self.store.delete_all(prefix).await
    }

    /// Keys of all objects below `prefix`.
    ///
    /// # Errors
    /// As [`ObjectStore::list`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.store.list(prefix).await
    }

    /// Names of the folders in the folder `prefix`.
    ///
    /// # Errors
    /// As [`ObjectStore::folders`].
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.store.folders(prefix).await
    }

    /// As [`ObjectStore::check`].
    ///
    /// # Errors
    /// As [`ObjectStore::check`].
    pub async fn check(&self) -> Result<(), ObjectError> {
        self.store.check().await
    }
}

/// What a sealed object is bound to. No key has a colon, so that no two places read the same.
fn place(client: &str, key: &str) -> Vec<u8> {
    format!("object:{client}:{key}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_no_other_place() {
        for key in ["a", "sessions/8f0e/faces/1.jpg", "A-b_c.d", "...", "a/..b"] {
            assert!(checked(key).is_ok(), "{key}");
        }
        for key in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "~a", "a b", "a\\b", "é", "a\0", "a:b"]
        {
            assert!(matches!(checked(key), Err(ObjectError::Key(_))), "{key}");
        }
    }
}
