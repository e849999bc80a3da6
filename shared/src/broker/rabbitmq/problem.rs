//! Classifies errors of lapin as transient or as permanent (an operator has to act). Each is logged once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::protocol::AMQPError;
use lapin::{Error, ErrorKind};
use tokio::time::Instant;

use crate::broker::port::BrokerError;
use crate::settings::TopologyMode;

/// AMQP reply codes.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// While a broker stays unreachable, this much time passes between two log lines about it.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);

/// Classifies the error of opening a connection.
pub(super) fn opening_failed(error: &Error) -> BrokerError {
    if let Some(error) = amqp(error) {
        let text = error.get_message().to_string();
        return match error.get_id() {
            ACCESS_REFUSED => BrokerError::Credentials(text),
            // A limit on connections has the same code, and passes by itself.
            NOT_ALLOWED if text.contains("vhost") => BrokerError::VirtualHost(text),
            _ => BrokerError::Unreachable(text),
        };
    }
    match error.kind() {
        ErrorKind::IOError(error) => io_failed(error),
        _ => BrokerError::Unreachable(error.to_string()),
    }
}

/// Classifies the error of opening a socket, or of its TLS handshake.
pub(super) fn io_failed(error: &std::io::Error) -> BrokerError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => BrokerError::Tls(error.to_string()),
        None => BrokerError::Unreachable(error.to_string()),
    }
}

/// Classifies the error of declaring the queues.
pub(super) fn declaring_failed(error: &Error, mode: TopologyMode) -> BrokerError {
    let Some(amqp) = amqp(error).filter(|_| error.is_amqp_soft_error()) else {
        return BrokerError::Unreachable(error.to_string());
    };
    let remedy = match (amqp.get_id(), mode) {
        (ACCESS_REFUSED, _) => "; give the user of broker.url the permission (rabbitmqctl set_permissions)",
        (NOT_FOUND, TopologyMode::Passive) => {
            "; with broker.topology = \"passive\" somebody else has to declare it: do that, or set it to \"declare\""
        }
        (PRECONDITION_FAILED, _) => {
            "; the queue exists with other arguments than these settings ask for: set broker.max_length and the like \
             back, or delete the queue once it is empty (rabbitmqctl delete_queue)"
        }
        _ => "",
    };
    BrokerError::Topology(format!("{}{remedy}", amqp.get_message()))
}

/// Whether a queue exists with other arguments.
pub(super) fn is_precondition_failed(error: &Error) -> bool {
    amqp(error).is_some_and(|error| error.get_id() == PRECONDITION_FAILED)
}

/// Whether a queue does not exist.
pub(super) fn is_not_found(error: &Error) -> bool {
    amqp(error).is_some_and(|error| error.get_id() == NOT_FOUND)
}

fn amqp(error: &Error) -> Option<&AMQPError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error),
        _ => None,
    }
}

/// Logs problems of all connections to one broker: one that needs an operator once, an unreachable broker once a
/// minute.
#[derive(Default)]
pub(super) struct ProblemLog {
    /// The present problem of each connection, by the connection's name.
    present: Mutex<BTreeMap<&'static str, LoggedProblem>>,
}

struct LoggedProblem {
    label: &'static str,
    /// Empty for an unreachable broker, whose reason may change with each attempt.
    text: String,
    logged_at: Instant,
}

impl ProblemLog {
    /// Logs a problem of the connection `name`, unless it is known.
    pub(super) fn failed(&self, name: &'static str, error: &BrokerError) {
        if !self.is_new(name, error, Instant::now()) {
            return;
        }
        if error.needs_operator() {
            tracing::error!(%error, "the broker cannot be used until an operator changes this; retrying slowly");
        } else {
            tracing::warn!(%error, "the broker is not reachable; retrying");
        }
    }

    /// Forgets the problem of the connection `name`, and logs that it is open.
    pub(super) fn connected(&self, name: &'static str, address: &dyn Display) {
        self.lock().remove(name);
        tracing::info!(%address, name, "connected to the broker");
    }

    fn is_new(&self, name: &'static str, error: &BrokerError, now: Instant) -> bool {
        let label = error.label();
        let text = if error.needs_operator() { error.to_string() } else { String::new() };
        let mut present = self.lock();
        let known = present.values().filter(|known| (known.label, &known.text) == (label, &text));
        let logged_at = known.map(|known| known.logged_at).max();
        let is_new = match logged_at {
            Some(at) => !error.needs_operator() && at + REMINDER_INTERVAL <= now,
            None => true,
        };
        let logged_at = if is_new { now } else { logged_at.unwrap_or(now) };
        present.insert(name, LoggedProblem { label, text, logged_at });
        is_new
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, LoggedProblem>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_logged_once_for_all_connections() {
        let log = ProblemLog::default();
        let now = Instant::now();
        let vhost = || BrokerError::VirtualHost("vhost a not found".into());
        assert!(log.is_new("publish", &vhost(), now));
        assert!(!log.is_new("consume", &vhost(), now));
        for seconds in 1..1000 {
            assert!(!log.is_new("publish", &vhost(), now + Duration::from_secs(seconds)));
        }
        let other = BrokerError::VirtualHost("vhost b not found".into());
        assert!(log.is_new("publish", &other, now));
        log.connected("publish", &"here");
        log.connected("consume", &"here");
        assert!(log.is_new("publish", &vhost(), now), "it is back");
    }

    #[test]
    fn an_unreachable_broker_is_logged_once_a_minute() {
        let log = ProblemLog::default();
        let now = Instant::now();
        let lines = (0..600).filter(|half_seconds| {
            let error = BrokerError::Unreachable(format!("reason {half_seconds}"));
            let name = if half_seconds % 2 == 0 { "publish" } else { "consume" };
            log.is_new(name, &error, now + Duration::from_millis(half_seconds * 500))
        });
        assert_eq!(lines.count(), 5);
    }
}
