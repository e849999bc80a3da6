//! Replays. A device uploads a video, and a row of the outbox publishes its job. Any gateway takes the result and ends
//! the replay in one operation of the store. This operation also writes rows that call back the service provider,
//! record the usage and delete the video.

mod model;
mod state;

pub use self::model::{Action, Mutation, Replay};
pub use self::state::{End, Message, State};
