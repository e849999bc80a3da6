//! Opens the object store that the settings name.

use std::path::Path;
use std::sync::Arc;

use super::error::ObjectError;
use super::folder::FolderObjects;
#[cfg(feature = "s3")]
use super::s3::S3Objects;
use super::store::ObjectStore;
use crate::settings::{ObjectSettings, ObjectsUrl};

/// Opens the store that the settings name, or the folder `objects` in `data_dir` if they name none. The first use creates the
/// folder or connects to the server.
///
/// # Errors
/// [`ObjectError::Url`] if the address cannot be parsed, or this program is built without S3.
pub fn open(settings: &ObjectSettings, data_dir: &Path) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    match &settings.url {
        None => Ok(Arc::new(FolderObjects::new(data_dir.join("objects")))),
        Some(ObjectsUrl::Folder(path)) => Ok(Arc::new(FolderObjects::new(path.clone()))),
        #[cfg(feature = "s3")]
        Some(ObjectsUrl::S3(url)) => Ok(Arc::new(S3Objects::new(url, settings)?)),
        #[cfg(not(feature = "s3"))]
        Some(ObjectsUrl::S3(_)) => Err(ObjectError::Url("this program is built without S3".into())),
    }
}
