//! Error rates of presentation attack detection (ISO/IEC 30107-3).

use std::collections::BTreeMap;

/// The scores of presentations of one type, and the number of those without a score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Responses {
    /// Scores of the presentations that were judged.
    pub scores: Vec<f32>,
    /// Presentations without a face, or with one that could not be judged (for APNRR and BPNRR).
    pub without: usize,
}

impl Responses {
    /// The number of presentations.
    #[must_use]
    pub fn presentations(&self) -> usize {
        self.scores.len() + self.without
    }

    /// The part of all presentations without a score; 0 where there are no presentations.
    #[must_use]
    pub fn non_response_rate(&self) -> f64 {
        part(self.without, self.presentations())
    }

    /// The part of the scores above a threshold: the APCER of an attack's type. 0 where there are no scores.
    #[must_use]
    pub fn above(&self, threshold: f32) -> f64 {
        part(self.scores.iter().filter(|score| **score > threshold).count(), self.scores.len())
    }

    /// The part of the scores up to a threshold: the BPCER of bona fide presentations. 0 where there are no scores.
    #[must_use]
    pub fn up_to(&self, threshold: f32) -> f64 {
        part(self.scores.iter().filter(|score| **score <= threshold).count(), self.scores.len())
    }
}

/// The scores of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttackErrors {
    /// Bona fide presentations.
    pub bona_fide: Responses,
    /// Attack presentations, by type.
    pub attacks: BTreeMap<String, Responses>,
}

impl AttackErrors {
    /// Adds a presentation. `attack` is the attack's type, `None` for a bona fide presentation. `score` is `None` where it could not be judged.
    pub fn add(&mut self, attack: Option<&str>, score: Option<f32>) {
        let responses = match attack {
            Some(attack) => self.attacks.entry(attack.to_owned()).or_default(),
            None => &mut self.bona_fide,
        };
        match score {
            Some(score) => responses.scores.push(score),
            None => responses.without += 1,
        }
    }
}

fn part(count: usize, all: usize) -> f64 {
    if all > 0 { count as f64 / all as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_those_that_were_judged() {
        let mut errors = AttackErrors::default();
        for score in [Some(0.9), Some(0.5), Some(0.2), Some(0.7), None] {
            errors.add(None, score);
        }
        errors.add(Some("print"), Some(0.1));
        errors.add(Some("screen"), Some(0.6));
        errors.add(Some("screen"), None);
        assert_eq!((errors.bona_fide.up_to(0.5), errors.bona_fide.non_response_rate()), (0.5, 0.2));
        assert_eq!((errors.attacks["print"].above(0.5), errors.attacks["screen"].above(0.5)), (0.0, 1.0));
        assert_eq!((errors.attacks["screen"].above(0.6), errors.attacks["screen"].presentations()), (0.0, 2));
        assert_eq!(Responses::default().above(0.5), 0.0);
    }
}
