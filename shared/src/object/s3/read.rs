//! Reads an object piece by piece.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};

use super::request::{OPERATION_TIMEOUT, within};
use crate::object::error::ObjectError;
use crate::object::stream::ObjectStream;

/// Bytes of a piece. Each piece is one request, so a slow reader keeps no request open beyond its time limit.
const PIECE_BYTES: u64 = 4 << 20;

/// Opens the object at `path`; `None` if there is none.
pub(super) async fn open(bucket: Arc<AmazonS3>, path: Path) -> Result<Option<ObjectStream>, ObjectError> {
    let Some(found) = within(OPERATION_TIMEOUT, bucket.head(&path)).await? else {
        // The answer to HEAD does not distinguish a missing object from a missing bucket.
        within(OPERATION_TIMEOUT, bucket.get(&path)).await?;
        return Ok(None);
    };
    let length = found.size;
    let object = Arc::new(Object { bucket, path, found });
    let pieces = stream::try_unfold(0, move |start| {
        let (object, range) = (Arc::clone(&object), start..length.min(start + PIECE_BYTES));
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end;
            Ok(Some((object.piece(range).await?, end)))
        }
    });
    Ok(Some(ObjectStream::new(length, pieces)))
}

struct Object {
    bucket: Arc<AmazonS3>,
    path: Path,
    /// The object as it was when it was opened.
    found: ObjectMeta,
}

impl Object {
    /// The bytes in `range`. If the connection breaks, the library continues at the byte where it broke.
    async fn piece(&self, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: self.found.e_tag.clone(),
            ..GetOptions::default()
        };
        let replaced = || ObjectError::Unreachable("the object was replaced while it was read".into());
        let piece = within(OPERATION_TIMEOUT, async {
            match self.bucket.get_opts(&self.path, options).await {
                // Not every server evaluates `If-Match`.
                Ok(found) if found.meta.e_tag != self.found.e_tag => Ok(None),
                Err(Error::Precondition { .. }) => Ok(None),
                found => found?.bytes().await.map(Some),
            }
        });
        piece.await?.flatten().ok_or_else(replaced)
    }
}
