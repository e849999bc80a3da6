//! Biometric Services: faces, sessions, matches and ages, independent of HTTP.
//!
//! Each operation in `operations/` reads a request (`forms.rs`, `request.rs`, `reference_face.rs`), runs one job on
//! the workers through [`BiometricServices`], and returns the JSON text of the answer (`answer.rs`), signed if the
//! API requires it. `failure.rs` maps failures of workers to errors, and `schema/` describes the answers for OpenAPI.

mod algorithm;
mod answer;
mod face_facts;
mod failure;
mod forms;
mod kept_landmarks;
mod number_or_text;
mod operations;
mod reference_face;
mod replay_answer;
mod replay_request;
mod request;
pub mod schema;
mod services;
pub mod template;

pub use self::algorithm::Algorithm;
pub use self::answer::Capabilities;
pub(crate) use self::forms::ORIGINAL_MODES;
pub use self::forms::{AGES, FACES, MATCH, MATCH_IMAGES, PARAMETERS, SESSION, THRESHOLDS, WEB_CAPTURE};
pub use self::operations::{BestImages, FacePicture, NewReplay};
pub use self::replay_answer::VideoCapabilities;
pub(crate) use self::replay_request::{CHALLENGES, LIVENESS_TYPES, MAX_ID_CHARS, SECURITY_LEVELS};
pub use self::services::{BiometricServices, Json};
