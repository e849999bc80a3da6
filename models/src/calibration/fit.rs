//! Fits a calibration table to labelled embeddings.

use super::labels::{Doubtful, set_aside, similarities};
use super::table::{Calibration, CalibrationError, LOG10_FAR_TAIL};
use super::tail::Tail;
use crate::evaluation::{BootstrapSamples, Histogram, Impostor, Labelled};

/// Maximum number of pictures of a person. Without it, a few people with hundreds of pictures would determine the
/// table. Measured between random halves of Labeled Faces in the Wild: where the table of one half claims 1e-4, the
/// rate in the other half has a standard deviation of 0.08 decades. With all pictures in the table it is 0.12 decades.
pub const PICTURES_A_PERSON: usize = 5;

/// Impostor pairs that must lie above a threshold before its rate counts as observed.
const SUPPORT: f64 = 100.0;

/// Number of decades beyond the rarest observed rate for which the table follows the tail. Beyond them it is a straight
/// line to similarity 1.
const TAIL_DECADES: i32 = 4;

/// Highest similarity of a knot of the tail. With a knot closer to 1, the line to similarity 1 would be nearly a jump.
pub(super) const LAST_KNOT: f64 = 0.9;

/// A fitted table with the data behind it.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The table.
    pub table: Calibration,
    /// The tail that the table follows beyond the data.
    pub tail: Tail,
    /// Pairs of people that were set aside. Their pictures are indices into the set that `new` received.
    pub doubtful: Vec<Doubtful>,
    /// Number of impostor pairs that the table was fitted to.
    pub impostors: u64,
    /// Number of pictures that the table was fitted to.
    pub pictures: usize,
}

impl Fit {
    /// Fits a table to labelled embeddings, at most [`PICTURES_A_PERSON`] a person. It sets wrong labels aside first.
    /// The table begins with quantiles of the impostor similarities where there are enough pairs, with bootstrap
    /// intervals over people. A [`Tail`] follows, then a straight line to a rate of 10^-18 at similarity 1.
    ///
    /// # Errors
    /// There are too few impostor pairs or too few different similarities.
    pub fn new(name: &str, labelled: &Labelled, threads: usize) -> Result<Self, CalibrationError> {
        let rows = labelled.at_most(PICTURES_A_PERSON);
        let chosen = labelled.choose(&rows);
        let mut impostors = chosen.compare(threads).impostors().clone();
        let mut doubtful = set_aside(&chosen, &mut impostors, threads);
        let too_few = || CalibrationError::TooFew { impostors: impostors.count() };
        let tail = Tail::fit(&impostors).ok_or_else(too_few)?;

        let observed = quantiles(&impostors);
        let Some(last) = observed.last().copied() else { return Err(too_few()) };
        let thresholds: Vec<f64> = observed.iter().map(|(similarity, _)| *similarity).collect();
        let mut false_matches = chosen.false_match_counts(&thresholds, threads);
        for pair in &doubtful {
            for similarity in similarities(&chosen, pair.people) {
                false_matches.remove(pair.people, similarity);
            }
        }
        let intervals = false_matches.intervals(&BootstrapSamples::new(chosen.people()));
        let intervals = observed.iter().zip(intervals).filter_map(|((similarity, rate), interval)| {
            let interval = interval?;
            // The knot's rate is rounded, so it may lie outside a narrow interval.
            Some((*similarity, rounded(interval.low, 1e4).min(*rate), rounded(interval.high, 1e4).max(*rate)))
        });

        let table = Calibration {
            name: name.to_owned(),
            intervals: intervals.collect(),
            knots: [vec![(-1.0, 0.0)], observed, beyond(&tail, last), vec![(1.0, LOG10_FAR_TAIL)]].concat(),
        };
        table.check()?;
        for Impostor { pictures, .. } in doubtful.iter_mut().map(|pair| &mut pair.closest) {
            *pictures = pictures.map(|row| rows[row as usize] as u32);
        }
        Ok(Self { table, tail, doubtful, impostors: impostors.count(), pictures: rows.len() })
    }
}

/// Knots at the quantiles with enough pairs: one per quarter decade, and some more where the rate is near 1.
fn quantiles(impostors: &Histogram) -> Vec<(f64, f64)> {
    let high = [0.999, 0.99, 0.97, 0.9, 0.75].map(f64::log10);
    let low = (1..40).map(|step| -0.25 * f64::from(step));
    let mut knots: Vec<(f64, f64)> = Vec::new();
    for log10_far in high.into_iter().chain(low) {
        let rate = 10f64.powf(log10_far);
        if rate * (impostors.count() as f64) < SUPPORT {
            break;
        }
        let similarity = rounded(impostors.threshold(rate), 1e5);
        if similarity > knots.last().map_or(-1.0, |(last, _)| *last) && similarity < LAST_KNOT {
            knots.push((similarity, rounded(log10_far, 1e6)));
        }
    }
    knots
}

/// One knot per half decade beyond the last observed knot, shifted to continue it without a jump.
fn beyond(tail: &Tail, (similarity, log10_far): (f64, f64)) -> Vec<(f64, f64)> {
    let start = tail.log10_rate_at(similarity.max(tail.from));
    let mut knots = Vec::new();
    for step in 1..=2 * TAIL_DECADES {
        let fall = 0.5 * f64::from(step);
        let next = rounded(tail.similarity(start - fall), 1e5);
        if next >= LAST_KNOT {
            break;
        }
        knots.push((next, rounded(log10_far - fall, 1e6)));
    }
    knots
}

