//! The error-versus-discard characteristic of ISO/IEC 29794-1: how error rates fall when the worst pictures are
//! discarded.

use super::comparison::Genuine;

/// Direction in which the values of a measure get bad.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadValues {
    /// Low values are bad, as for a quality.
    Low,
    /// High values are bad.
    High,
    /// Values far from the median are bad, as for an angle.
    Far,
}

/// False non-match rate at a fixed threshold, by the fraction that is discarded. The worst quality is discarded first.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscardCurve(Vec<Level>);

/// Genuine pairs of one quality. They are discarded evenly while the discarded fraction grows from `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Level {
    from: f64,
    to: f64,
    pairs: usize,
    failures: usize,
}

impl BadValues {
    /// Converts values of a measure to qualities, of which higher ones are better.
    #[must_use]
    pub fn quality(self, values: &[f64]) -> Vec<f64> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let quality = |value: &f64| match self {
            Self::Low => *value,
            Self::High => -value,
            Self::Far => -(value - median).abs(),
        };
        values.iter().map(quality).collect()
    }
}

impl DiscardCurve {
    /// Discards pairs. A pair has the quality of the worse of its pictures; `quality` has one entry a picture.
    #[must_use]
    pub fn by_pairs(genuine: &[Genuine], threshold: f64, quality: &[f64]) -> Self {
        let pairs = judged(genuine, threshold, quality);
        let qualities: Vec<f64> = pairs.iter().map(|(quality, _)| *quality).collect();
        Self::new(pairs, qualities)
    }

    /// Discards pictures together with all pairs that contain them.
    #[must_use]
    pub fn by_pictures(genuine: &[Genuine], threshold: f64, quality: &[f64]) -> Self {
        Self::new(judged(genuine, threshold, quality), quality.to_vec())
    }

    /// The curve of `pairs`, each with its quality and whether it fails. `discarded` has the qualities of everything
    /// that can be discarded.
    fn new(mut pairs: Vec<(f64, bool)>, mut discarded: Vec<f64>) -> Self {
        pairs.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        discarded.sort_unstable_by(f64::total_cmp);
        let fraction = |count: usize| count as f64 / discarded.len() as f64;
        let level = |pairs: &[(f64, bool)]| {
            let quality = pairs[0].0;
            Level {
                from: fraction(discarded.partition_point(|other| other.total_cmp(&quality).is_lt())),
                to: fraction(discarded.partition_point(|other| other.total_cmp(&quality).is_le())),
                pairs: pairs.len(),
                failures: pairs.iter().filter(|(_, fails)| *fails).count(),
            }
        };
        Self(pairs.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()).map(level).collect())
    }

    /// The false non-match rate after the worst `fraction` is discarded; 0 when no pair is left.
    #[must_use]
    pub fn at(&self, fraction: f64) -> f64 {
        let (mut pairs, mut failures) = (0.0, 0.0);
        for level in &self.0 {
            let kept = 1.0 - ((fraction - level.from) / (level.to - level.from)).clamp(0.0, 1.0);
            pairs += kept * level.pairs as f64;
            failures += kept * level.failures as f64;
        }
        if pairs > 0.0 { failures / pairs } else { 0.0 }
    }
}

/// The quality of each pair, and whether the pair fails.
fn judged(genuine: &[Genuine], threshold: f64, quality: &[f64]) -> Vec<(f64, bool)> {
    let judge = |pair: &Genuine| {
        let [one, other] = pair.pictures.map(|picture| quality[picture as usize]);
        (one.min(other), f64::from(pair.similarity) < threshold)
    };
    genuine.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(one: u32, other: u32, similarity: f32) -> Genuine {
        Genuine { identity: 0, pictures: [one, other], similarity }
    }

    /// Five pictures of one person, of which the first is the worst: all of its pairs but one fail.
    fn person() -> Vec<Genuine> {
        let mut pairs = vec![pair(0, 1, 0.1), pair(0, 2, 0.2), pair(0, 3, 0.3), pair(0, 4, 0.9)];
        pairs.extend([pair(1, 2, 0.1), pair(1, 3, 0.9), pair(1, 4, 0.9)]);
        pairs.extend([pair(2, 3, 0.9), pair(2, 4, 0.9), pair(3, 4, 0.1)]);
        pairs
    }

    const QUALITY: [f64; 5] = [10.0, 20.0, 30.0, 40.0, 50.0];

    #[test]
    fn discarding_by_pairs_of_a_worked_example() {
        let curve = DiscardCurve::by_pairs(&person(), 0.5, &QUALITY);
        assert_eq!(curve.at(0.0), 0.5);
        // The pairs of quality 10 are the worst four of ten, three of them failures; ties go evenly.
        assert!((curve.at(0.2) - 3.5 / 8.0).abs() < 1e-12);
        assert!((curve.at(0.4) - 2.0 / 6.0).abs() < 1e-12);
        assert!((curve.at(0.7) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((curve.at(0.95), curve.at(1.0)), (1.0, 0.0));
    }

    #[test]
    fn discarding_by_pictures_of_a_worked_example() {
        let curve = DiscardCurve::by_pictures(&person(), 0.5, &QUALITY);
        assert_eq!(curve.at(0.0), 0.5);
        // A fifth of the pictures, the first, is in four of ten pairs.
        assert!((curve.at(0.2) - 2.0 / 6.0).abs() < 1e-12);
        assert!((curve.at(0.4) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((curve.at(0.6), curve.at(0.8)), (1.0, 0.0));
    }

    #[test]
    fn a_quality_that_knows_nothing_changes_nothing() {
        for curve in [DiscardCurve::by_pairs, DiscardCurve::by_pictures] {
            let curve = curve(&person(), 0.5, &[7.0; 5]);
            assert!([0.0, 0.1, 0.5, 0.9].iter().all(|part| (curve.at(*part) - 0.5).abs() < 1e-12));
        }
        assert_eq!(DiscardCurve::by_pairs(&[], 0.5, &[]).at(0.1), 0.0);
    }

    #[test]
    fn measures_become_qualities() {
        let angles = [-30.0, 0.0, 10.0];
        assert_eq!(BadValues::Low.quality(&angles), angles);
        assert_eq!(BadValues::High.quality(&angles), [30.0, 0.0, -10.0]);
        assert_eq!(BadValues::Far.quality(&angles), [-30.0, 0.0, -10.0]);
        assert!(BadValues::Far.quality(&[]).is_empty());
    }
}
