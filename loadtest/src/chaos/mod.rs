//! Faults at a site of real processes, while the oracle keeps account of every request.

mod clock;
mod disk;
mod fault;
mod inject;
mod program;
mod schedule;
mod site;

pub use self::fault::{FaultKind, Part, PlannedFault};
pub use self::inject::Injected;
pub use self::schedule::Schedule;
