//! The way in of a request: everything that its headers decide, then its body.

mod basic;
mod body;
pub(in crate::http) mod content_type;
pub(in crate::http) mod drain;
pub(in crate::http) mod idempotency;
pub mod multipart;
pub(in crate::http) mod receive;
