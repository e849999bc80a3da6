//! Who may call, and what.

mod demo;
mod file;
mod permission;
mod secret;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use faceline_shared::config::Config;
use faceline_shared::error::Fault;
pub use faceline_shared::rate::{Quota, QuotaSpan, Rate};

pub use self::permission::Permission;
use self::secret::Digest;

/// What a caller shows.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// The value of the header `apikey`.
    ApiKey(&'a [u8]),
}

/// Who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The client; what a call creates belongs to it.
    pub client: Arc<str>,
    /// The key that was shown.
    pub key_id: Arc<str>,
    /// Where the key has a rate of its own.
    pub rate: Option<Rate>,
    /// Where the key has one.
    pub quota: Option<Quota>,
    permissions: Arc<[Permission]>,
}

impl Caller {
    /// Checks that the key allows something.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] where it does not.
    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        if self.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(Fault::Forbidden(permission.as_str()))
        }
    }
}

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
    /// The text is not of the form.
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
}

/// One entry of the table: the digest of a secret and who holds it.
type Entry = (Digest, Caller);

/// All accounts of an installation.
pub struct Accounts {
    /// Entries by the first bytes of their digest, so that the whole one is only ever compared in constant time.
    keys: ArcSwap<HashMap<[u8; 8], Vec<Entry>>>,
}

impl Accounts {
    /// The accounts that `config` names, or the demo account where it names none.
    ///
    /// # Errors
    /// A file that cannot be read or is not of the form, or a demo account on a listener that others reach.
    pub fn load(config: &Config) -> Result<Self, AccountsError> {
        let entries = match &config.accounts.file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| AccountsError::Io { path: path.clone(), source })?;
                file::parse(&text).map_err(|reason| AccountsError::Form { path: path.clone(), reason })?
            }
            None => demo::entries(config.http.listen)?,
        };
        Ok(Self::new(entries))
    }

    fn new(entries: Vec<Entry>) -> Self {
        let mut keys: HashMap<_, Vec<Entry>> = HashMap::new();
        for (digest, caller) in entries {
            keys.entry(digest.prefix()).or_default().push((digest, caller));
        }
        Self { keys: ArcSwap::from_pointee(keys) }
    }

    /// Who shows this credential.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`], whatever is wrong with it.
    pub fn authenticate(&self, credential: Option<Credential<'_>>) -> Result<Caller, Fault> {
        let Some(Credential::ApiKey(key)) = credential else {
            return Err(Fault::Unauthenticated);
        };
        let digest = Digest::of(key);
        self.keys
            .load()
            .get(&digest.prefix())
            .into_iter()
            .flatten()
            .find(|(known, _)| known.equals(&digest))
            .map(|(_, caller)| caller.clone())
            .ok_or(Fault::Unauthenticated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(text: &str) -> Accounts {
        Accounts::new(file::parse(text).unwrap())
    }

    fn show<'a>(key: &'a str) -> Option<Credential<'a>> {
        Some(Credential::ApiKey(key.as_bytes()))
    }

    #[test]
    fn a_key_opens_what_it_allows_and_a_wrong_one_nothing() {
        // SHA-256 of "secret".
        let accounts = accounts(
            r#"
            [[clients]]
            name = "bank"
            [[clients.keys]]
            id = "bank-1"
            secret = { api_key_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }
            permissions = ["match"]
            "#,
        );
        let caller = accounts.authenticate(show("secret")).unwrap();
        assert_eq!((&*caller.client, &*caller.key_id), ("bank", "bank-1"));
        assert_eq!(caller.require(Permission::Match), Ok(()));
        assert_eq!(caller.require(Permission::FacesCreate), Err(Fault::Forbidden("faces:create")));
        for wrong in [None, show(""), show("secret "), show("bank-1")] {
            assert_eq!(accounts.authenticate(wrong).unwrap_err(), Fault::Unauthenticated);
        }
    }

    #[test]
    fn without_a_file_there_is_the_demo_account_on_loopback_only() {
        let mut config = Config::default();
        let accounts = Accounts::load(&config).unwrap();
        let caller = accounts.authenticate(show("demo")).unwrap();
        assert!(Permission::ALL.iter().all(|permission| caller.require(*permission).is_ok()));

        config.http.listen = ([0, 0, 0, 0], 8080).into();
        assert!(matches!(Accounts::load(&config), Err(AccountsError::DemoInTheOpen)));
    }

    #[test]
    fn a_missing_file_is_named() {
        let mut config = Config::default();
        config.accounts.file = Some("/nowhere/accounts.toml".into());
        let error = Accounts::load(&config).err().unwrap().to_string();
        assert!(error.contains("/nowhere/accounts.toml"), "{error}");
    }
}
