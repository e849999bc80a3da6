//! Edits the accounts file under a lock.

use std::path::Path;
use std::time::Duration;

use faceline_shared::secret_file;
use time::OffsetDateTime;

use super::error::KeysCommandError;
use crate::accounts::edit::EditError;
use crate::accounts::error::AccountsError;
use crate::accounts::file::{self, AccountEntry};

/// Edits the file while no other command does. The new text is checked before it is written.
pub(super) fn change(
    path: &Path,
    change: impl FnOnce(Option<&str>, &[AccountEntry]) -> Result<String, KeysCommandError>,
) -> Result<(), KeysCommandError> {
    secret_file::update_readable(path, |text| {
        let entries = parse(path, text.as_deref().unwrap_or_default())?;
        let new = change(text.as_deref(), &entries)?;
        parse(path, &new)?;
        Ok(Some(new))
    })
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<AccountEntry>, KeysCommandError> {
    let form = |reason| AccountsError::Form { path: path.to_owned(), reason };
    Ok(file::parse(text).map_err(form)?)
}

pub(super) fn find<'a>(entries: &'a [AccountEntry], id: &str) -> Result<&'a AccountEntry, KeysCommandError> {
    let found = entries.iter().find(|entry| &*entry.caller.key_id == id);
    found.ok_or_else(|| KeysCommandError::NoKey(id.to_owned()))
}

pub(super) fn edit_error(path: &Path, source: EditError) -> KeysCommandError {
    KeysCommandError::Edit { path: path.to_owned(), source }
}

pub(super) fn after(now: OffsetDateTime, time: Duration) -> Result<OffsetDateTime, EditError> {
    time::Duration::try_from(time).ok().and_then(|time| now.checked_add(time)).ok_or(EditError::Time)
}
