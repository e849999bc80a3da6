//! The reception of a request: everything that its headers decide, then its body.
//!
//! `receive` is what handlers call. It has `authorize` check the credential, the permission and the rate; `admit` the
//! memory and the place among the jobs; and reads the body under the bounds of `body`: a form with `multipart`, all
//! else as a whole. `upload` hands the video of a replay on as it arrives. `content_type` and `basic` read headers; `idempotency` handles `Idempotency-Key`.

mod admit;
mod authorize;
mod basic;
mod body;
pub(in crate::http) mod content_type;
pub(in crate::http) mod idempotency;
pub(in crate::http) mod limits;
pub mod multipart;
pub(in crate::http) mod receive;
pub(in crate::http) mod upload;
mod whole_body;

pub(in crate::http) use self::admit::require_workers;
pub(in crate::http) use self::authorize::CAPTURE_TOKEN;
