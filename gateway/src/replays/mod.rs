//! Video replays: their parameters, the upload, the job, the result, and the callback.
//!
//! A session has at most one replay, a record that is changed by compare-and-set only. [`ReplayState`] has its states.

mod access;
mod best_image;
mod callbacks;
mod capture_token;
mod context;
mod delivery;
mod derived_id;
mod due;
mod ending;
mod judgement;
mod media;
mod metrics;
mod parameters;
mod processor;
mod publishing;
mod recipient_keys;
mod record;
mod results;
mod rows;
mod service;
mod status;
mod unreadable;
mod upload;

pub use self::access::ReplayOwner;
pub use self::best_image::BestImageFaces;
pub use self::callbacks::{CallbacksCommand, CallbacksCommandError};
pub use self::delivery::{DeliveryServices, ReplayDelivery};
pub use self::parameters::DrawnReplay;
pub use self::recipient_keys::{
    ANNOUNCEMENT, RecipientKeyError, RecipientKeyFile, RecipientKeys, ReplayKeysCommand,
    ReplayKeysCommandError,
};
pub use self::record::{EndedReplay, ReplayOrigin, ReplayRecord, ReplayState, ReplayStatus, SubmittedReplay};
pub use self::service::Replays;
pub(crate) use self::upload::{Identity, MediaSource, UploadOutcome};
