//! Bounds of the queues.

use crate::settings::BrokerSettings;

/// Bounds of the queues.
#[derive(Clone, Copy, Debug)]
pub struct QueueBounds {
    /// Maximum number of messages that wait in one queue.
    pub max_length: u64,
    /// Maximum number of bytes that wait in one queue.
    pub max_length_bytes: u64,
    /// Maximum number of dead letters; the oldest ones are dropped.
    pub max_dead_letters: u64,
    /// Maximum number of bytes of dead letters; the oldest ones are dropped.
    pub max_dead_letter_bytes: u64,
}

impl From<&BrokerSettings> for QueueBounds {
    fn from(settings: &BrokerSettings) -> Self {
        Self {
            max_length: settings.max_length,
            max_length_bytes: settings.max_length_bytes,
            max_dead_letters: settings.dead_letter_max_length,
            max_dead_letter_bytes: settings.dead_letter_max_length_bytes,
        }
    }
}
