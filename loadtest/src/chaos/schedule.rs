//! Schedules of faults: which, when, for how long. A seed always gives the same schedule.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::fault::{FaultKind, Part, PlannedFault};

/// The least time for one fault and the recovery from it. A short run has fewer faults than kinds.
const MIN_SLOT: Duration = Duration::from_secs(8);
/// The most time for one fault and the recovery from it. A long run has each kind several times.
const MAX_SLOT: Duration = Duration::from_secs(20);
/// A fault begins at most this part of its slot after the slot's start.
const MAX_DELAY: f64 = 0.15;
/// A fault lasts this part of its slot; the rest is for the recovery.
const DURATION: std::ops::Range<f64> = 0.2..0.5;
/// On average, one of this many faults is accompanied by a fault of another part.
const COMPANIONS: u32 = 3;
/// Kinds that may accompany a fault of anything but a process of Faceline.
const OF_PROCESSES: [FaultKind; 4] =
    [FaultKind::GatewayKilled, FaultKind::GatewayPaused, FaultKind::WorkerKilled, FaultKind::WorkerPaused];
/// Kinds that may accompany a fault of a process of Faceline.
const OF_SERVICES: [FaultKind; 4] =
    [FaultKind::BrokerCut, FaultKind::BrokerNodeKilled, FaultKind::StoreCut, FaultKind::StoreKilled];

/// Faults in the order of their times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// The seed that it was made from.
    pub seed: u64,
    /// The faults.
    pub faults: Vec<PlannedFault>,
    /// The time from the start of the load to the quiet time.
    pub length: Duration,
}

impl Schedule {
    /// Creates a schedule of faults of these kinds. All kinds have occurred once before one occurs again. Two faults at
    /// the same time concern different parts, so one gateway, two workers, two nodes of RabbitMQ and one Redis server
    /// are always untouched, except in faults that concern [`Part::All`] or the connections to a service.
    #[must_use]
    pub fn new(seed: u64, length: Duration, kinds: &[FaultKind]) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let slot = (length / kinds.len().max(1) as u32).clamp(MIN_SLOT, MAX_SLOT).min(length);
        let slots = (length.as_secs_f64() / slot.as_secs_f64()).floor() as usize;
        let (mut faults, mut round) = (Vec::new(), Vec::new());
        for number in 0..slots {
            if round.is_empty() {
                round = kinds.to_vec();
                round.shuffle(&mut rng);
            }
            let Some(kind) = round.pop() else { break };
            let start = slot * number as u32;
            let fault = planned(&mut rng, kind, start, slot);
            faults.push(fault);
            if rng.random_range(0..COMPANIONS) == 0
                && let Some(companions) = companions(kind)
            {
                let allowed: Vec<_> = companions.iter().filter(|kind| kinds.contains(kind)).collect();
                if !allowed.is_empty() {
                    let companion = *allowed[rng.random_range(0..allowed.len())];
                    faults.push(planned(&mut rng, companion, start, slot));
                }
            }
        }
        faults.sort_by_key(|fault| fault.at);
        Self { seed, faults, length }
    }
}

/// The kinds that may accompany a fault of this kind.
fn companions(kind: FaultKind) -> Option<&'static [FaultKind]> {
    match kind.part() {
        Part::Gateway | Part::Worker => Some(&OF_SERVICES),
        Part::Broker | Part::Store | Part::Objects => Some(&OF_PROCESSES),
        Part::All => None,
    }
}

/// A fault at a random time of a slot. Times are whole milliseconds, so a printed schedule is exact.
fn planned(rng: &mut Xoshiro256PlusPlus, kind: FaultKind, start: Duration, slot: Duration) -> PlannedFault {
    let part = |part: f64| Duration::from_millis((slot.as_secs_f64() * part * 1e3) as u64);
    PlannedFault {
        kind,
        at: start + part(rng.random_range(0.0..MAX_DELAY)),
        duration: part(rng.random_range(DURATION)),
        target: rng.random_range(0..6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_mins(10);

    #[test]
    fn a_seed_gives_one_schedule() {
        let schedule = |seed| Schedule::new(seed, LENGTH, &FaultKind::ALL);
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1).faults, schedule(2).faults);
    }

    #[test]
    fn in_ten_minutes_each_kind_comes_at_least_once() {
        for seed in 0..50 {
            let schedule = Schedule::new(seed, LENGTH, &FaultKind::ALL);
            for kind in FaultKind::ALL {
                assert!(schedule.faults.iter().any(|fault| fault.kind == kind), "seed {seed}: {kind:?}");
            }
        }
    }

    #[test]
    fn faults_at_the_same_time_concern_different_parts_and_end_in_time() {
        for seed in 0..200 {
            let Schedule { faults, length, .. } = Schedule::new(seed, LENGTH, &FaultKind::ALL);
            for (number, fault) in faults.iter().enumerate() {
                assert!(fault.at + fault.duration <= length, "{fault}");
                for other in &faults[number + 1..] {
                    if other.at < fault.at + fault.duration {
                        let parts = [fault.kind.part(), other.kind.part()];
                        assert_ne!(parts[0], parts[1], "seed {seed}: {fault} and {other}");
                        assert!(!parts.contains(&Part::All), "seed {seed}: {fault} and {other}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_short_time_has_few_faults_and_no_kind_that_was_not_asked_for() {
        let kinds = [FaultKind::WorkerKilled, FaultKind::StorePromoted];
        let schedule = Schedule::new(7, Duration::from_secs(30), &kinds);
        assert_eq!(schedule.faults.len(), 2, "{schedule:?}");
        assert!(schedule.faults.iter().all(|fault| kinds.contains(&fault.kind)), "{schedule:?}");
        assert_eq!(Schedule::new(7, Duration::from_secs(5), &kinds).faults.len(), 1);
        assert!(Schedule::new(7, LENGTH, &[]).faults.is_empty());
    }
}
