//! One request as the code behind the listener sees it: the context for its job, its span, and the record of the
//! facts that are learned while it is handled.

mod context;
pub mod record;
mod span;

pub use self::context::RequestContext;
pub use self::span::RequestSpan;
