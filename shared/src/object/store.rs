//! The port of object stores.

use async_trait::async_trait;
use bytes::Bytes;

use super::error::ObjectError;
use super::stream::ObjectStream;

/// An object on its way into a store. Nobody reads any of it before [`ObjectUpload::finish`] has returned. An upload that is
/// dropped before that is aborted: the key keeps the object that it had.
#[async_trait]
pub trait ObjectUpload: Send {
    /// Adds `bytes` at the end. Returns when the store can take more, so a caller that waits needs memory for one piece only.
    ///
    /// # Errors
    /// [`ObjectError::Unreachable`]; the upload is lost then.
    async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError>;

    /// Makes the object durable and lets it replace an existing one.
    ///
    /// # Errors
    /// [`ObjectError::Unreachable`]; the object may be there or not.
    async fn finish(self: Box<Self>) -> Result<(), ObjectError>;
}

/// A store of objects. Keys are paths of `/`-separated segments of ASCII letters, digits, `-`, `_` and `.`.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps `bytes` under `key` durably, and replaces an existing object. No reader ever gets a part of an object.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;

    /// As [`ObjectStore::put`], for an object that others read: they get `media_type` (as in `Content-Type`) with it from a
    /// bucket. A folder keeps none.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn put_with_type(&self, key: &str, bytes: Bytes, media_type: &str) -> Result<(), ObjectError> {
        let mut upload = self.begin_upload(key, Some(media_type)).await?;
        upload.write(bytes).await?;
        upload.finish().await
    }

    /// Begins to write the object under `key` piece by piece, in bounded memory whatever its size.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn upload(&self, key: &str) -> Result<Box<dyn ObjectUpload>, ObjectError> {
        self.begin_upload(key, None).await
    }

    /// [`ObjectStore::upload`] with the media type of [`ObjectStore::put_with_type`], if there is one.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn begin_upload(
        &self,
        key: &str,
        media_type: Option<&str>,
    ) -> Result<Box<dyn ObjectUpload>, ObjectError>;

    /// Opens the object under `key` to read it piece by piece, in bounded memory whatever its size; `None` if there is no
    /// object. Each piece has a time limit of its own, which begins when the piece is asked for.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn open(&self, key: &str) -> Result<Option<ObjectStream>, ObjectError>;

    /// Returns the bytes under `key`; `None` if there is no object.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError>;

    /// Deletes the object under `key`, if there is one.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// Deletes all objects below the folder `prefix` (`a/b` does not match `a/bc`), and returns their number.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError>;

    /// Lists the keys of all objects below the folder `prefix`, sorted.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Lists the names of the folders in the folder `prefix`, sorted.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Checks that the store answers and grants access.
    ///
    /// # Errors
    /// [`ObjectError::Unreachable`].
    async fn check(&self) -> Result<(), ObjectError>;
}
