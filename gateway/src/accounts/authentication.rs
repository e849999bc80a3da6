//! The accounts of an installation, and the callers that credentials belong to.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use faceline_shared::seal::KeyRing;
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use faceline_shared::watched_file::{FileSource, WatchMetrics, WatchedFile};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::caller::Caller;
use super::client_limits::ClientLimits;
use super::error::AccountsError;
use super::failed_logins::{CredentialKind, FailedLogins, PasswordCheck, SourceAddress};
use super::file::ParsedAccounts;
use super::jwt::{self, BwsKey};
use super::permission::Permission;
use super::table::AccountTable;
use super::webhook::ClientCallbacks;
use super::{demo, expiry, file};
use crate::fault::{BusyCause, Fault};

/// A password that this process has not seen before is checked within this time, or its caller gets 429.
const HASHING_TIMEOUT: Duration = Duration::from_secs(5);

/// All accounts of an installation.
pub struct Accounts {
    table: TableSource,
    failed_logins: Arc<FailedLogins>,
    /// Bounds how many passwords are hashed at the same time. Each hash takes a thread and 19 MiB.
    hashing: Arc<Semaphore>,
}

enum TableSource {
    Demo(Arc<AccountTable>),
    File(Arc<WatchedFile<AccountsFile>>),
}

/// The accounts file, and the keys that open its sealed secrets.
struct AccountsFile {
    path: PathBuf,
    ring: KeyRing,
}

impl FileSource for AccountsFile {
    type Content = String;
    type Value = AccountTable;
    type Error = AccountsError;

    fn read(&self) -> Result<String, AccountsError> {
        std::fs::read_to_string(&self.path)
            .map_err(|source| AccountsError::Io { path: self.path.clone(), source })
    }

    fn parse(&self, text: &String) -> Result<AccountTable, AccountsError> {
        file::parse_all(text)
            .and_then(|ParsedAccounts { entries, callbacks }| {
                AccountTable::new(entries, &self.ring)?.with_callbacks(callbacks, &self.ring)
            })
            .map_err(|reason| AccountsError::Form { path: self.path.clone(), reason })
    }
}

impl Accounts {
    /// Loads the accounts from the file that `settings` name, or the demo account if they name none. `ring` opens the
    /// sealed keys.
    ///
    /// # Errors
    /// [`AccountsError`]: the file cannot be read or is not of the right form, or the demo account is used and other
    /// machines can reach the listener.
    pub fn load(settings: &Settings, ring: &KeyRing, metrics: &Metrics) -> Result<Self, AccountsError> {
        let watch_metrics = WatchMetrics::new(metrics, "accounts");
        let table = match &settings.accounts.file {
            Some(path) => {
                let file = AccountsFile { path: path.clone(), ring: ring.clone() };
                let accounts = Arc::new(WatchedFile::load(file, watch_metrics)?);
                let shown = Arc::clone(&accounts);
                expiry::show(move || shown.current().expiring().to_vec(), metrics);
                TableSource::File(accounts)
            }
            None => {
                let entries = demo::entries(settings.http.listen, ring)?;
                let table = AccountTable::new(entries, ring).map_err(AccountsError::Demo)?;
                TableSource::Demo(Arc::new(table))
            }
        };
        let half_of_the_cores = available_parallelism().map_or(1, NonZero::get).div_ceil(2);
        Ok(Self {
            table,
            failed_logins: Arc::new(FailedLogins::new(settings.limits.failed_logins)),
            hashing: Arc::new(Semaphore::new(half_of_the_cores)),
        })
    }

    /// Returns the caller who holds this API key. `source` is the source address of the request.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`] if there is no key, or a wrong one; [`BusyCause::FailedLogins`] for a wrong one after
    /// `limits.failed_logins` in a minute.
    pub fn by_api_key(&self, key: Option<&[u8]>, source: SourceAddress) -> Result<Caller, Fault> {
        let key = key.ok_or(Fault::Unauthenticated)?;
        // An API key cannot be guessed, so a right one passes even from an address with many failures.
        self.table().by_api_key(key).ok_or_else(|| self.failed_logins.count(CredentialKind::ApiKey, source))
    }

