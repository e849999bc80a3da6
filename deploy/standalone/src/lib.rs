//! Gateway and worker in one process, and the model tool.

mod greeting;
mod standalone;
pub mod tool;

pub use self::standalone::run;
