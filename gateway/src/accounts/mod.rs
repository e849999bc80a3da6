//! Who may call, and what.
//!
//! One file holds the keys of all clients (`file.rs`): API keys, users with passwords, and keys that sign the tokens of
//! BWS clients. It is followed while the gateway runs (`followed.rs`), and edited by `faceline keys` (`command.rs`).

mod caller;
mod command;
mod demo;
mod edit;
mod failures;
mod file;
mod followed;
mod jwt;
mod list;
mod password;
mod permission;
mod secret;
mod table;

use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use crate::fault::{BusyCause, Fault};
use arc_swap::ArcSwap;
pub use faceline_gateway_store::rate::{Quota, QuotaSpan, Rate};
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounterVec, IntGauge};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use self::caller::Caller;
pub use self::command::{AddKey, KeysCommand, KeysCommandError, Kind, RotateKey};
#[cfg(test)]
pub(crate) use self::demo::caller as demo_caller;
pub use self::edit::EditError;
use self::failures::Failures;
pub use self::failures::Peer;
use self::followed::Followed;
pub use self::permission::Permission;
use self::table::Table;
use crate::follow::follow;

/// How often a gateway looks whether the accounts file has changed.
const LOOK: Duration = Duration::from_millis(500);

/// A password that is new to this process is checked within this, or its caller told to come again.
const TURN: Duration = Duration::from_secs(5);

/// Why there are no accounts.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The file cannot be read.
    #[error("accounts file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The text is not of the form, or a sealed key does not open.
    #[error("accounts file {path}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Everybody could use the demo account.
    #[error("the demo account is for a loopback listener only; name an accounts file")]
    DemoInTheOpen,
    /// The demo account cannot be made.
    #[error("the demo account: {0}")]
    Demo(String),
}

/// A key that signs the tokens of a BWS client.
#[derive(Clone)]
pub struct BwsKey {
    /// For the HMAC.
    pub secret: Arc<[u8]>,
    /// Who holds it.
    pub caller: Caller,
}

/// All accounts of an installation.
pub struct Accounts {
    table: ArcSwap<Table>,
    /// None of the demo account.
    file: Option<Mutex<Followed>>,
    ring: KeyRing,
    failures: Arc<Failures>,
    /// Passwords that are hashed at the same time. Each takes a thread and 19 MiB.
    hashing: Arc<Semaphore>,
    metrics: AccountsMetrics,
}

struct AccountsMetrics {
    reloads: IntCounterVec,
    is_current: IntGauge,
}

impl Accounts {
    /// The accounts that `config` names, or the demo account where it names none. What is sealed in them opens with
    /// `ring`.
    ///
    /// # Errors
    /// A file that cannot be read or is not of the form, or a demo account on a listener that others reach.
    pub fn load(config: &Settings, ring: &KeyRing, metrics: &Metrics) -> Result<Self, AccountsError> {
        let (table, file) = match &config.accounts.file {
            Some(path) => {
                let (followed, text) = Followed::open(path)
                    .map_err(|source| AccountsError::Io { path: path.clone(), source })?;
                let table =
                    read(&text, ring).map_err(|reason| AccountsError::Form { path: path.clone(), reason })?;
                (table, Some(Mutex::new(followed)))
            }
            None => {
                let entries = demo::entries(config.http.listen, ring)?;
                (Table::new(entries, ring).map_err(AccountsError::Demo)?, None)
            }
        };
        let metrics = AccountsMetrics {
            reloads: metrics.counters(
                "faceline_accounts_reloads_total",
                "Changes of the accounts file, as they were taken.",
                &["outcome"],
            ),
            is_current: metrics.gauge(
                "faceline_accounts_current",
                "1 where the accounts are those of the file, 0 where it cannot be used.",
            ),
        };
        metrics.is_current.set(1);
        let half_of_the_cores = available_parallelism().map_or(1, NonZero::get).div_ceil(2);
        Ok(Self {
            table: ArcSwap::from_pointee(table),
            file,
            ring: ring.clone(),
            failures: Arc::new(Failures::new(config.limits.failed_logins)),
            hashing: Arc::new(Semaphore::new(half_of_the_cores)),
            metrics,
        })
    }

