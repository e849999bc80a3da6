//! One request, as everything behind the listener knows it.

pub mod call;
pub mod record;
