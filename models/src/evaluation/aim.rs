//! Thresholds chosen for an aim over several sources of the same weight.

use super::attack_errors::AttackErrors;

/// The aim of a choice of threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// APCER of the worst species at most this share, the mean over the sources that have attacks.
    Apcer(f64),
    /// BPCER at most this share, the mean over the sources that have bona fide presentations.
    Bpcer(f64),
}

impl Aim {
    /// The threshold that meets the aim at the lowest other rate: the lowest threshold for an APCER, the highest for a
    /// BPCER. It is one of the scores. `None` if no source has presentations of the kind, or no score meets the aim.
    #[must_use]
    pub fn threshold<'a>(self, sources: impl IntoIterator<Item = &'a AttackErrors>) -> Option<f32> {
        let sources: Vec<&AttackErrors> = sources.into_iter().collect();
        let mut scores: Vec<f32> = sources.iter().copied().flat_map(AttackErrors::scores).collect();
        scores.sort_unstable_by(f32::total_cmp);
        scores.dedup();
        let mean = |rates: Vec<f64>| {
            let count = rates.len() as f64;
            (!rates.is_empty()).then(|| rates.into_iter().sum::<f64>() / count)
        };
        let apcer = |threshold: f32| {
            mean(sources.iter().filter_map(|errors| Some(errors.worst(threshold)?.1)).collect())
        };
        let bpcer = |threshold: f32| {
            mean(sources.iter().filter_map(|errors| errors.bona_fide.up_to(threshold)).collect())
        };
        let first = *scores.first()?;
        match self {
            Self::Apcer(aim) => {
                apcer(first)?;
                // APCER falls with the threshold, so all scores that meet the aim follow those that do not.
                let at = scores.partition_point(|score| apcer(*score).is_some_and(|rate| rate > aim));
                scores.get(at).copied()
            }
            Self::Bpcer(aim) => {
                bpcer(first)?;
                let at = scores.partition_point(|score| bpcer(*score).is_some_and(|rate| rate <= aim));
                at.checked_sub(1).and_then(|at| scores.get(at)).copied()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Living people of ten scores from `live`, and prints of ten from `print`, in steps of 1.
    fn source(live: i16, print: i16, copies: usize) -> AttackErrors {
        let mut errors = AttackErrors::default();
        for step in (0..10).flat_map(|step| std::iter::repeat_n(step, copies)) {
            errors.add(None, "a", Some(f32::from(live + step)));
            errors.add(Some("print"), "a", Some(f32::from(print + step)));
        }
        errors
    }

    #[test]
    fn the_threshold_meets_the_aim_at_the_least_price() {
        let one = source(5, 0, 1);
        // Two of ten prints are above 7; three of ten living people are at or below 7.
        assert_eq!(Aim::Apcer(0.2).threshold([&one]), Some(7.0));
        assert_eq!(Aim::Bpcer(0.3).threshold([&one]), Some(7.0));
        assert_eq!(Aim::Apcer(0.0).threshold([&one]), Some(9.0));
    }

    #[test]
    fn a_large_source_weighs_no_more_than_a_small_one() {
        let (small, large) = (source(20, 10, 1), source(10, 0, 50));
        // All prints of the small source are above 9, and none of the large one's.
        assert_eq!(Aim::Apcer(0.5).threshold([&small, &large]), Some(9.0));
    }

    #[test]
    fn without_presentations_of_the_kind_there_is_no_threshold() {
        let mut living = AttackErrors::default();
        assert_eq!(Aim::Bpcer(0.1).threshold([&living]), None);
        living.add(None, "a", Some(1.0));
        assert_eq!(Aim::Apcer(0.1).threshold([&living]), None);
        assert_eq!(Aim::Bpcer(0.1).threshold([&living]), None, "one person of one is more than a tenth");
    }
}
