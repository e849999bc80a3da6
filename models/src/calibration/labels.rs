//! Finds wrong labels: one person under two names, or a picture under a wrong name.

use std::collections::BTreeSet;

use super::tail::Tail;
use crate::evaluation::{Histogram, Impostor, Labelled};

/// Expected number of pairs of people with right labels that are set aside in a whole data set.
const WRONGLY_SET_ASIDE: f64 = 0.05;

/// Share of the impostor pairs, the most similar ones, that is searched for wrong labels.
const SEARCHED: f64 = 1e-3;

/// Two people with pictures too similar for two people. Their pairs do not count as impostors.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubtful {
    /// The two people.
    pub people: [u32; 2],
    /// Their most similar pair.
    pub closest: Impostor,
    /// Number of pairs of their pictures.
    pub pairs: usize,
}

/// Sets aside all pairs between two people if one of the pairs is more similar than the tail of all others allows. The
/// limit is the similarity that 0.05 pairs of the whole set are expected to reach.
///
/// This finds both kinds of wrong label, since all wrong pairs of a picture under a wrong name are between that name
/// and the right one. The tail is then fitted again, until no further pair is found. Few rounds suffice, because the
/// fit ignores the exact similarities of its most similar pairs and takes the heaviest shape that fits. Twins and close
/// relatives are set aside, too: a false acceptance rate is defined for people drawn at random.
///
/// The function removes the pairs from `impostors`.
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
        // Bit-identical to the comparison of all pairs: the product of two floats does not depend on their order.
        .map(|(one, other)| labelled.similarity(one, other))
        .collect()
}
