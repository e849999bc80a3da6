//! Encodes and seals records, and opens and decodes them.

use bytes::Bytes;
use faceline_shared::seal::{KeyRing, Purpose};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::RecordError;

/// Seals records with a key ring. The associated data names the record's place in the store, so the record opens only
/// there.
#[derive(Clone)]
pub(super) struct RecordSealer(KeyRing);

impl RecordSealer {
    pub(super) fn new(ring: KeyRing) -> Self {
        Self(ring)
    }

    pub(super) fn seal(
        &self,
        purpose: Purpose,
        associated_data: impl AsRef<[u8]>,
        record: &impl Serialize,
    ) -> Result<Bytes, RecordError> {
        let plain = rmp_serde::to_vec_named(record)?;
        Ok(self.0.seal(purpose, associated_data.as_ref(), &plain)?.into())
    }

    pub(super) fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        associated_data: impl AsRef<[u8]>,
        sealed: Bytes,
    ) -> Result<T, RecordError> {
        let plain = self.0.open_bytes(purpose, associated_data.as_ref(), sealed)?;
        Ok(rmp_serde::from_slice(&plain)?)
    }
}
