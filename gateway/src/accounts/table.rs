//! The accounts of one version of the file, indexed for look-ups.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use aws_lc_rs::hmac::Tag;
use faceline_shared::seal::KeyRing;
use time::OffsetDateTime;

use super::caller::Caller;
use super::client_limits::ClientLimits;
use super::file::{AccountEntry, StoredCallbacks, StoredSecret};
use super::jwt::BwsKey;
use super::password::{CachedPassword, PasswordCache, PasswordHash};
use super::secret::{self, ApiKeyDigest};
use super::webhook::{ClientCallbacks, WebhookSecret};

/// All accounts of one version of the file. The cache of passwords belongs to it, so a change of the file empties it.
pub(super) struct AccountTable {
    /// By the first bytes of their digest. The whole digest is only compared in constant time.
    api_keys: HashMap<[u8; 8], HeldSecrets<ApiKeyDigest>>,
    users: Vec<Arc<User>>,
    /// Indices into `users`, by user name.
    names: HashMap<String, usize>,
    /// By the id of the BWS client.
    bws_keys: HashMap<String, HeldSecrets<Arc<[u8]>>>,
    /// Limits of single clients, by name.
    client_limits: HashMap<Arc<str>, ClientLimits>,
    /// The file's settings of callbacks, by client.
    callbacks: HashMap<Arc<str>, Arc<ClientCallbacks>>,
    /// Keys that expire, and when.
    expiring: Vec<(Caller, OffsetDateTime)>,
    password_cache: PasswordCache,
    hasher: RandomState,
}

/// Secrets and their holders.
type HeldSecrets<S> = Vec<(S, KeyHolder)>;

/// The holder of a key, and when the key expires.
struct KeyHolder {
    caller: Caller,
    expires: Option<OffsetDateTime>,
}

/// A user with a password.
pub(super) struct User {
    password: PasswordHash,
    cached: CachedPassword,
    holder: KeyHolder,
}

/// The user against whom a password is checked: the user of that name, or a stand-in if there is none.
///
/// With a stand-in, an unknown name costs as much time as a wrong password, and the time does not reveal which users
/// exist. A name always has the same stand-in, since hashes of different users may have different parameters.
#[derive(Clone)]
pub(super) struct Candidate {
    user: Arc<User>,
    is_stand_in: bool,
}

impl AccountTable {
    /// Builds the table, and opens the sealed keys of `entries`.
    ///
    /// # Errors
    /// A sealed key does not open; the text names the key.
    pub(super) fn new(entries: Vec<AccountEntry>, ring: &KeyRing) -> Result<Self, String> {
        let mut table = Self {
            api_keys: HashMap::new(),
            users: Vec::new(),
            names: HashMap::new(),
            bws_keys: HashMap::new(),
            client_limits: HashMap::new(),
            callbacks: HashMap::new(),
            expiring: Vec::new(),
            password_cache: PasswordCache::new(),
            hasher: RandomState::new(),
        };
        for AccountEntry { caller, client_limits, secret, expires, .. } in entries {
            if let Some(limits) = client_limits {
                table.client_limits.insert(Arc::clone(&caller.client), limits);
            }
            table.expiring.extend(expires.map(|end| (caller.clone(), end)));
            let holder = KeyHolder { caller, expires };
            match secret {
                StoredSecret::ApiKey(digest) => {
                    table.api_keys.entry(digest.prefix()).or_default().push((digest, holder));
                }
                StoredSecret::Password(basic) => {
                    table.names.insert(basic.user, table.users.len());
                    let (password, cached) = (basic.password, CachedPassword::default());
                    table.users.push(Arc::new(User { password, cached, holder }));
                }
                StoredSecret::Bws(bws) => {
                    let Caller { client, key_id, .. } = &holder.caller;
                    let key = secret::open(ring, client, key_id, &bws.sealed)
                        .map_err(|error| format!("the BWS key of key `{key_id}` cannot be used: {error}"))?;
                    table.bws_keys.entry(bws.client_id).or_default().push((key.into(), holder));
                }
            }
        }
        Ok(table)
    }

