//! Error rates of presentation attack detection (ISO/IEC 30107-3).
//!
//! APCER: the share of the attack presentations of one species that are classified as bona fide. BPCER: the share of
//! the bona fide presentations that are classified as attacks. Both are shares of the presentations with a response.
//! APNRR and BPNRR: the shares without a response. The result for attacks is the rate of the worst species, not the
//! mean of all.
//!
//! A presentation attack shows an instrument (PAI) to the capture device. A species (PAIS) is a class of instruments
//! made in a common way. A digitally changed picture or video that is sent as a file shows no instrument: it is an
//! injection attack, which bypasses the capture device and which presentation attack detection cannot see. Such rows
//! are counted separately, and are excluded from the worst case, the equal error rate, fits and thresholds. The same
//! deepfake shown on a screen is a species.

use std::collections::BTreeMap;

use super::binomial::exact_interval;
use super::bootstrap::{BootstrapSamples, Interval};

/// The scores of presentations of one species, and the number of those without a score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Responses {
    /// Scores of the presentations that were judged, by subject.
    subjects: BTreeMap<String, Vec<f32>>,
    /// Presentations without a face, or with one that could not be judged (for APNRR and BPNRR).
    pub without: usize,
}

/// Whether a label means a digital manipulation that was injected, not presented: `deepfake` or `injected`, alone or
/// followed by a hyphen and more text. Any other label, such as `screen-deepfake`, is a species of presentation
/// attacks.
#[must_use]
pub fn is_injected(label: &str) -> bool {
    matches!(label.split('-').next(), Some("deepfake" | "injected"))
}

/// An error rate with its 95 % interval over subjects.
///
/// The interval is by bootstrap over subjects. It is the exact binomial interval of the number of subjects if each
/// subject has one presentation, or if the bootstrap cannot show a spread: all subjects are without errors, or all have
/// errors only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorRate {
    /// The share, 0 to 1.
    pub share: f64,
    /// `None` if there is one subject, with errors and correct results.
    pub interval: Option<Interval>,
}

impl Responses {
    /// Scores of all presentations that were judged.
    pub fn scores(&self) -> impl Iterator<Item = f32> {
        self.subjects.values().flatten().copied()
    }

    /// The number of presentations.
    #[must_use]
    pub fn presentations(&self) -> usize {
        self.scores().count() + self.without
    }

    /// The number of subjects with a score.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.subjects.len()
    }

    /// The share of all presentations without a score; `None` without presentations.
    #[must_use]
    pub fn non_response_rate(&self) -> Option<f64> {
        share(self.without, self.presentations())
    }

    /// The share of the scores above a threshold: the APCER of a species. `None` without scores.
    #[must_use]
    pub fn above(&self, threshold: f32) -> Option<f64> {
        share(self.scores().filter(|score| *score > threshold).count(), self.scores().count())
    }

    /// The share of the scores at or below a threshold: the BPCER of bona fide presentations. `None` without scores.
    #[must_use]
    pub fn up_to(&self, threshold: f32) -> Option<f64> {
        share(self.scores().filter(|score| *score <= threshold).count(), self.scores().count())
    }

    /// The share of the scores that are errors, with its interval over subjects. `None` without scores.
    pub fn rate(&self, is_error: impl Fn(f32) -> bool) -> Option<ErrorRate> {
        let counts: Vec<[usize; 2]> = self
            .subjects
            .values()
            .map(|scores| [scores.iter().filter(|score| is_error(**score)).count(), scores.len()])
            .collect();
        let drawn = |times: &[u32]| {
            let sum = |at: usize| {
                counts.iter().zip(times).map(|(count, times)| count[at] * *times as usize).sum::<usize>()
            };
            share(sum(0), sum(1)).unwrap_or(f64::NAN)
        };
        let subjects = counts.len();
        let [errors, all] = [0, 1].map(|at| counts.iter().map(|count| count[at]).sum::<usize>());
        let interval = if errors == 0 || errors == all || all == subjects {
            exact_interval(errors * subjects / all.max(1), subjects)
        } else {
            (subjects > 1).then(|| BootstrapSamples::new(subjects).interval(drawn)).flatten()
        };
        Some(ErrorRate { share: share(errors, all)?, interval })
    }

    /// The scores of each subject.
    pub(super) fn by_subject(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.subjects.iter().map(|(subject, scores)| (subject.as_str(), scores.as_slice()))
    }
}

