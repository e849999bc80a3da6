//! The section `store`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::client_tls::ClientTls;
use super::error::InvalidUrl;
use crate::redact::SecretUrl;

/// Schemes of Redis; those with a double s mean TLS.
const REDIS_SCHEMES: [&str; 4] = ["redis", "rediss", "redis+sentinel", "rediss+sentinel"];

/// Address of a session store or a blob store.
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// The store lives in this process.
    Embedded,
    /// Redis: `redis://…`, `rediss://…`, `redis+sentinel://…` or `rediss+sentinel://…`.
    Redis(SecretUrl),
}

impl StoreUrl {
    /// Whether the store lives in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded)
    }
}

impl FromStr for StoreUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        match text.split_once(':') {
            Some(("embedded", _)) => Ok(Self::Embedded),
            Some((scheme, rest)) if REDIS_SCHEMES.contains(&scheme) && rest.starts_with("//") => {
                Ok(Self::Redis(text.into()))
            }
            _ => Err(InvalidUrl("`embedded:`, redis://… or redis+sentinel://…")),
        }
    }
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
impl serde::Serialize for StoreUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Embedded => serializer.serialize_str("embedded:"),
            Self::Redis(url) => serializer.collect_str(url),
        }
    }
}

/// The store of sessions, idempotency records, rates and usage records.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// `embedded:` for files in `data_dir` (standalone program only), or Redis: `redis://user:password@host:port/database`, with
    /// several hosts separated by commas, of which one is the master; or
    /// `redis+sentinel://user:password@host:port,host:port/master/database?sentinel_username=…&sentinel_password=…`. With `rediss`
    /// in place of `redis`, servers and sentinels speak TLS.
    pub url: StoreUrl,
    /// TLS towards Redis, if the address asks for it.
    pub tls: ClientTls,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { url: StoreUrl::Embedded, tls: ClientTls::default() }
    }
}

/// The store at this address, with the defaults otherwise.
impl From<StoreUrl> for StoreSettings {
    fn from(url: StoreUrl) -> Self {
        Self { url, ..Self::default() }
    }
}
