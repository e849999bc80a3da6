//! Callbacks: requests that tell service providers that the replay of a session has ended.
//!
//! A callback is a row of the outbox that is written together with the replay's terminal status. So each replay has
//! one callback, which is delivered at least once, and never before the status can be read. It is retried until its
//! session ends, and then kept as a dead letter, which an operator can send again ([`CallbacksCommand`]).

mod command;
mod metrics;
mod sender;
mod slots;
mod worker;

pub use self::command::{CallbacksCommand, CallbacksCommandError};
pub(super) use self::sender::CallbackSender;
pub(super) use self::worker::{CallbackParts, CallbackProcessor};