/// Rounds to a multiple of `1 / steps`. Digits finer than the histogram's bins carry no information.
pub(super) fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::synthetic::{DIMENSIONS, people, pictures};
    use crate::split_mix::SplitMix64;

    fn fit(pictures: &[(u32, Vec<f32>)]) -> Fit {
        Fit::new("synthetic", &people(pictures), 2).unwrap()
    }

    /// log10 of the rate at which random directions reach a cosine, from the density (1 - s^2)^((d - 3) / 2),
    /// integrated numerically.
    fn true_log10_far(similarity: f64) -> f64 {
        let density = |s: f64| (1.0 - s * s).powf((DIMENSIONS as f64 - 3.0) / 2.0);
        let integral = |from: f64| {
            let step = (1.0 - from) / 20_000.0;
            (0..20_000).map(|index| density(from + (f64::from(index) + 0.5) * step) * step).sum::<f64>()
        };
        (integral(similarity) / integral(-1.0)).log10()
    }

    #[test]
    fn a_known_distribution_is_recovered() {
        let fit = fit(&pictures(1500, 2, 1));
        assert_eq!((fit.doubtful.len(), fit.pictures, fit.impostors), (0, 3000, 3000 * 2999 / 2 - 1500));
        let mut held = 0;
        for (similarity, low, high) in fit.table.intervals() {
            let truth = true_log10_far(*similarity);
            assert!((fit.table.log10_far(*similarity as f32) - truth).abs() < 0.12, "{similarity}: {truth}");
            held += usize::from((*low..=*high).contains(&truth));
        }
        let observed = fit.table.intervals().len();
        assert!(observed > 20 && held * 100 >= observed * 85, "{held} of {observed}");
        // Two decades beyond the data, the rates that the tail claims are hardly too low and not much too high.
        let last = fit.table.intervals()[observed - 1].0;
        for beyond in [0.05, 0.1] {
            let claimed = fit.table.log10_far((last + beyond) as f32);
            let truth = true_log10_far(last + beyond);
            assert!((-0.15..0.6).contains(&(claimed - truth)), "{last} + {beyond}: {claimed} for {truth}");
        }
        assert_eq!(Calibration::parse(&fit.table.to_toml()).unwrap(), fit.table);
    }

    #[test]
    fn wrong_labels_of_one_picture_in_a_hundred_barely_move_the_table() {
        let clean = pictures(1500, 3, 2);
        let mut swapped = clean.clone();
        let mut random = SplitMix64::new(3);
        // Twenty-two swaps give 44 of 4500 pictures a wrong name. Three people have two names.
        for _ in 0..22 {
            let (one, other) = (random.below(clean.len()), random.below(clean.len()));
            let name = swapped[one].0;
            swapped[one].0 = swapped[other].0;
            swapped[other].0 = name;
        }
        for person in [100, 200, 300] {
            let second = swapped.iter_mut().rfind(|(identity, _)| *identity == person).unwrap();
            second.0 = 1500 + person;
        }
        let (clean, noisy) = (fit(&clean), fit(&swapped));
        assert!(clean.doubtful.is_empty(), "{:?}", clean.doubtful);
        // Both pictures of a swap affect the same pair of people.
        assert!((24..=26).contains(&noisy.doubtful.len()), "{}", noisy.doubtful.len());
        for (log10_far, bound) in [(-3.0, 0.01), (-4.0, 0.03), (-5.0, 0.08), (-6.0, 0.2)] {
            let similarity = clean.table.similarity(log10_far);
            let moved = noisy.table.log10_far(similarity as f32) - log10_far;
            assert!(moved.abs() < bound, "{log10_far} moved by {moved}");
        }
        // If they were not set aside, they would be half of the pairs above the similarity of a rate of 1e-5.
        let similarity = clean.table.similarity(-5.0);
        let raw = people(&swapped).compare(2).impostors().rate(similarity);
        assert!(raw.log10() > -4.8, "{raw}");
    }

    #[test]
    fn right_labels_are_left_alone() {
        let set_aside: usize = (10..20).map(|seed| fit(&pictures(600, 2, seed)).doubtful.len()).sum();
        assert!(set_aside <= 3, "{set_aside} in ten sets, where 0.5 are expected");
    }

    #[test]
    fn a_person_with_hundreds_of_pictures_counts_as_five() {
        let mut set = pictures(600, 2, 4);
        let one = set[0].1.clone();
        (0..300).for_each(|_| set.push((0, one.clone())));
        let fit = fit(&set);
        assert_eq!(fit.pictures, 1200 + 3);
    }

    #[test]
    fn too_few_people_have_no_table() {
        let error = Fit::new("few", &people(&pictures(200, 2, 5)), 1).unwrap_err();
        assert!(
            matches!(error, CalibrationError::TooFew { impostors } if impostors == 400 * 398 / 2),
            "{error}"
        );
        let none = Fit::new("none", &Labelled::new(), 1).unwrap_err();
        assert!(matches!(none, CalibrationError::TooFew { impostors: 0 }));
        // All similarities are equal, so there is no quantile.
        let equal: Vec<_> = (0..600).map(|person| (person, vec![1.0; 4])).collect();
        assert!(Fit::new("equal", &people(&equal), 1).is_err());
    }
}
