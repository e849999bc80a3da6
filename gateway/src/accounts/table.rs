//! The accounts of an installation as they are looked up.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use aws_lc_rs::hmac::Tag;
use faceline_shared::seal::KeyRing;
use time::OffsetDateTime;

use super::file::{Entry, Secret};
use super::password::{Memory, Password, Remembered};
use super::secret::{self, Digest};
use super::{BwsKey, Caller};

/// All accounts at one time. What changes with the file is in it, what is remembered of passwords, too.
pub(super) struct Table {
    /// By the first bytes of their digest, so that the whole one is only ever compared in constant time.
    api_keys: HashMap<[u8; 8], Held<Digest>>,
    users: Vec<Arc<User>>,
    /// Indices of users.
    names: HashMap<String, usize>,
    /// By the id of the BWS client.
    bws_keys: HashMap<String, Held<Arc<[u8]>>>,
    memory: Memory,
    hasher: RandomState,
}

/// Secrets and who holds them.
type Held<S> = Vec<(S, Holder)>;

/// Who holds a key, and until when.
struct Holder {
    caller: Caller,
    expires: Option<OffsetDateTime>,
}

/// A user who shows a password.
pub(super) struct User {
    password: Password,
    remembered: Remembered,
    holder: Holder,
}

/// Who is looked at for a user's name: the user, or somebody who stands in where there is none.
///
/// A wrong password costs the same work then, so that what it takes does not tell which users there are: a name without
/// a user always has the same stand-in, whose hash may have other parameters than that of the next.
#[derive(Clone)]
pub(super) struct Candidate {
    user: Arc<User>,
    is_stand_in: bool,
}

impl Table {
    /// Opens what is sealed in `entries`.
    ///
    /// # Errors
    /// A key that does not open.
    pub(super) fn new(entries: Vec<Entry>, ring: &KeyRing) -> Result<Self, String> {
        let mut table = Self {
            api_keys: HashMap::new(),
            users: Vec::new(),
            names: HashMap::new(),
            bws_keys: HashMap::new(),
            memory: Memory::new(),
            hasher: RandomState::new(),
        };
        for Entry { caller, secret, expires, .. } in entries {
            let holder = Holder { caller, expires };
            match secret {
                Secret::ApiKey(digest) => {
                    table.api_keys.entry(digest.prefix()).or_default().push((digest, holder));
                }
                Secret::Basic(basic) => {
                    table.names.insert(basic.user, table.users.len());
                    let (password, remembered) = (basic.password, Remembered::default());
                    table.users.push(Arc::new(User { password, remembered, holder }));
                }
                Secret::Bws(bws) => {
                    let Caller { client, key_id, .. } = &holder.caller;
                    let key = secret::open(ring, client, key_id, &bws.sealed)
                        .map_err(|error| format!("the BWS key of key `{key_id}` cannot be used: {error}"))?;
                    table.bws_keys.entry(bws.client_id).or_default().push((key.into(), holder));
                }
            }
        }
        Ok(table)
    }

    /// Who holds an API key.
    pub(super) fn by_api_key(&self, key: &[u8]) -> Option<Caller> {
        let digest = Digest::of(key);
        let alike = self.api_keys.get(&digest.prefix())?;
        alike.iter().find(|(known, _)| known.equals(&digest))?.1.caller()
    }

    /// The keys of a BWS client.
    pub(super) fn bws_keys(&self, client_id: &str) -> Vec<BwsKey> {
        let keys = self.bws_keys.get(client_id).into_iter().flatten();
        keys.filter_map(|(secret, holder)| {
            Some(BwsKey { secret: Arc::clone(secret), caller: holder.caller()? })
        })
        .collect()
    }

    /// Whom to look at for a user's name; nobody where there are no users at all.
    pub(super) fn candidate(&self, name: &str) -> Option<Candidate> {
        let known = self.names.get(name).copied();
        let stand_in = (self.hasher.hash_one(name) as usize).checked_rem(self.users.len())?;
        let user = Arc::clone(self.users.get(known.unwrap_or(stand_in))?);
        Some(Candidate { user, is_stand_in: known.is_none() })
    }

    /// What passwords are remembered by.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Candidate {
    /// Whose password it is, where it was found right before.
    pub(super) fn remembers(&self, digest: &Tag) -> Option<Caller> {
        let is_right = self.user.remembered.is(digest);
        self.caller().filter(|_| is_right)
    }

    /// Whose password it is. Takes its time.
    pub(super) fn check(&self, password: &[u8], digest: Tag) -> Option<Caller> {
        let is_right = self.user.password.is(password);
        let caller = self.caller().filter(|_| is_right)?;
        self.user.remembered.right(digest);
        Some(caller)
    }

    fn caller(&self) -> Option<Caller> {
        self.user.holder.caller().filter(|_| !self.is_stand_in)
    }
}

impl Holder {
    /// The caller, unless the key has expired.
    fn caller(&self) -> Option<Caller> {
        let is_over = self.expires.is_some_and(|expires| expires <= OffsetDateTime::now_utc());
        (!is_over).then(|| self.caller.clone())
    }
}
