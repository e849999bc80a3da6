//! Bounds of the equal error rate.

use std::collections::BTreeMap;

use super::attack_errors::{AttackErrors, Responses};
use super::binomial::exact_interval;
use super::bootstrap::{BootstrapSamples, Interval};

/// A score, the index of its class (0 is bona fide, then the species) and the index of its subject.
type Entry = (f32, usize, usize);

impl AttackErrors {
    /// The 95 % interval of the equal error rate against the worst species, by bootstrap over subjects. A subject is
    /// drawn with all its presentations, bona fide and attacks. If no sample has an error, the upper end is the larger
    /// of two exact binomial bounds for no error: in the subjects of bona fide presentations, and in those of the
    /// species with the fewest subjects. `None` unless both kinds have scores.
    #[must_use]
    pub fn equal_error_interval(&self) -> Option<Interval> {
        let (entries, subjects) = self.entries();
        let classes = 1 + self.attacks.len();
        let found = BootstrapSamples::new(subjects)
            .interval(|times| equal_error(&entries, classes, times).unwrap_or(f64::NAN))?;
        if found.high > 0.0 {
            return Some(found);
        }
        let attacks = self.attacks.values().map(Responses::subjects).filter(|subjects| *subjects > 0);
        let fewest = attacks.min()?.min(self.bona_fide.subjects());
        exact_interval(0, fewest)
    }

    /// All scores in rising order, and the number of subjects.
    fn entries(&self) -> (Vec<Entry>, usize) {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut entries = Vec::new();
        let classes = std::iter::once(&self.bona_fide).chain(self.attacks.values());
        for (class, responses) in classes.enumerate() {
            for (subject, scores) in responses.by_subject() {
                let next = places.len();
                let place = *places.entry(subject).or_insert(next);
                entries.extend(scores.iter().map(|score| (*score, class, place)));
            }
        }
        entries.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        (entries, places.len())
    }
}

/// The equal error rate if each subject counts `times` times. `None` unless both kinds are drawn.
fn equal_error(entries: &[Entry], classes: usize, times: &[u32]) -> Option<f64> {
    let weight = |subject: usize| f64::from(times[subject]);
    let mut all = vec![0.0; classes];
    for (_, class, subject) in entries {
        all[*class] += weight(*subject);
    }
    if all[0] == 0.0 || all[1..].iter().all(|count| *count == 0.0) {
        return None;
    }
    // Weight of the presentations at or below the threshold, which rises from below all scores.
    let mut below = vec![0.0; classes];
    let (mut apcer, mut bpcer) = (1.0f64, 0.0f64);
    for scores in entries.chunk_by(|one, other| one.0 == other.0) {
        let [apcer_before, bpcer_before] = [apcer, bpcer];
        for (_, class, subject) in scores {
            below[*class] += weight(*subject);
        }
        bpcer = below[0] / all[0];
        let species = all.iter().zip(&below).skip(1).filter(|(count, _)| **count > 0.0);
        apcer = species.map(|(count, below)| 1.0 - below / count).fold(0.0, f64::max);
        if apcer <= bpcer {
            let (ahead, behind) = (apcer_before - bpcer_before, apcer - bpcer);
            let crossing = apcer_before + (apcer - apcer_before) * ahead / (ahead - behind);
            // A crossing at 0 may be rounded to less.
            return Some(crossing.max(0.0));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten scores in steps of 1 for each of `subjects`, with errors about `shift`.
    fn errors(subjects: u8, shift: f32) -> AttackErrors {
        let mut errors = AttackErrors::default();
        for subject in 0..subjects {
            let own = f32::from(subject % 7) / 7.0;
            for step in 0..10u8 {
                let score = f32::from(step) + own;
                errors.add(None, &subject.to_string(), Some(score + shift));
                errors.add(Some("print"), &subject.to_string(), Some(score));
                errors.add(Some("screen"), &subject.to_string(), Some(score - 20.0));
            }
        }
        errors
    }

    #[test]
    fn the_rate_of_all_subjects_is_that_of_the_curve() {
        for shift in [-3.0, 0.0, 4.0, 8.5, 20.0] {
            let errors = errors(9, shift);
            let (entries, subjects) = errors.entries();
            let whole = equal_error(&entries, 3, &vec![1; subjects]).unwrap();
            let of_curve = AttackErrors::equal_error_rate(&errors.det()).unwrap();
            assert!((whole - of_curve).abs() < 1e-9, "{shift}: {whole} {of_curve}");
        }
    }

    #[test]
    fn the_interval_holds_the_rate_and_shrinks_with_more_subjects() {
        let width = |subjects| {
            let errors = errors(subjects, 5.0);
            let rate = AttackErrors::equal_error_rate(&errors.det()).unwrap();
            let interval = errors.equal_error_interval().unwrap();
            assert!(interval.contains(rate), "{interval:?} {rate}");
            interval.high - interval.low
        };
        assert!(width(60) < width(6));
    }

    #[test]
    fn classes_apart_have_a_bound_of_the_number_of_subjects() {
        assert_eq!(errors(20, 30.0).equal_error_interval(), exact_interval(0, 20));
        let mut living = AttackErrors::default();
        living.add(None, "a", Some(1.0));
        assert_eq!(living.equal_error_interval(), None);
    }
}
