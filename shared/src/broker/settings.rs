//! The settings section `broker`.

use std::time::Duration;

use serde::Deserialize;

use crate::redact::without_password;

/// Who declares the queues.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum TopologyMode {
    /// This process declares the queues at every connect.
    #[default]
    Declare,
    /// An operator has declared the queues. This process only checks that they exist, and needs no right to configure.
    Passive,
}

/// The section `broker`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerSettings {
    /// `embedded:`, `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub url: String,
    /// Who declares the queues.
    pub topology: TopologyMode,
    /// Prefix of every queue's name, with which several installations can share one virtual host.
    pub prefix: String,
    /// Pictures of a job up to this size in total travel in the message, larger ones go to the blob store; in bytes.
    pub inline_limit: usize,
    /// Maximum number of messages that wait in one queue. RabbitMQ does not change the arguments of a queue that
    /// exists: to change this or one of the next two settings, delete the queues, or set them by policy and use
    /// `passive`.
    pub max_length: u64,
    /// Maximum number of bytes that wait in one queue.
    pub max_length_bytes: u64,
    /// Maximum number of dead letters; the oldest ones are dropped.
    pub dead_letter_max_length: u64,
    /// A publish without a confirm after this time has an unknown outcome.
    #[serde(with = "humantime_serde")]
    pub confirm_timeout: Duration,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: "embedded:".into(),
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
