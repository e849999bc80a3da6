//! The contract of Faceline: what gateway and worker say to each other, what callers and operators see, and the
//! ports to broker and stores with their adapters.

pub mod blob;
pub mod broker;
pub mod face;
pub mod job;
pub mod score;
pub mod seal;
pub mod shutdown;
pub mod template;
