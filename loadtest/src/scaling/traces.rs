//! Arrival traces: the rate of new requests over time, and the behaviour of refused callers.

use std::f64::consts::TAU;

/// An arrival trace. Times are in seconds, rates in requests a second.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// Name of the trace, which is also that of its plot.
    pub name: &'static str,
    /// Title of the plot.
    pub title: &'static str,
    /// Length of the time in which new requests arrive.
    pub length: f64,
    /// The shape of the rate.
    pub shape: Shape,
    /// The behaviour of refused callers.
    pub refused: Refused,
    /// Between these times the broker is unavailable: nothing is published, delivered or counted.
    pub outage: Option<(f64, f64)>,
    /// The most pods, if they are fewer than autoscaling allows.
    pub max_pods: Option<u32>,
}

/// The shape of a rate over time.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Between `low` and `high` as a sine, once in the trace.
    Diurnal {
        /// At the beginning and the end.
        low: f64,
        /// In the middle.
        high: f64,
    },
    /// `usual`, and `high` between two times.
    Burst {
        /// Before and after.
        usual: f64,
        /// In the burst.
        high: f64,
        /// Start of the burst.
        from: f64,
        /// End of the burst.
        to: f64,
    },
    /// `usual`, and `high` at the end of each period.
    Pulses {
        /// Between the pulses.
        usual: f64,
        /// In a pulse.
        high: f64,
        /// Time from one pulse to the next.
        period: f64,
        /// Length of a pulse.
        length: f64,
    },
}

/// The behaviour of refused callers. After `attempts` they give up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// They retry after the time that `Retry-After` names.
    Obey {
        /// The most attempts.
        attempts: u32,
    },
    /// They retry within 100 to 300 ms.
    Insist {
        /// The most attempts.
        attempts: u32,
    },
}

const OBEY: Refused = Refused::Obey { attempts: 10 };
const STORM: Shape = Shape::Burst { usual: 60.0, high: 300.0, from: 120.0, to: 180.0 };

/// The traces of the documentation.
pub const TRACES: [Trace; 6] = [
    Trace {
        name: "diurnal",
        title: "a day within an hour: 5 to 200 requests a second",
        length: 3600.0,
        shape: Shape::Diurnal { low: 5.0, high: 200.0 },
        refused: OBEY,
        outage: None,
        max_pods: None,
    },
    Trace {
        name: "burst",
        title: "ten times the load for five minutes: 30 to 300 requests a second",
        length: 900.0,
        shape: Shape::Burst { usual: 30.0, high: 300.0, from: 180.0, to: 480.0 },
        refused: OBEY,
        outage: None,
        max_pods: None,
    },
    Trace {
        name: "pulses",
        title: "a minute of 200 requests a second every four minutes",
        length: 1200.0,
        shape: Shape::Pulses { usual: 30.0, high: 200.0, period: 240.0, length: 60.0 },
        refused: OBEY,
        outage: None,
        max_pods: None,
    },
    Trace {
        name: "outage",
        title: "the broker is away for a minute: 100 requests a second",
        length: 600.0,
        shape: Shape::Burst { usual: 100.0, high: 100.0, from: 0.0, to: 0.0 },
        refused: OBEY,
        outage: Some((240.0, 300.0)),
        max_pods: None,
    },
    Trace {
        name: "storm-obeying",
        title: "more than two pods can do, and callers obey Retry-After",
        length: 360.0,
        shape: STORM,
        refused: OBEY,
        outage: None,
        max_pods: Some(2),
    },
    Trace {
        name: "storm-insisting",
        title: "more than two pods can do, and callers repeat within 300 ms",
        length: 360.0,
        shape: STORM,
        refused: Refused::Insist { attempts: 20 },
        outage: None,
        max_pods: Some(2),
    },
];

impl Trace {
    /// The rate of new requests at a time, in requests a second.
    #[must_use]
    pub fn rate(&self, time: f64) -> f64 {
        match self.shape {
            Shape::Diurnal { low, high } => {
                low + (high - low) * (1.0 - (TAU * time / self.length).cos()) / 2.0
            }
            Shape::Burst { high, from, to, .. } if (from..to).contains(&time) => high,
            Shape::Burst { usual, .. } => usual,
            Shape::Pulses { high, period, length, .. } if time % period >= period - length => high,
            Shape::Pulses { usual, .. } => usual,
        }
    }

    /// The highest rate.
    #[must_use]
    pub fn max_rate(&self) -> f64 {
        match self.shape {
            Shape::Diurnal { high, .. } => high,
            Shape::Burst { usual, high, .. } | Shape::Pulses { usual, high, .. } => usual.max(high),
        }
    }

    /// Whether the broker is unavailable at a time.
    #[must_use]
    pub fn is_outage(&self, time: f64) -> bool {
        self.outage.is_some_and(|(from, to)| (from..to).contains(&time))
    }
}
