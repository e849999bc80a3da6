//! The error of the stores.

use crate::client::ClientFull;

/// Reason why an operation of a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be parsed.
    #[error("store.url is not usable: {0}")]
    Url(String),
    /// The files for TLS cannot be used.
    #[error("store.tls is not usable: {0}")]
    Tls(String),
    /// The store does not answer, or not in time. The change may or may not have been made.
    #[error("the session store does not answer: {0}")]
    Unreachable(String),
    /// The store is full.
    #[error("the session store is full")]
    Full,
    /// The client has reached a bound.
    #[error("the client keeps as much as it may: {}", .0.bound.label())]
    ClientFull(ClientFull),
    /// The store already has a session of this name.
    #[error("there is a session of this name already")]
    Exists,
    /// The address leads to a server that cannot be the store: it refuses the credentials, or is not such a server.
    #[error("this server cannot be the session store: {0}")]
    Unfit(String),
    /// The server is configured to evict keys when its memory is full; the text is its policy.
    #[error("the session store's maxmemory-policy is `{0}`; it must be `noeviction`")]
    Evicts(String),
    /// The store's file cannot be used, or the store returned data that this program does not write.
    #[error("the session store is broken: {0}")]
    Broken(String),
}

impl StoreError {
    /// Whether this instance is misconfigured or its own file is broken, in contrast to a server that is unavailable
    /// or full for all instances.
    #[must_use]
    pub fn is_misconfiguration(&self) -> bool {
        match self {
            Self::Url(_) | Self::Tls(_) | Self::Unfit(_) | Self::Evicts(_) | Self::Broken(_) => true,
            Self::Unreachable(_) | Self::Full | Self::ClientFull(_) | Self::Exists => false,
        }
    }
}
