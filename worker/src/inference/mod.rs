//! ONNX Runtime, which no other module uses directly.
//!
//! [`Runtime`] is the library in this process. A [`ModelSession`] is one model on one [`Device`], owned by one thread.

mod device;
mod error;
mod options;
mod runtime;
mod session;
mod telemetry;

pub use self::device::{Device, UnknownDevice};
pub use self::error::InferenceError;
pub use self::runtime::Runtime;
pub(crate) use self::session::{ModelOutputs, ModelSession};
pub use self::telemetry::disable_telemetry;
