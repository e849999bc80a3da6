//! Fits the correction of estimated ages to people of known age.

use super::age_errors::{AGE_BANDS, AgePair};
use crate::manifest::AgeCorrection;

/// Means of the age models, in years, at which the curve has its points. They are closer together below 32, since age
/// limits lie there.
const MEANS: [f64; 7] = [0.0, 8.0, 15.0, 22.0, 32.0, 50.0, 70.0];

/// Weight of the uncorrected age at each point, as a part of the weight of all faces. It matters only where there are
/// hardly any faces.
const PRIOR: f64 = 0.0005;

/// Error in years up to which a face counts with its squared error. Above it, the face counts with its absolute error.
const SMALL_ERROR: f64 = 0.5;

/// Number of solutions after which the curve moves by less than a tenth of a year.
const ITERATIONS: usize = 100;

/// Fits the curve with the smallest mean absolute error over several sources. The estimate of each pair is the
/// uncorrected mean of the age models. All sources have the same weight, and within a source all of its [`AGE_BANDS`]
/// have.
///
/// The ages at seven fixed means come from iteratively reweighted least squares (Huber's loss). A point below the one
/// before it is raised to it.
#[must_use]
pub fn fit_age_correction(sources: &[&[AgePair]]) -> AgeCorrection {
    let faces: Vec<(AgePair, f64)> = sources.iter().flat_map(|pairs| weighted(pairs)).collect();
    // Without faces, the curve is the prior alone.
    let total = faces.iter().map(|(_, weight)| weight).sum::<f64>().max(1.0);
    let mut ages = MEANS;
    for _ in 0..ITERATIONS {
        let mut equations = Equations::default();
        for (point, mean) in MEANS.iter().enumerate() {
            equations.diagonal[point] += PRIOR * total;
            equations.right[point] += PRIOR * total * mean;
        }
        for (pair, weight) in &faces {
            let (piece, part) = piece(f64::from(pair.estimate));
            let age = f64::from(pair.age);
            let fitted = ages[piece] * (1.0 - part) + ages[piece + 1] * part;
            equations.add(piece, part, age, weight / (fitted - age).abs().max(SMALL_ERROR));
        }
        ages = equations.solved();
    }
    let mut highest = f64::MIN;
    let points = MEANS.iter().zip(ages).map(|(mean, age)| {
        highest = highest.max(age);
        [*mean as f32, ((highest * 10.0).round() / 10.0) as f32]
    });
    AgeCorrection(points.collect())
}

/// Each pair with its weight. The weights of a source add up to 1.
fn weighted(pairs: &[AgePair]) -> impl Iterator<Item = (AgePair, f64)> {
    let band = |age: f32| AGE_BANDS.iter().rposition(|(first, _)| f32::from(*first) <= age).unwrap_or(0);
    let mut counts = [0u32; AGE_BANDS.len()];
    pairs.iter().for_each(|pair| counts[band(pair.age)] += 1);
    let bands = counts.iter().filter(|count| **count > 0).count();
    pairs.iter().map(move |pair| (*pair, 1.0 / (f64::from(counts[band(pair.age)]) * bands as f64)))
}

/// The piece of the curve that contains a mean, and the position on it: 0 at its start, 1 at its end. The first and the
/// last piece extend beyond their ends.
fn piece(mean: f64) -> (usize, f64) {
    let piece = MEANS.partition_point(|point| *point < mean).clamp(1, MEANS.len() - 1) - 1;
    (piece, (mean - MEANS[piece]) / (MEANS[piece + 1] - MEANS[piece]))
}

/// Normal equations of least squares. A face touches two neighbouring points, so the matrix is symmetric and
/// tridiagonal.
#[derive(Default)]
struct Equations {
    diagonal: [f64; MEANS.len()],
    beside: [f64; MEANS.len() - 1],
    right: [f64; MEANS.len()],
}

impl Equations {
    fn add(&mut self, piece: usize, part: f64, age: f64, weight: f64) {
        let rest = 1.0 - part;
        self.diagonal[piece] += weight * rest * rest;
        self.diagonal[piece + 1] += weight * part * part;
        self.beside[piece] += weight * rest * part;
        self.right[piece] += weight * rest * age;
        self.right[piece + 1] += weight * part * age;
    }

    /// The solution by Thomas' algorithm. The matrix is positive definite because of the prior.
    fn solved(mut self) -> [f64; MEANS.len()] {
        for row in 1..MEANS.len() {
            let factor = self.beside[row - 1] / self.diagonal[row - 1];
            self.diagonal[row] -= factor * self.beside[row - 1];
            self.right[row] -= factor * self.right[row - 1];
        }
        let mut ages = self.right;
        for row in (0..MEANS.len()).rev() {
            let next = if row + 1 < MEANS.len() { self.beside[row] * ages[row + 1] } else { 0.0 };
            ages[row] = (self.right[row] - next) / self.diagonal[row];
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(age_of: impl Fn(f32) -> f32) -> Vec<AgePair> {
        (0..160)
            .map(|half| half as f32 / 2.0)
            .map(|mean| AgePair { age: age_of(mean), estimate: mean })
            .collect()
    }

    #[test]
    fn a_curve_of_the_same_form_is_found_and_a_few_wrong_labels_do_not_move_it() {
        let truth = AgeCorrection(vec![
            [0.0, 1.0],
            [8.0, 8.0],
            [15.0, 13.5],
            [22.0, 18.0],
            [32.0, 33.0],
            [50.0, 54.0],
            [70.0, 80.0],
        ]);
        let mut faces = pairs(|mean| truth.apply(mean));
        for face in faces.iter_mut().step_by(12) {
            face.age = 40.0;
        }
        let found = fit_age_correction(&[&faces]);
        for ([mean, age], [_, expected]) in found.0.iter().zip(&truth.0) {
            assert!((age - expected).abs() < 1.0, "at {mean}: {age}, not {expected}");
        }
    }

    #[test]
    fn sources_and_bands_count_alike_however_many_faces_they_have() {
        let (older, younger) = (pairs(|mean| mean + 6.0), pairs(|mean| (mean - 6.0).max(0.0)));
        let few: Vec<AgePair> = younger.iter().copied().step_by(4).collect();
        let weight = |pairs: &[AgePair]| weighted(pairs).map(|(_, weight)| weight).sum::<f64>();
        assert!((weight(&older) - 1.0).abs() < 1e-9 && (weight(&few) - 1.0).abs() < 1e-9);
        let babies_and_one_elder: Vec<AgePair> =
            [1.0, 2.0, 3.0, 90.0].map(|age| AgePair { age, estimate: age }).into();
        let weights: Vec<f64> = weighted(&babies_and_one_elder).map(|(_, weight)| weight).collect();
        assert!((weights[0] - 1.0 / 6.0).abs() < 1e-9 && (weights[3] - 0.5).abs() < 1e-9, "{weights:?}");
    }

    #[test]
    fn the_curve_never_falls_and_stays_where_there_are_no_faces() {
        let found = fit_age_correction(&[&pairs(|mean| 60.0 - mean)]);
        assert!(found.0.windows(2).all(|pair| pair[0][1] <= pair[1][1]), "{found:?}");
        let young: Vec<AgePair> = pairs(|mean| mean).into_iter().filter(|pair| pair.age < 20.0).collect();
        let found = fit_age_correction(&[&young]);
        assert!(found.0.iter().all(|[mean, age]| (mean - age).abs() < 0.2), "{found:?}");
        assert_eq!(fit_age_correction(&[]).apply(33.0), 33.0);
    }
}
