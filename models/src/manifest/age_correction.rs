//! The correction of estimated ages.

use serde::{Deserialize, Serialize};

/// A rising, piecewise linear curve from the mean of the age models' estimates to an age, both in years. The first and
/// the last piece continue beyond the outer points. Without points, the mean is the age.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct AgeCorrection(pub Vec<[f32; 2]>);

impl AgeCorrection {
    /// The corrected age in years, at least 0.
    #[must_use]
    pub fn apply(&self, mean: f32) -> f32 {
        let points = &self.0;
        let end = points.partition_point(|point| point[0] < mean);
        let piece = end.clamp(1, points.len().max(2) - 1);
        let Some(&[[x0, y0], [x1, y1]]) = points.get(piece - 1..=piece).and_then(<[_]>::as_array) else {
            return mean;
        };
        (y0 + (y1 - y0) * (mean - x0) / (x1 - x0)).max(0.0)
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let rising = |pair: &[[f32; 2]]| pair[0][0] < pair[1][0] && pair[0][1] <= pair[1][1];
        let points = &self.0;
        let is_finite = points.iter().flatten().all(|value| value.is_finite());
        if points.is_empty() || (points.len() > 1 && is_finite && points.windows(2).all(rising)) {
            return Ok(());
        }
        Err("needs two points or more that rise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_linear_between_its_points_and_goes_on_beyond_them() {
        let correction = AgeCorrection(vec![[10.0, 4.0], [20.0, 24.0], [30.0, 54.0]]);
        let found = [10.0, 15.0, 20.0, 25.0, 30.0, 31.0, 9.0, 2.0].map(|mean| correction.apply(mean));
        assert_eq!(found, [4.0, 14.0, 24.0, 39.0, 54.0, 57.0, 2.0, 0.0]);
        assert_eq!(AgeCorrection::default().apply(33.0), 33.0);
    }

    #[test]
    fn curves_that_fall_or_have_one_point_are_refused() {
        assert!(AgeCorrection(vec![[0.0, 1.0]]).check().is_err());
        assert!(AgeCorrection(vec![[0.0, 1.0], [0.0, 2.0]]).check().is_err());
        assert!(AgeCorrection(vec![[0.0, 2.0], [1.0, 1.0]]).check().is_err());
        assert!(AgeCorrection(vec![[0.0, f32::NAN], [1.0, 1.0]]).check().is_err());
        assert_eq!(AgeCorrection(vec![[0.0, 1.0], [1.0, 1.0]]).check(), Ok(()));
    }
}
