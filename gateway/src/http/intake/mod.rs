//! The reception of a request: everything that its headers decide, then its body.
//!
//! Handlers call `receive`. It calls `authorize`, which checks the credential, the permission and the rate, and
//! `admit`, which checks the memory and the slot among the jobs in flight. Then it reads the body under the bounds of
//! `body`: a form with `multipart`, every other body as a whole. `upload` passes the video of a replay on as it
//! arrives. `content_type` and `basic` read headers; `idempotency` handles `Idempotency-Key`.

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