    /// Returns the caller with this user name and password. The first check of a password takes some 50 ms of a thread,
    /// and so does the first one after each change of the accounts.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`] if there is no such user, or the password is wrong; [`BusyCause::FailedLogins`] after
    /// too many failures from `source` or for `user`; [`BusyCause::InFlight`] if too many other passwords are being
    /// checked.
    pub async fn by_password(
        &self,
        user: &str,
        password: &[u8],
        source: SourceAddress,
    ) -> Result<Caller, Fault> {
        let key = self.failed_logins.user(user);
        let kind = CredentialKind::Password(key);
        let table = self.table();
        // All that follows takes the same time for users who do not exist.
        let Some(candidate) = table.candidate(user) else {
            return Err(self.failed_logins.count(kind, source));
        };
        let digest = table.password_cache().digest(password);
        let cached = || candidate.cached(&digest).inspect(|_| self.failed_logins.note_success(key, source));
        // Checked before the cache: people choose passwords that can be guessed, and guessing a cached one would cost
        // nothing.
        match self.failed_logins.check(key, source) {
            PasswordCheck::Allowed => (),
            PasswordCheck::OnlyCached(wait) => {
                return cached().ok_or_else(|| self.failed_logins.count_unchecked(key, source, wait));
            }
            PasswordCheck::Refused(wait) => {
                return Err(self.failed_logins.count_unchecked(key, source, wait));
            }
        }
        if let Some(caller) = cached() {
            return Ok(caller);
        }
        let permit = timeout(HASHING_TIMEOUT, Arc::clone(&self.hashing).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Fault::busy(BusyCause::InFlight, HASHING_TIMEOUT)) };
        // In the meantime another request may have cached the password, or used up the failures.
        if let Some(caller) = cached() {
            return Ok(caller);
        }
        if let PasswordCheck::OnlyCached(wait) | PasswordCheck::Refused(wait) =
            self.failed_logins.check(key, source)
        {
            return Err(self.failed_logins.count_unchecked(key, source, wait));
        }
        let (password, failed_logins) = (password.to_vec(), Arc::clone(&self.failed_logins));
        let checked = tokio::task::spawn_blocking(move || {
            // The permit belongs to this thread: if the caller leaves, the work still goes on, and its outcome still
            // counts.
            let _permit = permit;
            let caller =
                candidate.check(&password, digest).ok_or_else(|| failed_logins.count(kind, source))?;
            failed_logins.note_success(key, source);
            Ok(caller)
        });
        checked.await.map_err(|error| {
            tracing::error!(%error, "a password cannot be checked");
            Fault::Internal
        })?
    }

    /// Returns the caller that this token authenticates: a JSON Web Token, signed with a BWS key.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`] if there is no token, or a wrong one; [`BusyCause::FailedLogins`] for a wrong one
    /// after `limits.failed_logins` in a minute.
    pub fn by_token(&self, token: Option<&[u8]>, source: SourceAddress) -> Result<Caller, Fault> {
        let token = token.ok_or(Fault::Unauthenticated)?;
        let now = OffsetDateTime::now_utc().unix_timestamp() as f64;
        // As with API keys, a right token passes even from an address with many failures.
        jwt::caller(token, now, |client_id| self.bws_keys(client_id))
            .ok_or_else(|| self.failed_logins.count(CredentialKind::Token, source))
    }

    /// Returns a caller with `permission` alone, on behalf of the API key with which a capture token was made. `None`
    /// if the client no longer has that key: access that was granted with a key ends with the key.
    #[must_use]
    pub fn on_behalf_of(&self, client: &str, key_id: &str, permission: Permission) -> Option<Caller> {
        let caller = self.table().by_key_id(client, key_id)?;
        Some(Caller { rate: None, quota: None, permissions: Arc::from([permission]), ..caller })
    }

    /// Counts a wrong capture token from `source`, and returns the answer to it: [`Fault::Unauthenticated`], or
    /// [`BusyCause::FailedLogins`] after `limits.failed_logins` in a minute.
    pub fn count_wrong_capture_token(&self, source: SourceAddress) -> Fault {
        self.failed_logins.count(CredentialKind::CaptureToken, source)
    }

    /// Counts a wrong session id from `source` in the same way.
    pub fn count_wrong_session_id(&self, source: SourceAddress) -> Fault {
        self.failed_logins.count(CredentialKind::SessionId, source)
    }

    /// The keys that may sign tokens of the BWS client `client_id`.
    #[must_use]
    pub fn bws_keys(&self, client_id: &str) -> Vec<BwsKey> {
        self.table().bws_keys(client_id)
    }

    /// The settings of a client's callbacks.
    #[must_use]
    pub fn callbacks(&self, client: &str) -> Arc<ClientCallbacks> {
        self.table().callbacks(client)
    }

    /// The limits that a client has of its own.
    #[must_use]
    pub fn client_limits(&self, client: &str) -> Option<ClientLimits> {
        self.table().client_limits(client)
    }

    /// Loads the accounts file again whenever it changes, until the future is dropped. Returns at once for the demo
    /// account.
    pub async fn watch(self: Arc<Self>) {
        if let TableSource::File(file) = &self.table {
            Arc::clone(file).watch().await;
        }
    }

    fn table(&self) -> Arc<AccountTable> {
        match &self.table {
            TableSource::Demo(table) => Arc::clone(table),
            TableSource::File(file) => file.current(),
        }
    }
}

#[cfg(test)]
mod tests;