/// The scores of a data set, or of one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttackErrors {
    /// Bona fide presentations.
    pub bona_fide: Responses,
    /// Attack presentations, by species.
    pub attacks: BTreeMap<String, Responses>,
    /// Digital manipulations that were injected, by label. They are not presentation attacks.
    pub injected: BTreeMap<String, Responses>,
}

/// One point of the curve of detection error trade-off (DET).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetPoint {
    /// Scores above it are classified as bona fide.
    pub threshold: f32,
    /// APCER of the worst species.
    pub apcer: f64,
    /// BPCER.
    pub bpcer: f64,
}

impl AttackErrors {
    /// Adds a presentation of a subject. `attack` is the species or the label of an injected manipulation; `None` for a
    /// bona fide presentation. `score` is `None` if the presentation could not be judged.
    pub fn add(&mut self, attack: Option<&str>, subject: &str, score: Option<f32>) {
        let responses = match attack {
            Some(label) if is_injected(label) => self.injected.entry(label.to_owned()).or_default(),
            Some(attack) => self.attacks.entry(attack.to_owned()).or_default(),
            None => &mut self.bona_fide,
        };
        match score {
            Some(score) => responses.subjects.entry(subject.to_owned()).or_default().push(score),
            None => responses.without += 1,
        }
    }

    /// Scores of all bona fide presentations and presentation attacks.
    pub fn scores(&self) -> impl Iterator<Item = f32> {
        self.bona_fide.scores().chain(self.attacks.values().flat_map(Responses::scores))
    }

