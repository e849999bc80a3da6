//! The section `limits`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero, invalid};

/// Limits on requests, and on the data that clients keep.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Maximum size of one picture's file, in bytes.
    pub picture_bytes: usize,
    /// Maximum number of pixels of one picture: its width times its height.
    pub picture_pixels: u64,
    /// Time after which a worker stops decoding a picture.
    #[serde(with = "humantime_serde")]
    pub decode_time: Duration,
    /// Maximum size of the request bodies that a gateway holds at the same time, in bytes. A body counts twice if the
    /// blob store is embedded, and 2.4 times if it is JSON with pictures.
    pub inflight_bytes: usize,
    /// Maximum number of requests that a gateway has in progress at the same time, and upper bound of its adaptive
    /// limit on jobs.
    pub inflight_jobs: usize,
    /// Maximum number of videos whose callers wait at the same time, in addition to `inflight_jobs`, and upper bound
    /// of their adaptive limit.
    pub inflight_videos: usize,
    /// Part of `inflight_jobs`, `inflight_videos` and `inflight_bytes` that one client may use while others are
    /// present; above 0, at most 1. A client that is alone may use at least seven eighths.
    pub client_share: f64,
    /// Rate limit, in requests per second, of a key without a limit of its own.
    pub requests_per_second: u32,
    /// Number of requests that such a key may send at once.
    pub burst: u32,
    /// Time that a gateway waits for Redis to check the rate of a key. After that, each gateway decides for itself
    /// until Redis answers again.
    #[serde(with = "humantime_serde")]
    pub rate_check_time: Duration,
    /// Limit on wrong credentials per minute of one kind (API key, password, token) from one address (IPv6: one /64
    /// network), and on wrong passwords per minute of one user. Beyond it, the gateway refuses passwords without
    /// checking them, except for users who have logged in from that address before.
    pub failed_logins: u32,
    /// Maximum number of sessions of one client; 0 for no limit. The accounts file may set other limits for single
    /// clients.
    pub client_sessions: u64,
    /// Maximum number of faces of one client in all its sessions; 0 for no limit.
    pub client_faces: u64,
    /// Maximum size of the sessions, faces and replays of one client in the session store, in bytes, without pictures
    /// and the store's overhead; 0 for no limit.
    pub client_session_bytes: u64,
    /// Maximum number of idempotency records of one client; 0 for no limit. The record of a creating request is kept
    /// for 24 h.
    pub client_idempotency_records: u64,
    /// Maximum size of the answers in the idempotency records of one client, in bytes; 0 for no limit.
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
