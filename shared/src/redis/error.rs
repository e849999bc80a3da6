//! Errors of Redis operations, and their consequences.

use redis::{ErrorKind, RedisError};

/// Error of an operation of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RedisServerError {
    /// The address cannot be parsed.
    Url(String),
    /// The files for TLS cannot be used.
    Tls(String),
    /// There is no master at present, or it does not answer in time or as expected.
    Unreachable(String),
    /// The address leads to a server that is not the master, so it takes no writes.
    NotMaster(String),
    /// The server refuses the credentials, does not permit an operation, or is no store at all, such as a Sentinel.
    Refused(String),
    /// The server has no free memory.
    Full,
    /// The server is configured to evict keys when its memory is full; this is its policy.
    Evicts(String),
}

/// Effect of an error on the connection that returned it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ConnectionEffect {
    /// The connection broke. The request may have been executed.
    Broken,
    /// There was no answer in time.
    Late,
    /// The server is not the master (any more).
    NotMaster,
    /// The server takes no requests at present, as one that is starting does.
    Unavailable,
    /// The server cannot execute this one request now, but may execute others.
    TryAgain,
    /// The request itself failed.
    Other,
}

impl ConnectionEffect {
    pub(super) fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Late;
        }
        if error.is_io_error() {
            return Self::Broken;
        }
        match code(error) {
            // A replica says MASTERDOWN, and in a cluster MOVED, where others say READONLY.
            Some("READONLY" | "MASTERDOWN" | "MOVED") => Self::NotMaster,
            Some("LOADING" | "CLUSTERDOWN") => Self::Unavailable,
            // A master that lost its replicas may be the one that others have replaced.
            Some("NOREPLICAS" | "TRYAGAIN" | "ASK") => Self::TryAgain,
            _ => Self::Other,
        }
    }
}

/// The code of a server's error. Before Redis 7, an error of a command in a script came inside of another one:
/// `ERR Error running script (call to f_…): @user_script:1: -READONLY You can't write…`.
fn code(error: &RedisError) -> Option<&str> {
    let outer = error.code()?;
    let inner = error.detail().filter(|_| outer == "ERR").and_then(|detail| {
        let (_, error) = detail.split_once(": -")?;
        error.split(' ').next()
    });
    Some(inner.unwrap_or(outer))
}

impl RedisServerError {
    /// Classifies an error of the server or of the connection.
    pub(super) fn of(error: &RedisError) -> Self {
        let said = error.to_string();
        if ConnectionEffect::of(error) == ConnectionEffect::NotMaster {
            return Self::NotMaster(said);
        }
        match (error.kind(), code(error)) {
            (_, Some("OOM")) => Self::Full,
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
                Self::Refused(said)
            }
            _ => Self::Unreachable(said),
        }
    }

    /// Whether this instance itself is misconfigured, so it cannot work even if the server works.
    #[must_use]
    pub fn is_misconfiguration(&self) -> bool {
        match self {
            Self::Url(_) | Self::Tls(_) | Self::Refused(_) | Self::Evicts(_) => true,
            Self::Unreachable(_) | Self::NotMaster(_) | Self::Full => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error that a server's answer becomes.
    fn error(answer: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn a_failover_is_recognised_in_whatever_it_is_wrapped() {
        for (answer, effect) in [
            ("READONLY You can't write against a read only replica.", ConnectionEffect::NotMaster),
            (
                "READONLY You can't write against a read only replica. script: 6e, on @user_script:3.",
                ConnectionEffect::NotMaster,
            ),
            (
                "ERR Error running script (call to f_6e): @user_script:1: @user_script: 1: -READONLY You can't write against a \
                 read only replica.",
                ConnectionEffect::NotMaster,
            ),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                ConnectionEffect::NotMaster,
            ),
            ("MOVED 3999 127.0.0.1:6381", ConnectionEffect::NotMaster),
            ("LOADING Redis is loading the dataset in memory", ConnectionEffect::Unavailable),
            ("CLUSTERDOWN The cluster is down", ConnectionEffect::Unavailable),
            ("NOREPLICAS Not enough good replicas to write.", ConnectionEffect::TryAgain),
            ("TRYAGAIN Multiple keys request during rehashing of slot", ConnectionEffect::TryAgain),
            ("ERR unknown command 'READONLY'", ConnectionEffect::Other),
            ("NOSCRIPT No matching script.", ConnectionEffect::Other),
            ("OOM command not allowed when used memory > 'maxmemory'.", ConnectionEffect::Other),
        ] {
            assert_eq!(ConnectionEffect::of(&error(answer)), effect, "{answer}");
        }
    }

    #[test]
    fn a_wrong_setup_is_told_from_an_unreachable_server() {
        let of = |answer| RedisServerError::of(&error(answer));
        let oom = "OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(of(oom), RedisServerError::Full);
        assert_eq!(
            of("ERR Error running script (call to f_6e): @user_script:1: -OOM command not allowed"),
            RedisServerError::Full
        );
        for answer in ["NOAUTH Authentication required.", "NOPERM this user has no permissions"] {
            assert!(of(answer).is_misconfiguration(), "{answer}: {:?}", of(answer));
        }
        let snapshots = "MISCONF Redis is configured to save RDB snapshots";
        for answer in ["READONLY x", "LOADING x", "NOREPLICAS x", snapshots, oom] {
            assert!(!of(answer).is_misconfiguration(), "{answer}: {:?}", of(answer));
        }
    }
}
