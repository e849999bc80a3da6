//! The API families. Each family reads its requests, runs one job on the workers and creates the answer. The HTTP and
//! gRPC layers call the families; no family depends on its transport.
//!
//! - [`biometric`]: Biometric Services (faces, sessions, matches, ages), signed answers
//! - [`bws`]: the BioID Web Service (liveness detection, photo verification), over gRPC and REST
//! - [`face_liveness`]: Face Liveness (one picture, passive presentation attack detection)
//! - [`form`]: the fields of multipart and JSON requests of Biometric Services
//! - [`json`]: JSON in the exact form that signatures need
//! - `verdicts`: counts the verdicts on pictures and videos

pub mod biometric;
pub mod bws;
pub mod face_liveness;
pub mod form;
pub mod json;
mod verdicts;

pub(crate) use self::verdicts::Verdict;
pub use self::verdicts::VerdictMetrics;
