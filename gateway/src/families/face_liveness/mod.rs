//! Face Liveness: passive presentation attack detection on one picture, independent of HTTP.
//!
//! [`FaceLiveness`] reads the body (`request.rs`), fetches the picture if the body contains a URL, sends it to a
//! worker and creates the answer (`answer.rs`), which is also its OpenAPI schema.

mod answer;
mod member;
mod request;
mod service;

pub use self::answer::{LivenessAnswer, PictureFault, code};
pub use self::service::{FaceLiveness, Refused};
