//! The messages between gateway and worker: a [`JobEnvelope`] carries a sealed [`Task`], a [`ReplyEnvelope`] its sealed
//! [`Outcome`].
//!
//! They are encoded as MessagePack with named fields, so a field can be added without a new [`VERSION`].

mod carried;
mod envelope;
pub mod examination;
pub mod replay;
mod result;
mod subject;
mod task;

use uuid::Uuid;

pub use self::carried::CarriedPicture;
pub use self::envelope::{
    JobContext, JobEnvelope, JobHead, MessageError, OLDEST_VERSION, ReplyEnvelope, Routing, VERSION,
};
pub use self::examination::{Examination, Examined};
pub use self::replay::{Replay, Replayed, VideoExamination, VideoExamined};
pub use self::result::{AgedPicture, CodedPicture, JobFailure, JobResult, Matched, Outcome};
pub use self::subject::Subject;
pub use self::task::{Coding, Match, Ranking, Reference, Task};

/// Identifies a job everywhere: in the broker, in logs, in the blob store. Version 7, so it sorts by time.
pub type JobId = Uuid;
