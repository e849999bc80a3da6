//! Settings of the broker: the section `broker`.

use std::time::Duration;

use serde::Deserialize;

use crate::redact::without_password;

/// Who makes the queues.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// This process declares them.
    #[default]
    Declare,
    /// They are there; this process has no right to declare any.
    Passive,
}

/// The section `broker`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerSettings {
    /// `embedded:`, `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub url: String,
    /// Who makes the queues.
    pub topology: Topology,
    /// Put before every queue's name, so that several installations share one virtual host.
    pub prefix: String,
    /// Pictures up to this size travel in the message, larger ones by way of the blob store; in bytes.
    pub inline_limit: usize,
    /// Messages that wait in one queue. RabbitMQ keeps a queue as it was declared first: to change this or one of
    /// the next two, delete the queues, or let an operator's policy set them and use `passive`.
    pub max_length: u64,
    /// Bytes that wait in one queue.
    pub max_length_bytes: u64,
    /// Messages that are kept in the dead letters.
    pub dead_letter_max_length: u64,
    /// A publish that is not confirmed by then is unknown.
    #[serde(with = "humantime_serde")]
    pub confirm_timeout: Duration,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: "embedded:".into(),
            topology: Topology::Declare,
            prefix: String::new(),
            inline_limit: 64 * 1024,
            max_length: 1000,
            max_length_bytes: 256 << 20,
            dead_letter_max_length: 10_000,
            confirm_timeout: Duration::from_secs(5),
        }
    }
}

impl std::fmt::Debug for BrokerSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            url,
            topology,
            prefix,
            inline_limit,
            max_length,
            max_length_bytes,
            dead_letter_max_length,
            confirm_timeout,
        } = self;
        formatter
            .debug_struct("BrokerSettings")
            .field("url", &without_password(url))
            .field("topology", topology)
            .field("prefix", prefix)
            .field("inline_limit", inline_limit)
            .field("max_length", max_length)
            .field("max_length_bytes", max_length_bytes)
            .field("dead_letter_max_length", dead_letter_max_length)
            .field("confirm_timeout", confirm_timeout)
            .finish()
    }
}
