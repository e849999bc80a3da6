//! Error rates of presentation attack detection (ISO/IEC 30107-3).

use std::collections::BTreeMap;

/// What was made of presentations of one kind: their scores, and how many had none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Responses {
    /// Of those that were judged.
    pub scores: Vec<f32>,
    /// Those in which a face was not found, or could not be judged (for APNRR and BPNRR).
    pub without: usize,
}

impl Responses {
    /// How many there were.
    #[must_use]
    pub fn presentations(&self) -> usize {
        self.scores.len() + self.without
    }

    /// The part of all presentations that has no score; 0 where there are none.
    #[must_use]
    pub fn non_response_rate(&self) -> f64 {
        part(self.without, self.presentations())
    }

    /// The part of the scores above a threshold: of an attack's type, its APCER. 0 where there are none.
    #[must_use]
    pub fn above(&self, threshold: f32) -> f64 {
        part(self.scores.iter().filter(|score| **score > threshold).count(), self.scores.len())
    }

    /// The part of the scores up to a threshold: of bona fide presentations, the BPCER. 0 where there are none.
    #[must_use]
    pub fn up_to(&self, threshold: f32) -> f64 {
        part(self.scores.iter().filter(|score| **score <= threshold).count(), self.scores.len())
    }
}

/// What was made of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttackErrors {
    /// Of living people.
    pub bona_fide: Responses,
    /// Of each type of attack.
    pub attacks: BTreeMap<String, Responses>,
}

impl AttackErrors {
    /// Adds a presentation: its attack's type, if it is one, and its score, if it has one.
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