    /// The species with the largest APCER at a threshold; `None` without attacks that were judged.
    #[must_use]
    pub fn worst(&self, threshold: f32) -> Option<(&str, f64)> {
        let judged =
            self.attacks.iter().filter_map(|(name, attack)| Some((name.as_str(), attack.above(threshold)?)));
        judged.max_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// The DET curve from the lowest threshold to the highest: APCER falls, BPCER rises. Empty unless there are scores
    /// of both kinds.
    #[must_use]
    pub fn det(&self) -> Vec<DetPoint> {
        let mut thresholds: Vec<f32> = self.scores().collect();
        thresholds.push(f32::NEG_INFINITY);
        thresholds.sort_unstable_by(f32::total_cmp);
        thresholds.dedup();
        let point = |threshold: f32| {
            let (apcer, bpcer) = (self.worst(threshold)?.1, self.bona_fide.up_to(threshold)?);
            Some(DetPoint { threshold, apcer, bpcer })
        };
        thresholds.into_iter().filter_map(point).collect()
    }

    /// The equal error rate of a DET curve: where APCER and BPCER cross, linear between the points.
    #[must_use]
    pub fn equal_error_rate(det: &[DetPoint]) -> Option<f64> {
        let after = det.iter().position(|point| point.apcer <= point.bpcer)?;
        let Some(before) = after.checked_sub(1) else { return Some(det[after].bpcer) };
        let [ahead, behind] = [before, after].map(|at| det[at].apcer - det[at].bpcer);
        let part = ahead / (ahead - behind);
        Some(det[before].apcer + (det[after].apcer - det[before].apcer) * part)
    }

    /// The smallest BPCER of a DET curve with an APCER of at most `apcer`.
    #[must_use]
    pub fn bpcer_at(det: &[DetPoint], apcer: f64) -> Option<f64> {
        det.iter().find(|point| point.apcer <= apcer).map(|point| point.bpcer)
    }
}

fn share(count: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| count as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> AttackErrors {
        let mut errors = AttackErrors::default();
        for (subject, score) in
            [("a", Some(0.9)), ("a", Some(0.5)), ("b", Some(0.2)), ("b", Some(0.7)), ("b", None)]
        {
            errors.add(None, subject, score);
        }
        errors.add(Some("print"), "a", Some(0.1));
        errors.add(Some("screen"), "a", Some(0.6));
        errors.add(Some("screen"), "a", None);
        errors
    }

    #[test]
    fn rates_are_of_those_that_were_judged() {
        let errors = example();
        assert_eq!(
            (errors.bona_fide.up_to(0.5), errors.bona_fide.non_response_rate()),
            (Some(0.5), Some(0.2))
        );
        assert_eq!(
            (errors.attacks["print"].above(0.5), errors.attacks["screen"].above(0.5)),
            (Some(0.0), Some(1.0))
        );
        assert_eq!(
            (errors.attacks["screen"].above(0.6), errors.attacks["screen"].presentations()),
            (Some(0.0), 2)
        );
        let nobody = Responses::default();
        assert_eq!(
            (nobody.above(0.5), nobody.non_response_rate(), nobody.rate(|_| true)),
            (None, None, None)
        );
    }

    #[test]
    fn the_worst_species_counts() {
        let errors = example();
        assert_eq!(errors.worst(0.5), Some(("screen", 1.0)));
        assert_eq!(AttackErrors::default().worst(0.5), None);
    }

    #[test]
    fn the_curve_goes_from_all_accepted_to_all_rejected() {
        let det = example().det();
        let ends = [det[0], det[det.len() - 1]].map(|point| (point.apcer, point.bpcer));
        assert_eq!(ends, [(1.0, 0.0), (0.0, 1.0)]);
        assert!(det.windows(2).all(|pair| pair[0].apcer >= pair[1].apcer && pair[0].bpcer <= pair[1].bpcer));
        // Above 0.6 no attack passes, and two of four living people are rejected; at 0.5 the screen passes.
        assert_eq!(AttackErrors::bpcer_at(&det, 0.05), Some(0.5));
        assert_eq!(AttackErrors::equal_error_rate(&det), Some(0.5));
        assert!(AttackErrors::default().det().is_empty());
    }

    #[test]
    fn bounds_are_over_subjects() {
        let mut errors = AttackErrors::default();
        // One subject in ten is always rejected: the bounds are those of ten trials, not of a thousand.
        for subject in 0..10 {
            for _ in 0..100 {
                errors.add(None, &subject.to_string(), Some(if subject == 0 { 0.0 } else { 1.0 }));
            }
        }
        let rate = errors.bona_fide.rate(|score| score <= 0.5).unwrap();
        let interval = rate.interval.unwrap();
        assert_eq!(rate.share, 0.1);
        assert!(interval.low == 0.0 && interval.high >= 0.3, "{interval:?}");
        let mut mixed = AttackErrors::default();
        [0.2, 0.8].into_iter().for_each(|score| mixed.add(None, "a", Some(score)));
        assert_eq!(mixed.bona_fide.rate(|score| score > 0.5).unwrap().interval, None, "one subject");
    }

    #[test]
    fn where_the_bootstrap_shows_no_spread_the_bounds_are_exact() {
        let mut errors = AttackErrors::default();
        for subject in 0..20 {
            // Many pictures of a person give no more evidence than one.
            for _ in 0..9 {
                errors.add(None, &subject.to_string(), Some(1.0));
            }
            errors.add(Some("print"), &subject.to_string(), Some(if subject < 2 { 1.0 } else { 0.0 }));
        }
        let none = errors.bona_fide.rate(|score| score <= 0.5).unwrap();
        assert_eq!((none.share, none.interval), (0.0, exact_interval(0, 20)));
        let all = errors.bona_fide.rate(|score| score > 0.5).unwrap();
        assert_eq!((all.share, all.interval), (1.0, exact_interval(20, 20)));
        let few = errors.attacks["print"].rate(|score| score > 0.5).unwrap();
        assert_eq!((few.share, few.interval), (0.1, exact_interval(2, 20)), "one presentation a subject");
    }

    #[test]
    fn what_was_injected_is_no_species() {
        let mut errors = example();
        errors.add(Some("deepfake"), "a", Some(0.99));
        errors.add(Some("injected-morph"), "a", Some(0.99));
        assert_eq!((errors.worst(0.7), errors.det()), (example().worst(0.7), example().det()));
        assert_eq!(errors.injected.len(), 2);
        errors.add(Some("screen-deepfake"), "a", Some(0.99));
        assert_eq!(errors.worst(0.7), Some(("screen-deepfake", 1.0)), "one that was presented");
    }
}
