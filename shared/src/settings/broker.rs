//! The section `broker`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::client_tls::ClientTls;
use super::error::{InvalidUrl, SettingsError, invalid};
use crate::redact::SecretUrl;

/// Address of the broker.
#[derive(Clone, Debug)]
pub enum BrokerUrl {
    /// The broker lives in this process, as in the standalone program.
    Embedded,
    /// The nodes of a RabbitMQ cluster, at least one: `amqp://user:password@host:port/vhost` or `amqps://…`.
    Amqp(Vec<SecretUrl>),
}

impl BrokerUrl {
    /// Whether the broker lives in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded)
    }
}

impl FromStr for BrokerUrl {
    type Err = InvalidUrl;

    /// Reads one URL, or several with commas between them.
    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        match text.split_once(':') {
            Some(("embedded", _)) => Ok(Self::Embedded),
            _ => amqp_urls(&split(text)),
        }
    }
}

/// Splits a list at its commas. A comma with no scheme behind it belongs to the URL: passwords may contain one.
fn split(text: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    let mut start = 0;
    for (comma, _) in text.match_indices(',') {
        let next = text[comma + 1..].trim_start();
        if next.is_empty() || is_amqp(next) {
            urls.push(&text[start..comma]);
            start = comma + 1;
        }
    }
    urls.push(&text[start..]);
    // A comma at the end is no further URL.
    urls.retain(|url| !url.trim().is_empty());
    urls
}

fn is_amqp(url: &str) -> bool {
    url.starts_with("amqp://") || url.starts_with("amqps://")
}

fn amqp_urls(urls: &[&str]) -> Result<BrokerUrl, InvalidUrl> {
    let urls: Vec<_> = urls.iter().map(|url| url.trim()).collect();
    if urls.is_empty() || !urls.iter().all(|url| is_amqp(url)) {
        return Err(InvalidUrl("`embedded:`, amqp://… or amqps://…, or a list of the latter"));
    }
    Ok(BrokerUrl::Amqp(urls.into_iter().map(SecretUrl::from).collect()))
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlOrList)
    }
}

/// Reads a text or a list of texts. Other values are refused without being repeated: they may be passwords.
struct UrlOrList;

impl<'de> de::Visitor<'de> for UrlOrList {
    type Value = BrokerUrl;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a URL or a list of URLs")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BrokerUrl, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<BrokerUrl, A::Error> {
        let mut urls: Vec<String> = Vec::new();
        while let Some(url) = list.next_element()? {
            urls.push(url);
        }
        amqp_urls(&urls.iter().map(String::as_str).collect::<Vec<_>>()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
impl serde::Serialize for BrokerUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Embedded => serializer.serialize_str("embedded:"),
            Self::Amqp(urls) => serializer.collect_seq(urls),
        }
    }
}

/// The side that declares the queues.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum TopologyMode {
    /// This process declares them.
    #[default]
    Declare,
    /// They exist already, and this process needs no right to declare any.
    Passive,
}

/// The broker, which carries jobs from gateways to workers and results back.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct BrokerSettings {
    /// `embedded:` for a broker inside the process (standalone program only), or
    /// `amqp://user:password@host:port/vhost` or `amqps://…` for RabbitMQ. For a cluster, a list of URLs, or one
    /// text with commas between them; its nodes are tried in random order. Without a virtual host, `/` is used.
    pub url: BrokerUrl,
    /// TLS of `amqps:` URLs: trusted authorities and the client certificate. The files are read for each connection.
    pub tls: ClientTls,
    /// `declare`: this process declares the queues. `passive`: the queues must exist, and this process needs no right
    /// to declare them.
    pub topology: TopologyMode,
    /// Address of RabbitMQ's management API, `http://user:password@host:15672` or `https://…`. Gateways and workers
    /// do not use it; `faceline queue` and `faceline doctor` show more with it. With `https://` they trust
    /// `broker.tls.ca` in addition to the system's authorities.
    pub management_url: Option<SecretUrl>,
    /// Prefix of all queue names, with which several installations can share one virtual host.
    pub prefix: String,
    /// Maximum total size of a job's pictures, in bytes, that travel in the job's message. Pictures of larger jobs go
    /// through the blob store.
    pub inline_limit: usize,
    /// Maximum number of messages that wait in one queue; beyond that, callers get 429. RabbitMQ does not change a
    /// queue that it has declared: to change this setting or one of the next three, delete the queues, or set the
    /// limits by an operator policy and use `passive`.
    pub max_length: u64,
    /// Maximum size of the messages that wait in one queue, in bytes; beyond that, callers get 429.
    pub max_length_bytes: u64,
    /// Maximum number of messages in the dead-letter queue.
    pub dead_letter_max_length: u64,
    /// Maximum size of the messages in the dead-letter queue, in bytes; the oldest are dropped. A dead-letter queue
    /// that an earlier version declared is used without this limit; `docs/operations.md` describes how to limit it.
    pub dead_letter_max_length_bytes: u64,
    /// Time to wait until the broker confirms a publish. After that, the outcome of the publish counts as unknown.
    #[serde(with = "humantime_serde")]
    pub confirm_timeout: Duration,
}

impl BrokerSettings {
    /// Checks `tls`.
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.tls.validate("broker.tls")?;
        let is_http = |url: &SecretUrl| url.starts_with("http://") || url.starts_with("https://");
        if self.management_url.as_ref().is_some_and(|url| !is_http(url)) {
            return invalid("broker.management_url must be http://… or https://…");
        }
        let uses_tls = match &self.url {
            BrokerUrl::Embedded => false,
            BrokerUrl::Amqp(urls) => urls.iter().any(|url| url.starts_with("amqps:")),
        };
        if uses_tls || self.tls.is_empty() {
            return Ok(());
        }
        invalid("broker.tls is set, but no URL of broker.url begins with amqps://")
    }
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: BrokerUrl::Embedded,
            tls: ClientTls::default(),
            topology: TopologyMode::Declare,
            management_url: None,
            prefix: String::new(),
            inline_limit: 64 * 1024,
            max_length: 1000,
            max_length_bytes: 256 << 20,
            dead_letter_max_length: 10_000,
            dead_letter_max_length_bytes: 64 << 20,
            confirm_timeout: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_the_commas_between_urls() {
        for (text, expected) in [
            ("amqp://one", &["amqp://one"][..]),
            ("amqp://one,amqps://two:1", &["amqp://one", "amqps://two:1"]),
            (" amqp://one , amqp://two, ", &["amqp://one", "amqp://two"]),
            ("amqp://user:pa,ss@one,amqp://user:,@two", &["amqp://user:pa,ss@one", "amqp://user:,@two"]),
        ] {
            let BrokerUrl::Amqp(urls) = text.parse().unwrap() else { panic!("{text}: embedded") };
            assert_eq!(urls.iter().map(|url| &**url).collect::<Vec<_>>(), expected, "{text}");
        }
        for text in ["", ",", "one", "amqp:one", "http://one,amqp://two"] {
            assert!(text.parse::<BrokerUrl>().is_err(), "{text}");
        }
    }
}
