//! The account of a first try.

use std::net::SocketAddr;
use std::sync::Arc;

use super::secret::Digest;
use super::{AccountsError, Caller, Entry, Permission};

/// The key of the demo account; everybody knows it.
const KEY: &[u8] = b"demo";

/// The demo account, for a listener that only this machine reaches.
pub(super) fn entries(listen: SocketAddr) -> Result<Vec<Entry>, AccountsError> {
    if !listen.ip().is_loopback() {
        return Err(AccountsError::DemoInTheOpen);
    }
    let demo = Caller {
        client: Arc::from("demo"),
        key_id: Arc::from("demo"),
        rate: None,
        quota: None,
        permissions: Arc::from(Permission::ALL),
    };
    Ok(vec![(Digest::of(KEY), demo)])
}
