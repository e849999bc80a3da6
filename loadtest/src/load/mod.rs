//! Open-loop load: requests by a schedule that is fixed in advance, whatever the service does.
//!
//! A closed loop (the next request follows the answer) sends less as soon as the service is slow, so it hides the
//! latencies that real callers would see: coordinated omission. Here every request has an intended time of sending, and
//! its latency counts from that time. A request is never delayed for others: where more wait for their answers than the
//! scenario allows, it is not sent, and that is reported. All requests are obligations of the [oracle](crate::oracle).

mod arrivals;
mod command;
mod driver;
mod flow;
mod html;
mod monitor;
mod overload;
mod plan;
mod report;
mod requests;
mod samples;
mod scenario;
mod targets;

pub use self::arrivals::{Phase, arrivals};
pub use self::command::LoadCommand;
pub use self::driver::{Driver, probe};
pub use self::flow::{Attempts, Resources};
pub use self::monitor::{ServiceState, watch};
pub use self::overload::{MIN_GOODPUT, OverloadCommand, OverloadReport, OverloadRun, overload};
pub use self::plan::{Planned, plan};
pub use self::report::{LoadReport, Percentiles, Window};
pub use self::samples::{Measured, Sample, SampleEnd};
pub use self::scenario::{BwsKey, Client, MixEntry, Scenario};
pub use self::targets::Targets;
