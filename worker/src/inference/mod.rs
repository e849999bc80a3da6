//! ONNX Runtime: the only place that knows it.
//!
//! [`Runtime`] is the library of this process, a [`Session`] is one model on one [`Device`], owned by one thread.

mod device;
mod error;
mod runtime;
mod session;

pub use device::{Device, UnknownDevice};
pub use error::InferenceError;
pub use runtime::Runtime;
pub(crate) use session::{Outputs, Session};
