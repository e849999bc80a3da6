//! Encryption of objects in front of an object store.

use std::sync::Arc;

use bytes::Bytes;

use super::error::ObjectError;
use super::store::ObjectStore;
use crate::seal::{KeyRing, Purpose};

/// Seals objects on their way into a store, and opens them on their way out. An object is sealed for its client and its key.
#[derive(Clone)]
pub struct SealedObjects {
    store: Arc<dyn ObjectStore>,
    ring: KeyRing,
}

impl SealedObjects {
    /// Wraps `store`, and seals with `ring`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, ring: KeyRing) -> Self {
        Self { store, ring }
    }

    /// Seals `plain` and keeps it.
    ///
    /// # Errors
    /// Those of [`ObjectStore::put`], and [`ObjectError::Seal`] if sealing fails.
    pub async fn put(&self, client: &str, key: &str, plain: &[u8]) -> Result<(), ObjectError> {
        let sealed = self.ring.seal(Purpose::Object, &associated_data(client, key), plain)?;
        self.store.put(key, sealed.into()).await
    }

    /// Fetches and opens the bytes under `key`.
    ///
    /// # Errors
    /// Those of [`ObjectStore::get`], and [`ObjectError::Seal`] if the bytes were changed, or sealed for another client or
    /// key.
    pub async fn get(&self, client: &str, key: &str) -> Result<Option<Bytes>, ObjectError> {
        match self.store.get(key).await? {
            Some(sealed) => {
                let associated_data = associated_data(client, key);
                Ok(Some(self.ring.open_bytes(Purpose::Object, &associated_data, sealed)?))
            }
            None => Ok(None),
        }
    }

    /// Deletes the object under `key`, if there is one.
    ///
    /// # Errors
    /// Those of [`ObjectStore::delete`].
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.store.delete(key).await
    }

    /// Deletes all objects below `prefix`, and returns their number.
    ///
    /// # Errors
    /// Those of [`ObjectStore::delete_all`].
    pub async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError> {
        self.store.delete_all(prefix).await
    }

    /// Lists the keys of all objects below `prefix`.
    ///
    /// # Errors
    /// Those of [`ObjectStore::list`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.store.list(prefix).await
    }

    /// Lists the names of the folders in the folder `prefix`.
    ///
    /// # Errors
    /// Those of [`ObjectStore::folders`].
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.store.folders(prefix).await
    }

    /// Checks the store, as [`ObjectStore::check`] does.
    ///
    /// # Errors
    /// Those of [`ObjectStore::check`].
    pub async fn check(&self) -> Result<(), ObjectError> {
        self.store.check().await
    }
}

/// Names the client and the key of an object. No key has a colon, so two objects never have the same associated data.
fn associated_data(client: &str, key: &str) -> Vec<u8> {
    format!("object:{client}:{key}").into_bytes()
}
