//! Video replays: their parameters, the upload, the job, the result, and the callback.
//!
//! A session has at most one replay, a record that is changed by compare-and-set only. [`ReplayState`] has its states.

mod recipient_keys;
mod record;
mod rows;
mod service;

pub use self::recipient_keys::{RecipientKeyError, RecipientKeys};
pub use self::record::{EndedReplay, ReplayOrigin, ReplayRecord, ReplayState, ReplayStatus, SubmittedReplay};
pub use self::service::Replays;
