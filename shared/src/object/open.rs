//! Opens the object store that the settings name.

use std::path::Path;
use std::sync::Arc;

use super::folder::FolderObjects;
#[cfg(feature = "s3")]
use super::s3::S3Objects;
use super::store::{ObjectError, ObjectStore};
use crate::config::Objects;

/// Opens the store that the settings name, or the folder `objects` in `data_dir` if they name none. The first use creates the
/// folder or connects to the server.
///
/// # Errors
/// [`ObjectError::Url`].
pub fn open(settings: &Objects, data_dir: &Path) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    let Some(url) = &settings.url else {
        return Ok(Arc::new(FolderObjects::new(data_dir.join("objects"))));
    };
    match url.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => Ok(Arc::new(FolderObjects::new(path.into()))),
        #[cfg(feature = "s3")]
        Some(("s3", address)) => Ok(Arc::new(S3Objects::new(address, settings)?)),
        _ => Err(ObjectError::Url("expected file:///… or s3://…".into())),
    }
}
