//! The section `limits`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero, invalid};

/// Bounds of what callers may ask for.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// The largest size of one picture's file, in bytes.
    pub picture_bytes: usize,
    /// The most pixels of one picture: its width times its height.
    pub picture_pixels: u64,
    /// A worker gives up decoding a picture after this time.
    #[serde(with = "humantime_serde")]
    pub decode_time: Duration,
    /// The most bytes of bodies that a gateway holds at the same time. A body counts twice if the blob store is embedded, and JSON
    /// with pictures in it counts 2.4 times.
    pub inflight_bytes: usize,
    /// The most requests that a gateway has in progress at the same time, and the upper bound of its adaptive limit on jobs.
    pub inflight_jobs: usize,
    /// The most videos whose callers wait at the same time, besides these requests, and the upper bound of their adaptive limit.
    pub inflight_videos: usize,
    /// The part of `inflight_jobs`, `inflight_videos` and `inflight_bytes` that one client may use while others are present; above 0, at most 1.
    /// A client that is alone may use seven eighths at least.
    pub client_share: f64,
    /// Requests a second for a key without a rate of its own.
    pub requests_per_second: u32,
    /// Requests that such a key may send at once.
    pub burst: u32,
    /// How long a gateway waits for Redis to decide whether a key's rate allows a request. After that, each gateway decides for
    /// itself until Redis answers again.
    #[serde(with = "humantime_serde")]
    pub rate_check_time: Duration,
    /// Wrong credentials a minute of one kind (API keys, passwords, tokens) from one address (of IPv6: one /64 network), and wrong
    /// passwords of one user. After that, the gateway refuses passwords without checking them, except right ones of users whom it
    /// has seen at that address before.
    pub failed_logins: u32,
    /// Sessions that one client may keep at the same time; 0 for any number. The accounts file may have other bounds for single
    /// clients.
    pub client_sessions: u64,
    /// Faces that one client may keep in all its sessions; 0 for any number.
    pub client_faces: u64,
    /// Bytes that the sessions, faces and replays of one client may have in the session store, without pictures and the store's
    /// overhead; 0 for any number.
    pub client_session_bytes: u64,
    /// Idempotency records that one client may keep; 0 for any number. A record of a creation is kept for 24 h.
    pub client_idempotency_records: u64,
    /// Bytes that the answers in the idempotency records of one client may have; 0 for any number.
    pub client_idempotency_bytes: u64,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            picture_bytes: 32 << 20,
            picture_pixels: 51_000_000,
            decode_time: Duration::from_secs(5),
            inflight_bytes: 512 << 20,
            inflight_jobs: 256,
            inflight_videos: 16,
            client_share: 0.5,
            requests_per_second: 1000,
            burst: 1000,
            rate_check_time: Duration::from_millis(100),
            failed_logins: 20,
            client_sessions: 100_000,
            client_faces: 250_000,
            client_session_bytes: 1 << 30,
            client_idempotency_records: 500_000,
            client_idempotency_bytes: 256 << 20,
        }
    }
}

impl LimitSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if !(self.client_share > 0.0 && self.client_share <= 1.0) {
            return invalid("limits.client_share must be above 0 and at most 1");
        }
        if self.inflight_bytes < self.picture_bytes {
            return invalid("limits.inflight_bytes must hold at least one picture (limits.picture_bytes)");
        }
        if self.rate_check_time.is_zero() {
            return invalid("limits.rate_check_time must be above 0");
        }
        all_above_zero([
            ("limits.picture_bytes", self.picture_bytes as u128),
            ("limits.inflight_jobs", self.inflight_jobs as u128),
            ("limits.inflight_videos", self.inflight_videos as u128),
            ("limits.requests_per_second", self.requests_per_second.into()),
            ("limits.burst", self.burst.into()),
            ("limits.failed_logins", self.failed_logins.into()),
        ])
    }
}
