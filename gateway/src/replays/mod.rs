//! Video replays: their parameters, the upload, the job, the result, and the callback.
//!
//! A session has at most one replay, a record that is changed by compare-and-set only. [`ReplayState`] has its states.

mod access;
mod capture_token;
mod recipient_keys;
mod record;
mod rows;
mod service;

pub use self::access::TokenHolder;
pub use self::recipient_keys::{
    ANNOUNCEMENT, RecipientKeyError, RecipientKeyFile, RecipientKeys, ReplayKeysCommand,
    ReplayKeysCommandError,
};
pub use self::record::{EndedReplay, ReplayOrigin, ReplayRecord, ReplayState, ReplayStatus, SubmittedReplay};
pub use self::service::Replays;
