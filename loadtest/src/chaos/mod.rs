//! Injects faults into a site of real processes under load, while the oracle accounts for every request.

mod checks;
mod clock;
mod command;
mod disk;
mod fault;
mod inject;
mod program;
mod readiness;
mod report;
mod run;
mod schedule;
mod site;

pub use self::command::{ChaosCommand, scenario};
pub use self::fault::{FaultKind, Part, PlannedFault};
pub use self::inject::Injected;
pub use self::report::{FaultRecord, Report};
pub use self::run::{Chaos, run};
pub use self::schedule::Schedule;
pub use self::site::Builds;
