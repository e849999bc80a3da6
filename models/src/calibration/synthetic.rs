//! Embeddings whose distribution is known.

use crate::evaluation::Labelled;
use crate::split_mix::SplitMix64;

pub(super) const DIMENSIONS: usize = 48;

/// Embeddings of people in random directions. The pictures of one person have a mean similarity of 0.8.
pub(super) fn pictures(people: u32, pictures: u32, seed: u64) -> Vec<(u32, Vec<f32>)> {
    let mut random = SplitMix64::new(seed);
    let mut set = Vec::new();
    for person in 0..people {
        let centre: Vec<f64> = (0..DIMENSIONS).map(|_| random.normal()).collect();
        for _ in 0..pictures {
            set.push((person, centre.iter().map(|value| (value + 0.5 * random.normal()) as f32).collect()));
        }
    }
    set
}

pub(super) fn people(pictures: &[(u32, Vec<f32>)]) -> Labelled {
    let mut labelled = Labelled::new();
    for (person, embedding) in pictures {
        labelled.push(*person, embedding).unwrap();
    }
    labelled
}
