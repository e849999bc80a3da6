//! One request, as the code behind the listener knows it: the context that a job carries, and the record of what was
//! learned of it.

mod context;
pub mod record;
mod span;

pub use self::context::RequestContext;
pub use self::span::RequestSpan;
