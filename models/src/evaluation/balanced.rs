//! Accuracy over balanced pairs, by the protocol of Labeled Faces in the Wild (LFW).

use std::collections::BTreeSet;

use super::labelled::Labelled;
use crate::split_mix::SplitMix64;

const FOLDS: usize = 10;

/// Genuine pairs of a fold, and as many impostor pairs.
const PAIRS: usize = 300;

/// The share of right decisions over pairs of which half are genuine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// The mean over the folds.
    pub mean: f64,
    /// The standard error of that mean.
    pub standard_error: f64,
    /// Number of pairs that were decided.
    pub pairs: usize,
}

/// A pair: its similarity, and whether it is genuine.
type Pair = (f32, bool);

/// Decides balanced pairs in ten folds of people, each by the threshold that is best for the other nine folds. This is
/// the protocol of LFW's view 2, but with pairs that are drawn here. A fold has 300 genuine and 300 impostor pairs, or
/// fewer if there are not as many. A person is drawn first, then two pictures. `None` if a fold has no genuine pair or
/// only one person.
#[must_use]
pub fn balanced_accuracy(labelled: &Labelled) -> Option<Accuracy> {
    let mut random = SplitMix64::new(0);
    let mut folds = vec![Vec::new(); FOLDS];
    for (place, pictures) in shuffled(by_person(labelled), &mut random).into_iter().enumerate() {
        folds[place % FOLDS].push(pictures);
    }
    let folds = folds.iter().map(|people| draw(labelled, people, &mut random)).collect::<Option<Vec<_>>>()?;
    let shares: Vec<f64> = (0..FOLDS)
        .map(|fold| {
            let others = (0..FOLDS).filter(|other| *other != fold).flat_map(|other| &folds[other]);
            share_right(&folds[fold], best_threshold(others.copied().collect()))
        })
        .collect();
    let mean = shares.iter().sum::<f64>() / FOLDS as f64;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (FOLDS - 1) as f64;
    Some(Accuracy {
        mean,
        standard_error: (variance / FOLDS as f64).sqrt(),
        pairs: folds.iter().map(Vec::len).sum(),
    })
}

/// Each person's pictures.
fn by_person(labelled: &Labelled) -> Vec<Vec<usize>> {
    let mut people = vec![Vec::new(); labelled.people()];
    for (row, identity) in labelled.identities().iter().enumerate() {
        people[*identity as usize].push(row);
    }
    people.retain(|pictures| !pictures.is_empty());
    people
}

fn shuffled<T>(mut list: Vec<T>, random: &mut SplitMix64) -> Vec<T> {
    for end in (1..list.len()).rev() {
        list.swap(end, random.below(end + 1));
    }
    list
}

/// Draws pairs among some people, no pair twice.
fn draw(labelled: &Labelled, people: &[Vec<usize>], random: &mut SplitMix64) -> Option<Vec<Pair>> {
    let several: Vec<&Vec<usize>> = people.iter().filter(|pictures| pictures.len() > 1).collect();
    if several.is_empty() || people.len() < 2 {
        return None;
    }
    let genuine = distinct(PAIRS, || {
        let pictures = several[random.below(several.len())];
        [pictures[random.below(pictures.len())], pictures[random.below(pictures.len())]]
    });
    let impostors = distinct(genuine.len(), || {
        let one = random.below(people.len());
        let other = (one + 1 + random.below(people.len() - 1)) % people.len();
        [one, other].map(|person| people[person][random.below(people[person].len())])
    });
    let pair =
        |is_genuine: bool| move |[one, other]: [usize; 2]| (labelled.similarity(one, other), is_genuine);
    Some(genuine.into_iter().map(pair(true)).chain(impostors.into_iter().map(pair(false))).collect())
}

/// Draws up to `count` different pairs of different pictures; fewer where many draws in a row find no new pair.
fn distinct(count: usize, mut draw: impl FnMut() -> [usize; 2]) -> BTreeSet<[usize; 2]> {
    let mut pairs = BTreeSet::new();
    for _ in 0..count * 20 {
        let [one, other] = draw();
        if one != other && pairs.len() < count {
            pairs.insert([one.min(other), one.max(other)]);
        }
    }
    pairs
}

/// The threshold that decides the most pairs correctly, midway between two similarities.
fn best_threshold(mut pairs: Vec<Pair>) -> f32 {
    pairs.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    // At first all pairs are accepted. Each step rejects one more pair.
    let mut right = pairs.iter().filter(|(_, genuine)| *genuine).count();
    let (mut best, mut threshold) = (right, f32::NEG_INFINITY);
    for (index, (similarity, genuine)) in pairs.iter().enumerate() {
        right = if *genuine { right - 1 } else { right + 1 };
        if right > best {
            best = right;
            threshold =
                pairs.get(index + 1).map_or(f32::INFINITY, |(next, _)| f32::midpoint(*similarity, *next));
        }
    }
    threshold
}

fn share_right(pairs: &[Pair], threshold: f32) -> f64 {
    let right = pairs.iter().filter(|(similarity, genuine)| (*similarity >= threshold) == *genuine).count();
    right as f64 / pairs.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People on the axes of a space. Some of the pictures point at the next person instead.
    fn people(count: u32, wrong: u32) -> Labelled {
        let mut labelled = Labelled::new();
        for person in 0..count {
            for picture in 0..4 {
                let axis = if picture == 0 && person < wrong { person + 1 } else { person };
                let mut values = vec![0.01; count as usize + 1];
                values[axis as usize] = 1.0 + picture as f32 / 100.0;
                labelled.push(person, &values).unwrap();
            }
        }
        labelled
    }

    #[test]
    fn separate_people_are_told_apart_without_error() {
        let accuracy = balanced_accuracy(&people(100, 0)).unwrap();
        assert_eq!((accuracy.mean, accuracy.standard_error), (1.0, 0.0));
        // Ten folds of ten people with six genuine pairs each.
        assert_eq!(accuracy.pairs, 10 * 2 * 60);
    }

    #[test]
    fn wrong_pictures_cost_their_share_of_the_genuine_pairs() {
        let accuracy = balanced_accuracy(&people(100, 100)).unwrap();
        // Half of a person's pairs fail: a quarter of all decisions.
        assert!((accuracy.mean - 0.75).abs() < 0.02, "{accuracy:?}");
        assert!(accuracy.standard_error < 0.02);
        assert_eq!(balanced_accuracy(&people(100, 100)), Some(accuracy));
    }

    #[test]
    fn too_few_people_have_no_accuracy() {
        assert_eq!(balanced_accuracy(&people(9, 0)), None);
        assert_eq!(balanced_accuracy(&people(19, 0)), None);
        assert!(balanced_accuracy(&people(20, 0)).is_some());
        assert_eq!(balanced_accuracy(&Labelled::new()), None);
    }

    #[test]
    fn the_best_threshold_lies_between_the_two_kinds() {
        let pairs = vec![(0.1, false), (0.2, false), (0.6, true), (0.3, false), (0.5, true)];
        assert_eq!(best_threshold(pairs), 0.4);
        assert_eq!(best_threshold(vec![(0.1, true)]), f32::NEG_INFINITY);
        assert_eq!(best_threshold(vec![(0.1, false)]), f32::INFINITY);
    }
}
