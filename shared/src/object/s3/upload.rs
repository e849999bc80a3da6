//! An upload into a bucket: one request if it is small, otherwise a multipart upload.

use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore as _, PutMultipartOptions, PutOptions,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::request::{OPERATION_TIMEOUT, within, write};
use crate::object::error::ObjectError;
use crate::object::store::ObjectUpload;

/// Bytes of each part but the last: the least that S3 allows. Some servers want all of them to be equal.
const PART_BYTES: usize = 5 << 20;

/// A part that is being sent.
type PartInFlight = JoinHandle<Result<(), ObjectError>>;

/// An object that is written part by part. One part is collected while another one is on its way, so an upload needs memory
/// for two.
pub(super) struct S3Upload {
    bucket: Arc<AmazonS3>,
    path: Path,
    attributes: Attributes,
    buffer: BytesMut,
    /// The multipart upload. It begins with the first full part, and is aborted when this is dropped.
    parts: Option<Box<dyn MultipartUpload>>,
    in_flight: Option<PartInFlight>,
    /// Whether a part has failed, or the future that sent it was dropped.
    has_failed: bool,
}

impl S3Upload {
    pub(super) fn new(bucket: Arc<AmazonS3>, path: Path, media_type: Option<&str>) -> Self {
        let mut attributes = Attributes::new();
        if let Some(name) = media_type {
            attributes.insert(Attribute::ContentType, name.to_owned().into());
        }
        Self {
            bucket,
            path,
            attributes,
            buffer: BytesMut::new(),
            parts: None,
            in_flight: None,
            has_failed: false,
        }
    }

    /// Sends the content of the buffer as the next part, once the part before it has arrived.
    async fn send_part(&mut self) -> Result<(), ObjectError> {
        // Reset below. It stays set if this fails, or if this future is dropped.
        if mem::replace(&mut self.has_failed, true) {
            return Err(ObjectError::Unreachable(
                "an earlier part of the object could not be written".into(),
            ));
        }
        self.part_has_arrived().await?;
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => {
                let options = PutMultipartOptions {
                    attributes: self.attributes.clone(),
                    ..PutMultipartOptions::default()
                };
                write(self.bucket.put_multipart_opts(&self.path, options)).await?
            }
        };
        let part = parts.put_part(self.buffer.split().freeze().into());
        self.in_flight = Some(tokio::spawn(write(part)));
        // A buffer that grows by itself would become longer than a part.
        self.buffer.reserve(PART_BYTES);
        self.parts = Some(parts);
        self.has_failed = false;
        Ok(())
    }

    async fn part_has_arrived(&mut self) -> Result<(), ObjectError> {
        let Some(part) = &mut self.in_flight else { return Ok(()) };
        let arrived = part.await;
        self.in_flight = None;
        arrived.map_err(|panicked| ObjectError::Unreachable(panicked.to_string()))?
    }
}

#[async_trait]
impl ObjectUpload for S3Upload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), ObjectError> {
        while !bytes.is_empty() {
            // A full buffer waits for more bytes, since the last part may be short but not empty.
            if self.buffer.len() == PART_BYTES {
                self.send_part().await?;
            }
            let missing = PART_BYTES - self.buffer.len();
            self.buffer.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), ObjectError> {
        if self.parts.is_none() && !self.has_failed {
            let options = PutOptions { attributes: mem::take(&mut self.attributes), ..PutOptions::default() };
            let bytes = self.buffer.split().freeze();
            return write(self.bucket.put_opts(&self.path, bytes.into(), options)).await.map(drop);
        }
        self.send_part().await?;
        self.part_has_arrived().await?;
        if let Some(parts) = &mut self.parts {
            write(parts.complete()).await?;
        }
        self.parts = None;
        Ok(())
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        let (Some(mut parts), Ok(runtime)) = (self.parts.take(), Handle::try_current()) else { return };
        let in_flight = self.in_flight.take();
        runtime.spawn(async move {
            // A part that arrives after the abort would stay in the bucket.
            if let Some(part) = in_flight {
                let _ = part.await;
            }
            if let Err(error) = within(OPERATION_TIMEOUT, parts.abort()).await {
                tracing::warn!(%error, "an upload could not be aborted; its parts stay in the bucket");
            }
        });
    }
}
