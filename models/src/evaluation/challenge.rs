//! Challenge-T: the share of people below an age limit who pass it by their estimated age.
//!
//! A seller who must not sell below the age T asks for a document unless the estimate is at least T plus a margin. The
//! margin reduces the number of minors who pass because of estimation errors.

use std::collections::BTreeMap;

use super::age_errors::AgePair;
use super::attack_errors::ErrorRate;
use super::bootstrap::BootstrapSamples;

/// Age limits of the report, in years.
pub const CHALLENGE_LIMITS: [u16; 3] = [16, 18, 21];

/// Margins of the report, in years.
pub const CHALLENGE_MARGINS: [u16; 5] = [0, 3, 5, 7, 10];

/// The share of the faces below `limit` years whose estimate is at least `limit + margin`, with its interval over
/// people. `people` has the person of each pair. `None` without faces below the limit.
#[must_use]
pub fn challenge(pairs: &[AgePair], people: &[String], limit: u16, margin: u16) -> Option<ErrorRate> {
    let (limit, needed) = (f32::from(limit), f32::from(limit + margin));
    let mut counts: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
    for (pair, person) in pairs.iter().zip(people).filter(|(pair, _)| pair.age < limit) {
        let count = counts.entry(person).or_default();
        count[0] += u32::from(pair.estimate >= needed);
        count[1] += 1;
    }
    if counts.is_empty() {
        return None;
    }
    let counts: Vec<[u32; 2]> = counts.into_values().collect();
    let share = |times: &[u32]| {
        let sum = |at: usize| counts.iter().zip(times).map(|(count, times)| count[at] * times).sum::<u32>();
        f64::from(sum(0)) / f64::from(sum(1))
    };
    let interval = (counts.len() > 1).then(|| BootstrapSamples::new(counts.len()).interval(share)).flatten();
    Some(ErrorRate { share: share(&vec![1; counts.len()]), interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_below_the_limit_count() {
        let faces =
            [("a", 12.0, 19.0), ("a", 15.0, 17.9), ("b", 17.0, 21.0), ("b", 17.5, 14.0), ("c", 30.0, 31.0)];
        let pairs: Vec<AgePair> = faces.iter().map(|&(_, age, estimate)| AgePair { age, estimate }).collect();
        let people: Vec<String> = faces.iter().map(|(person, ..)| (*person).to_owned()).collect();
        let share = |limit, margin| challenge(&pairs, &people, limit, margin).map(|rate| rate.share);
        assert_eq!([share(18, 0), share(18, 3), share(18, 5)], [Some(0.5), Some(0.25), Some(0.0)]);
        assert_eq!(share(10, 0), None);
        let interval = challenge(&pairs, &people, 18, 0).unwrap().interval.unwrap();
        assert!(interval.contains(0.5));
    }
}