    /// Who holds this API key; `peer` is where it came from.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`], whatever is wrong with it; as of [`Accounts::refusal`] where there is one.
    pub fn by_api_key(&self, key: Option<&[u8]>, peer: Peer) -> Result<Caller, Fault> {
        let key = key.ok_or(Fault::Unauthenticated)?;
        // Nobody guesses one, so that a right one passes wherever it comes from.
        self.table.load().by_api_key(key).ok_or_else(|| self.refusal(peer))
    }

    /// Whose password this is. The first time that it is shown, and after each change of the accounts, that takes some
    /// 50 ms of a thread.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`], whether there is no such user, or the password is another one;
    /// [`BusyCause::FailedLogins`] where it is not looked at; [`BusyCause::InFlight`] where too many others are.
    pub async fn by_password(&self, user: &str, password: &[u8], peer: Peer) -> Result<Caller, Fault> {
        // First of all: people choose passwords that can be guessed, and one that is remembered costs a guess nothing.
        self.failures.check(peer)?;
        let table = self.table.load_full();
        let candidate = table.candidate(user).ok_or_else(|| self.refusal(peer))?;
        let digest = table.memory().digest(password);
        if let Some(caller) = candidate.remembers(&digest) {
            return Ok(caller);
        }
        let turn = timeout(TURN, Arc::clone(&self.hashing).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Fault::busy(BusyCause::InFlight, TURN)) };
        // While this one waited, another request may have shown that the password is right, or the last failure that is
        // looked at may have come.
        if let Some(caller) = candidate.remembers(&digest) {
            return Ok(caller);
        }
        self.failures.check(peer)?;
        let (password, failures) = (password.to_vec(), Arc::clone(&self.failures));
        let checked = tokio::task::spawn_blocking(move || {
            // Whoever asked may be gone: the work is done, and counts, all the same.
            let _turn = turn;
            candidate.check(&password, digest).ok_or_else(|| failures.refusal(peer))
        });
        checked.await.map_err(|error| {
            tracing::error!(%error, "a password cannot be checked");
            Fault::Internal
        })?
    }

    /// Whose token this is, a JSON Web Token under a BWS key; `peer` is where it came from.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`], whatever is wrong with it; as of [`Accounts::refusal`] where there is one.
    pub fn by_token(&self, token: Option<&[u8]>, peer: Peer) -> Result<Caller, Fault> {
        let token = token.ok_or(Fault::Unauthenticated)?;
        let now = OffsetDateTime::now_utc().unix_timestamp() as f64;
        // As with API keys: nobody guesses one.
        jwt::caller(token, now, |client_id| self.bws_keys(client_id)).ok_or_else(|| self.refusal(peer))
    }

    /// The keys that may sign tokens of the BWS client `client_id`. Where none has signed, [`Accounts::refusal`] is the
    /// answer.
    #[must_use]
    pub fn bws_keys(&self, client_id: &str) -> Vec<BwsKey> {
        self.table.load().bws_keys(client_id)
    }

    /// What to answer to a wrong credential of `peer`, which is counted: [`Fault::Unauthenticated`], and after
    /// `limits.failed_logins` in a minute [`BusyCause::FailedLogins`].
    #[must_use]
    pub fn refusal(&self, peer: Peer) -> Fault {
        self.failures.refusal(peer)
    }

    /// Reads the accounts file again where it has changed. Where it is broken, the accounts stay as they are.
    pub fn look(&self) {
        let Some(file) = &self.file else { return };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = file.look() else { return };
        let path = file.path().display();
        let table = found.map_err(|error| error.to_string()).and_then(|text| read(&text, &self.ring));
        self.metrics.is_current.set(table.is_ok().into());
        let outcome = match table {
            Ok(table) => {
                self.table.store(Arc::new(table));
                tracing::info!(file = %path, "the accounts have changed");
                "taken"
            }
            Err(reason) => {
                tracing::error!(file = %path, reason, "the accounts stay as they were: the file cannot be used");
                "refused"
            }
        };
        self.metrics.reloads.with_label_values(&[outcome]).inc();
    }

    /// Looks after the accounts file for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        if self.file.is_none() {
            return;
        }
        follow("accounts", LOOK, move || self.look()).await;
    }
}

fn read(text: &str, ring: &KeyRing) -> Result<Table, String> {
    Table::new(file::parse(text)?, ring)
}

#[cfg(test)]
mod tests;
