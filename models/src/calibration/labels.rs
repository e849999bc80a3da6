//! Labels that cannot be right: one person under two names, or a picture under a wrong one.

use std::collections::BTreeSet;

use super::tail::Tail;
use crate::evaluation::{Histogram, Impostor, Labelled};

/// Of right labels, how many impostor pairs a whole data set may lose on average.
const WRONGLY_SET_ASIDE: f64 = 0.05;

/// The part of the impostor pairs among which wrong labels are looked for.
const SEARCHED: f64 = 1e-3;

/// Two people whose pictures are too similar to be of two people. Their pairs do not count as impostors.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubtful {
    /// The two people.
    pub people: [u32; 2],
    /// Their most similar pair.
    pub closest: Impostor,
    /// How many pairs of pictures they have.
    pub pairs: usize,
}

/// Sets aside all pairs between two people one of which is more similar than the tail of all others allows: so similar
/// that by the tail 0.05 such pairs would be expected in the whole set. That catches both kinds of wrong label, since
/// all wrong pairs of a picture under a wrong name are between that name and the right one. Then the tail is fitted
/// again, until nothing more is found; as it gives no weight to the places of its most similar pairs, and claims the
/// heaviest shape that fits, it does not eat itself up. Also set aside are twins and close relatives, whom a false
/// acceptance rate, which is about people drawn at random, leaves out.
///
/// The pairs are taken out of `impostors`.
pub(super) fn set_aside(labelled: &Labelled, impostors: &mut Histogram, threads: usize) -> Vec<Doubtful> {
    let candidates = labelled.impostors_above(impostors.threshold(SEARCHED), threads);
    let (mut known, mut doubtful) = (BTreeSet::new(), Vec::new());
    while let Some(tail) = Tail::fit(impostors) {
        let limit = tail.similarity((WRONGLY_SET_ASIDE / impostors.count() as f64).log10());
        let before = doubtful.len();
        for closest in candidates.iter().take_while(|pair| f64::from(pair.similarity) >= limit) {
            let people = closest.pictures.map(|row| labelled.identities()[row as usize]);
            if !known.insert([people[0].min(people[1]), people[0].max(people[1])]) {
                continue;
            }
            let between = similarities(labelled, people);
            between.iter().for_each(|similarity| impostors.remove(*similarity));
            doubtful.push(Doubtful { people, closest: *closest, pairs: between.len() });
        }
        if doubtful.len() == before {
            break;
        }
    }
    doubtful
}

/// The similarities of all pairs between two people.
pub(super) fn similarities(labelled: &Labelled, people: [u32; 2]) -> Vec<f32> {
    let rows =
        |person| (0..labelled.identities().len()).filter(move |row| labelled.identities()[*row] == person);
    rows(people[0])
        .flat_map(|one| rows(people[1]).map(move |other| (one, other)))
        // As in the comparison of all: the product of two floats is the same in both orders.
        .map(|(one, other)| labelled.similarity(one, other))
        .collect()
}
