//! Callbacks: requests that tell service providers that the replay of a session has ended.
//!
//! A callback is a row of the outbox that is written together with the terminal status of a replay whose session has a
//! callback URL. So there is one callback for each such replay, and the gateway never sends it before the status can be
//! read. A receiver may get it more than once. It is retried until its session ends, and then kept as a dead letter,
//! which an operator can send again ([`CallbacksCommand`]).

mod command;
mod metrics;
mod sender;
mod slots;
mod worker;

pub use self::command::{CallbacksCommand, CallbacksCommandError};
pub(super) use self::sender::CallbackSender;
pub(super) use self::worker::{CallbackParts, CallbackProcessor};
