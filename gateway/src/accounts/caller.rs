//! Who calls, and how much they may.

use std::sync::Arc;

use faceline_shared::error::Fault;
use serde::Deserialize;

use super::Permission;

/// Requests that a key may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// In the long run.
    pub requests_per_second: u32,
    /// At once.
    pub burst: u32,
}

/// Requests that a key may send in a span of time by the calendar (UTC).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// How many.
    pub requests: u64,
    /// In which span.
    pub span: QuotaSpan,
}

/// A span of time by the calendar (UTC).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum QuotaSpan {
    /// From midnight to midnight.
    Day,
    /// From the first of the month on.
    Month,
}

/// Who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The client; what a call creates belongs to it.
    pub client: Arc<str>,
    /// The key that was shown.
    pub key_id: Arc<str>,
    /// Where the key has a rate of its own.
    pub rate: Option<Rate>,
    /// Where the key has one.
    pub quota: Option<Quota>,
    pub(super) permissions: Arc<[Permission]>,
}

impl Caller {
    /// Checks that the key allows something.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] where it does not.
    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        if self.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(Fault::Forbidden(permission.as_str()))
        }
    }
}