    /// Builds the table with the file's settings of callbacks.
    ///
    /// # Errors
    /// A sealed secret does not open; the text names the client.
    pub(super) fn with_callbacks(
        self,
        stored: HashMap<Arc<str>, StoredCallbacks>,
        ring: &KeyRing,
    ) -> Result<Self, String> {
        let open = |(client, StoredCallbacks { hosts, sealed_secrets }): (Arc<str>, StoredCallbacks)| {
            let secrets = sealed_secrets.iter().map(|sealed| WebhookSecret::open(ring, &client, sealed));
            let secrets = secrets.collect::<Result<_, _>>().map_err(|error| {
                format!("a webhook secret of the client `{client}` cannot be used: {error}")
            })?;
            Ok((client, Arc::new(ClientCallbacks { hosts, secrets })))
        };
        let callbacks = stored.into_iter().map(open).collect::<Result<_, String>>()?;
        Ok(Self { callbacks, ..self })
    }

    /// The settings of a client's callbacks.
    pub(super) fn callbacks(&self, client: &str) -> Arc<ClientCallbacks> {
        self.callbacks.get(client).cloned().unwrap_or_default()
    }

    /// The keys that expire, as callers who use them, with the time.
    pub(super) fn expiring(&self) -> &[(Caller, OffsetDateTime)] {
        &self.expiring
    }

    /// The caller who holds an API key.
    pub(super) fn by_api_key(&self, key: &[u8]) -> Option<Caller> {
        let digest = ApiKeyDigest::of(key);
        let same_prefix = self.api_keys.get(&digest.prefix())?;
        same_prefix.iter().find(|(known, _)| known.equals(&digest))?.1.caller()
    }

    /// The caller who holds the API key with this id.
    pub(super) fn by_key_id(&self, client: &str, id: &str) -> Option<Caller> {
        // Few requests ask for this, and an installation has few keys, so it has no index.
        let holders = self.api_keys.values().flatten().map(|(_, holder)| holder);
        holders
            .filter(|holder| &*holder.caller.client == client && &*holder.caller.key_id == id)
            .find_map(KeyHolder::caller)
    }

    /// The keys of a BWS client.
    pub(super) fn bws_keys(&self, client_id: &str) -> Vec<BwsKey> {
        let keys = self.bws_keys.get(client_id).into_iter().flatten();
        keys.filter_map(|(secret, holder)| {
            Some(BwsKey { secret: Arc::clone(secret), caller: holder.caller()? })
        })
        .collect()
    }

    /// The limits that a client has of its own.
    pub(super) fn client_limits(&self, client: &str) -> Option<ClientLimits> {
        self.client_limits.get(client).copied()
    }

    /// The user against whom to check a password for this name. `None` if there are no users at all.
    pub(super) fn candidate(&self, name: &str) -> Option<Candidate> {
        let known = self.names.get(name).copied();
        let stand_in = (self.hasher.hash_one(name) as usize).checked_rem(self.users.len())?;
        let user = Arc::clone(self.users.get(known.unwrap_or(stand_in))?);
        Some(Candidate { user, is_stand_in: known.is_none() })
    }

    /// The cache of correct passwords.
    pub(super) fn password_cache(&self) -> &PasswordCache {
        &self.password_cache
    }
}

impl Candidate {
    /// The caller, if the password with this digest was found correct before.
    pub(super) fn cached(&self, digest: &Tag) -> Option<Caller> {
        let is_right = self.user.cached.matches(digest);
        self.caller().filter(|_| is_right)
    }

    /// The caller, if the password is correct. Takes some 50 ms.
    pub(super) fn check(&self, password: &[u8], digest: Tag) -> Option<Caller> {
        let is_right = self.user.password.verify(password);
        let caller = self.caller().filter(|_| is_right)?;
        self.user.cached.insert(digest);
        Some(caller)
    }

    fn caller(&self) -> Option<Caller> {
        self.user.holder.caller().filter(|_| !self.is_stand_in)
    }
}

impl KeyHolder {
    /// The caller, unless the key has expired.
    fn caller(&self) -> Option<Caller> {
        let is_over = self.expires.is_some_and(|expires| expires <= OffsetDateTime::now_utc());
        (!is_over).then(|| self.caller.clone())
    }
}
