//! Autoscaling: its simulation, and the parts that the simulation shares with the tests.

mod autoscaler;
mod capacity;
mod document;
mod fleet;
mod measured;
mod plot;
mod report;
mod scaled_object;
mod simulation;
#[cfg(test)]
mod theory;
mod traces;

pub use self::autoscaler::{Autoscaler, Measured, SYNC_PERIOD};
pub use self::capacity::pod_per_second;
pub use self::document::{Recommended, write_document};
pub use self::measured::{LARGE, Measurements, SMALL, ServiceTimes};
pub use self::report::{Report, Sample};
pub use self::scaled_object::{
    Behavior, Mode, Policy, PolicyKind, ScaledObject, ScalingRules, SelectPolicy, Trigger,
};
pub use self::simulation::{Plant, simulate};
pub use self::traces::{Refused, Shape, TRACES, Trace};
