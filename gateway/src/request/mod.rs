//! One request, as everything behind the listener knows it.

mod context;
pub mod record;

pub use self::context::RequestContext;
