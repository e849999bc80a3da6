//! The account of a first try.

use std::net::SocketAddr;
use std::sync::Arc;

use faceline_shared::seal::KeyRing;

use super::file::{Basic, Bws, Entry, Secret};
use super::password::Password;
use super::secret::{Digest, seal};
use super::{AccountsError, Caller, Permission};

/// Everybody knows it: the client, its API key, its user and that one's password, and its BWS client id.
const NAME: &str = "demo";
/// The hash of its password, so that no start has to make one.
const PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JsGMAy5peW7p/CCBXhSwQA$BYjvNOxwrBO2ogqt5hp2gxX4WLKBwzaHYREpAyaEnMw";
/// The key of its BWS client; in tokens as base64: `ZmFjZWxpbmUtZGVtby1rZXktZmFjZWxpbmUtZGVtby1rZXk=`.
const BWS_KEY: &[u8] = b"faceline-demo-key-faceline-demo-key";

/// The demo account with a key of each kind, for a listener that only this machine reaches.
pub(super) fn entries(listen: SocketAddr, ring: &KeyRing) -> Result<Vec<Entry>, AccountsError> {
    if !listen.ip().is_loopback() {
        return Err(AccountsError::DemoInTheOpen);
    }
    let demo = |error: &dyn std::fmt::Display| AccountsError::Demo(error.to_string());
    let password = Password::from_phc(PASSWORD).ok_or_else(|| demo(&"its hash is none"))?;
    let sealed = seal(ring, NAME, NAME, BWS_KEY).map_err(|error| demo(&error))?;
    let secrets = [
        Secret::ApiKey(Digest::of(NAME.as_bytes())),
        Secret::Basic(Basic { user: NAME.into(), password }),
        Secret::Bws(Bws { client_id: NAME.into(), sealed }),
    ];
    let entry = |secret| Entry { caller: caller(), secret, created: None, expires: None };
    Ok(secrets.map(entry).into())
}

/// Who shows one of its keys.
pub(crate) fn caller() -> Caller {
    Caller {
        client: Arc::from(NAME),
        key_id: Arc::from(NAME),
        rate: None,
        quota: None,
        permissions: Arc::from(Permission::ALL),
    }
}
