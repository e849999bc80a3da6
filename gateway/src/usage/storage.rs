//! The place of usage records in the object store.

/// The client for which the objects are sealed: each holds records of all clients.
pub(super) const OWNER: &str = "usage";
/// The folder of all usage records. It has a folder for each day.
pub(super) const FOLDER: &str = "usage";
