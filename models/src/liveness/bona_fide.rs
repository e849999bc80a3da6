//! Thresholds from pictures of living people of one camera.

use crate::evaluation::{BootstrapSamples, Interval};

/// A threshold that rejects a given share of living people, with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BonaFideThreshold {
    /// The log-odds up to which a picture is rejected.
    pub log_odds: f32,
    /// The 95 % interval of the threshold, by bootstrap over subjects; `None` with fewer than two subjects.
    pub interval: Option<Interval>,
}

/// The minimum number of pictures for a threshold at a BPCER. With fewer, hardly any picture would lie below it.
#[must_use]
pub fn min_pictures(bpcer: f64) -> usize {
    /// Pictures that should lie below the threshold.
    const REJECTED: f64 = 3.0;
    (REJECTED / bpcer - 1e-9).ceil() as usize
}

/// The log-odds at or below which the share `bpcer` of the pictures lies. Each entry is a picture's subject and
/// log-odds. `None` without pictures.
#[must_use]
pub fn threshold_at(pictures: &[(String, f32)], bpcer: f64) -> Option<BonaFideThreshold> {
    let mut subjects: std::collections::BTreeMap<&str, Vec<f32>> = std::collections::BTreeMap::new();
    for (subject, log_odds) in pictures {
        subjects.entry(subject).or_default().push(*log_odds);
    }
    let subjects: Vec<Vec<f32>> = subjects.into_values().collect();
    let of = |times: &[u32]| {
        let drawn = subjects
            .iter()
            .zip(times)
            .flat_map(|(log_odds, times)| std::iter::repeat_n(log_odds, *times as usize).flatten().copied());
        quantile(drawn.collect(), bpcer)
    };
    let log_odds = of(&vec![1; subjects.len()])?;
    let interval = (subjects.len() > 1)
        .then(|| {
            BootstrapSamples::new(subjects.len()).interval(|times| of(times).map_or(f64::NAN, f64::from))
        })
        .flatten();
    Some(BonaFideThreshold { log_odds, interval })
}

/// The value at or below which the share `part` of the values lies, interpolated linearly between neighbours.
fn quantile(mut values: Vec<f32>, part: f64) -> Option<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let last = values.len().checked_sub(1)?;
    let place = part.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = (place - below as f64) as f32;
    Some(values[below] + (values[above] - values[below]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_rejects_the_share_that_is_asked_for() {
        let pictures: Vec<(String, f32)> =
            (0u16..=100).map(|value| (value.to_string(), f32::from(value))).collect();
        let found = threshold_at(&pictures, 0.05).unwrap();
        assert_eq!(found.log_odds, 5.0);
        let interval = found.interval.unwrap();
        assert!(interval.contains(5.0) && interval.high < 15.0 && interval.low >= 0.0, "{interval:?}");
    }

    #[test]
    fn many_pictures_of_one_person_are_one_witness() {
        let of_one: Vec<(String, f32)> =
            (0u16..100).map(|value| ("a".to_owned(), f32::from(value))).collect();
        assert_eq!(threshold_at(&of_one, 0.1).unwrap().interval, None);
        assert_eq!(threshold_at(&[], 0.1), None);
    }

    #[test]
    fn a_small_bpcer_needs_many_pictures() {
        assert_eq!([0.1, 0.05, 0.01].map(min_pictures), [30, 60, 300]);
    }
}
