//! `faceline keys rotate`.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use faceline_shared::settings::Settings;
use time::OffsetDateTime;

use super::change::{after, change, edit_error, find};
use super::credential::{CredentialKind, NewCredential, new_id};
use super::error::KeysCommandError;
use crate::accounts::edit::{self, NewKey};
use crate::accounts::file::StoredSecret;
use crate::accounts::list;

/// The key to rotate, and its successor
#[derive(Clone, Debug, clap::Args)]
pub struct RotateKey {
    /// Id of the key to rotate
    key: String,
    /// Time for which the old key stays valid
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    overlap: Duration,
    /// Id of the new key [default: the client's name and random digits]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// New user name. Required for kind basic, because a user has only one password
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl RotateKey {
    pub(super) fn run(
        self,
        settings: &Settings,
        path: &Path,
        out: &mut impl Write,
    ) -> Result<(), KeysCommandError> {
        let mut done = None;
        change(path, |text, entries| {
            let old = find(entries, &self.key)?;
            let client = old.caller.client.as_ref();
            let (kind, name) = match (&old.secret, &self.user) {
                (StoredSecret::ApiKey(_), None) => (CredentialKind::ApiKey, String::new()),
                (StoredSecret::Bws(bws), None) => (CredentialKind::Bws, bws.client_id.clone()),
                (StoredSecret::Password(basic), user) => match user {
                    Some(user) if *user != basic.user => (CredentialKind::Basic, user.clone()),
                    _ => return Err(KeysCommandError::SameUser(basic.user.clone())),
                },
                (StoredSecret::ApiKey(_) | StoredSecret::Bws(_), Some(_)) => {
                    return Err(KeysCommandError::OtherKind("--user"));
                }
            };
            let id = new_id(self.id.clone(), client)?;
            let new = NewCredential::new(kind, client, &id, name, None, settings)?;
            let now = OffsetDateTime::now_utc();
            let end = after(now, self.overlap).map_err(|source| edit_error(path, source))?;
            // A rotation does not prolong a key that expires earlier.
            let end = old.expires.map_or(end, |expires| expires.min(end));
            let key = NewKey { id: &id, secret: new.stored.clone(), created: now, expires: None };
            let text = edit::succeed(text.unwrap_or_default(), &self.key, key, end)
                .map_err(|source| edit_error(path, source))?;
            done = Some((new, client.to_owned(), id, end));
            Ok(text)
        })?;
        let Some((new, client, id, end)) = done else { return Ok(()) };
        new.show(&client, &id, out)?;
        Ok(writeln!(out, "The key `{}` ends at {}.", self.key, list::moment(end))?)
    }
}
