//! The plan of a load, made before it begins: for each request its time, its operation and pictures, and its caller.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::arrivals::arrivals;
use super::scenario::Scenario;
use crate::oracle::{Operation, PictureSize};

/// A planned request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// Its place in the plan, from 0.
    pub number: u64,
    /// The intended time of sending, from the beginning of the load. Latencies count from here.
    pub at: Duration,
    /// The operation.
    pub operation: Operation,
    /// The size of its pictures.
    pub size: PictureSize,
    /// Index of the scenario's caller that sends it.
    pub caller: usize,
    /// Number of its first picture, modulo the number of variants. It also selects the reference of a match.
    pub picture: usize,
}

/// Plans all requests of a scenario. The same scenario gives the same plan.
#[must_use]
pub fn plan(scenario: &Scenario) -> Vec<Planned> {
    // A random stream that is independent of that of the times, so either can change without the other.
    let mut random = StdRng::seed_from_u64(!scenario.seed);
    let mix: Vec<_> = scenario.mix.iter().map(|entry| entry.weight).collect();
    let callers: Vec<_> = scenario.callers().iter().map(|caller| caller.weight).collect();
    let times = arrivals(&scenario.phases, scenario.seed).into_iter().enumerate();
    let planned = times.map(|(number, at)| {
        let entry = scenario.mix[weighted(&mix, random.random())];
        Planned {
            number: number as u64,
            at,
            operation: entry.operation,
            size: entry.size,
            caller: weighted(&callers, random.random()),
            picture: random.random_range(0..1_000_000),
        }
    });
    planned.collect()
}

/// The index of the weight that contains the fraction `part`, 0 to 1, of the cumulative sum of all weights.
fn weighted(weights: &[f64], part: f64) -> usize {
    let mut rest = part * weights.iter().sum::<f64>();
    let place = weights.iter().position(|weight| {
        rest -= weight;
        rest < 0.0
    });
    place.unwrap_or(weights.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::super::arrivals::Phase;
    use super::*;
    use crate::load::scenario::MixEntry;

    #[test]
    fn a_plan_repeats_and_has_the_mix_of_its_weights() {
        let mut scenario = Scenario::faces("x", vec![Phase::Poisson { rate: 1000.0, seconds: 10.0 }]);
        let large = MixEntry { operation: Operation::Match, size: PictureSize::Large, weight: 3.0 };
        scenario.mix.push(large);
        let planned = plan(&scenario);
        assert_eq!(planned, plan(&scenario));
        let matches = planned.iter().filter(|request| request.operation == Operation::Match).count();
        let part = matches as f64 / planned.len() as f64;
        assert!((part - 0.75).abs() < 0.02, "{part}");
        scenario.seed += 1;
        assert_ne!(planned, plan(&scenario));
    }

    #[test]
    fn a_weight_of_zero_is_never_chosen() {
        let chosen: Vec<_> =
            [0.0, 0.49, 0.51, 0.999].map(|part| weighted(&[0.0, 1.0, 0.0, 1.0], part)).into();
        assert_eq!(chosen, [1, 1, 3, 3]);
    }
}
