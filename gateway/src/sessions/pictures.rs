//! Deleting the pictures of faces.

use faceline_shared::object::{ObjectError, SealedObjects};
use futures_util::{TryStreamExt as _, stream};
use uuid::Uuid;

use super::follow_up::picture_key;

/// Maximum number of pictures that are deleted at the same time.
const MAX_CONCURRENT_DELETIONS: usize = 16;

/// Deletes the pictures of faces, several at a time. It stops at the first one that cannot be deleted.
pub(super) async fn delete_pictures(
    pictures: &SealedObjects,
    session: Uuid,
    faces: &[Uuid],
) -> Result<(), ObjectError> {
    let keys = faces.iter().map(|face| picture_key(session, *face));
    let delete = |key: String| async move { pictures.delete(&key).await };
    stream::iter(keys.map(Ok)).try_for_each_concurrent(MAX_CONCURRENT_DELETIONS, delete).await
}
