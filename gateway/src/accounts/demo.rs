//! The demo account, with which the service can be tried without an accounts file.

use std::net::SocketAddr;
use std::sync::Arc;

use faceline_shared::seal::KeyRing;

use super::caller::Caller;
use super::error::AccountsError;
use super::file::{AccountEntry, BwsCredential, PasswordCredential, StoredSecret};
use super::password::PasswordHash;
use super::permission::Permission;
use super::secret::{ApiKeyDigest, seal};

/// Name of the client, its API key, its user, the user's password and its BWS client id. It is public.
const NAME: &str = "demo";
/// Hash of the password. It is stored here, so it need not be computed at each start.
const PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JsGMAy5peW7p/CCBXhSwQA$BYjvNOxwrBO2ogqt5hp2gxX4WLKBwzaHYREpAyaEnMw";
/// Key of the BWS client; in base64: `ZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYWNrLW9ubHktZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYQ==`.
const BWS_KEY: &[u8] = b"faceline-demo-key-for-loopback-only-faceline-demo-key-for-loopba";

/// Returns the entries of the demo account, one key of each kind. The listener must be a loopback one.
pub(super) fn entries(listen: SocketAddr, ring: &KeyRing) -> Result<Vec<AccountEntry>, AccountsError> {
    if !listen.ip().is_loopback() {
        return Err(AccountsError::DemoInTheOpen);
    }
    let demo = |error: &dyn std::fmt::Display| AccountsError::Demo(error.to_string());
    let password = PasswordHash::from_phc(PASSWORD).ok_or_else(|| demo(&"its hash is none"))?;
    let sealed = seal(ring, NAME, NAME, BWS_KEY).map_err(|error| demo(&error))?;
    let secrets = [
        StoredSecret::ApiKey(ApiKeyDigest::of(NAME.as_bytes())),
        StoredSecret::Password(PasswordCredential { user: NAME.into(), password }),
        StoredSecret::Bws(BwsCredential { client_id: NAME.into(), sealed }),
    ];
    let entry =
        |secret| AccountEntry { caller: caller(), client_limits: None, secret, created: None, expires: None };
    Ok(secrets.map(entry).into())
}

/// The caller who uses one of the demo keys.
pub(crate) fn caller() -> Caller {
    Caller {
        client: Arc::from(NAME),
        key_id: Arc::from(NAME),
        rate: None,
        quota: None,
        permissions: Arc::from(Permission::ALL),
    }
}
