//! The section `broker`.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::error::InvalidUrl;
use crate::redact::SecretUrl;

/// Address of the broker.
#[derive(Clone, Debug)]
pub enum BrokerUrl {
    /// The broker lives in this process, as in the standalone program.
    Embedded,
    /// A RabbitMQ server: `amqp://user:password@host:port/vhost` or `amqps://…`.
    Amqp(SecretUrl),
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

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        match text.split_once(':') {
            Some(("embedded", _)) => Ok(Self::Embedded),
            Some(("amqp" | "amqps", rest)) if rest.starts_with("//") => Ok(Self::Amqp(text.into())),
            _ => Err(InvalidUrl("`embedded:`, amqp://… or amqps://…")),
        }
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
impl serde::Serialize for BrokerUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Embedded => serializer.serialize_str("embedded:"),
            Self::Amqp(url) => serializer.collect_str(url),
        }
    }
}

/// Which side declares the queues.
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
    /// `embedded:` for a broker inside the process (standalone program only), or `amqp://user:password@host:port/vhost` or
    /// `amqps://…` for RabbitMQ.
    pub url: BrokerUrl,
    /// `declare`: this process declares the queues. `passive`: they exist already, and this process has no right to declare
    /// any.
    pub topology: TopologyMode,
    /// Prefix of every queue's name, with which several installations share one virtual host.
    pub prefix: String,
    /// A job whose pictures together have at most this size, in bytes, carries them in its message; otherwise they go through the
    /// blob store.
    pub inline_limit: usize,
    /// The most messages that wait in one queue; beyond that, callers get 429. RabbitMQ keeps a queue as it was first declared:
    /// to change this or one of the next two, delete the queues, or let an operator's policy set them and use `passive`.
    pub max_length: u64,
    /// The most bytes that wait in one queue; beyond that, callers get 429.
    pub max_length_bytes: u64,
    /// The most messages in the queue of dead letters.
    pub dead_letter_max_length: u64,
    /// If the broker does not confirm a publish within this time, its outcome counts as unknown.
    #[serde(with = "humantime_serde")]
    pub confirm_timeout: Duration,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: BrokerUrl::Embedded,
            topology: TopologyMode::Declare,
            prefix: String::new(),
            inline_limit: 64 * 1024,
            max_length: 1000,
            max_length_bytes: 256 << 20,
            dead_letter_max_length: 10_000,
            confirm_timeout: Duration::from_secs(5),
        }
    }
}
