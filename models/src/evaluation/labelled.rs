//! Embeddings with the people that they belong to.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::comparison::{Comparison, Genuine};
use super::false_match_counts::FalseMatchCounts;
use super::histogram::Histogram;

/// Rows per block: 64 rows of 512 values fit into a core's cache.
const BLOCK: usize = 64;

/// Number of parallel sums in a dot product, which lets the compiler use vector instructions.
const LANES: usize = 16;

/// Embeddings of unit length, each with its person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    dimensions: usize,
    values: Vec<f32>,
    identities: Vec<u32>,
}

/// Two pictures of different people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impostor {
    /// The pictures, by their place in the set.
    pub pictures: [u32; 2],
    /// Cosine similarity.
    pub similarity: f32,
}

/// Reasons to refuse an embedding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LabelledError {
    /// The set's first embedding had another length.
    #[error("it has {found} values, the first one has {expected}")]
    Dimensions {
        /// Length of the first embedding.
        expected: usize,
        /// Length of this embedding.
        found: usize,
    },
    /// The embedding is zero or not finite, so it has no direction.
    #[error("it is zero or not finite")]
    Direction,
}

impl Labelled {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an embedding and scales it to unit length.
    ///
    /// # Errors
    /// The embedding has another length than the first one, or no direction.
    pub fn push(&mut self, identity: u32, embedding: &[f32]) -> Result<(), LabelledError> {
        if self.identities.is_empty() {
            self.dimensions = embedding.len();
        }
        if embedding.len() != self.dimensions {
            return Err(LabelledError::Dimensions { expected: self.dimensions, found: embedding.len() });
        }
        let norm = embedding.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !norm.is_normal() {
            return Err(LabelledError::Direction);
        }
        self.values.extend(embedding.iter().map(|value| (f64::from(*value) / norm) as f32));
        self.identities.push(identity);
        Ok(())
    }

    /// The person of each embedding.
    #[must_use]
    pub fn identities(&self) -> &[u32] {
        &self.identities
    }

    /// One more than the largest number of a person.
    #[must_use]
    pub fn people(&self) -> usize {
        self.identities.iter().max().map_or(0, |last| *last as usize + 1)
    }

    /// The indices of at most `cap` embeddings per person, at equal distances in the person's list.
    #[must_use]
    pub fn at_most(&self, cap: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.identities.len()).collect();
        rows.sort_by_key(|row| self.identities[*row]);
        let one_person = |one: &usize, other: &usize| self.identities[*one] == self.identities[*other];
        rows.chunk_by(one_person)
            .flat_map(|rows| {
                let taken = rows.len().min(cap);
                (0..taken).map(move |index| rows[index * rows.len() / taken])
            })
            .collect()
    }

    /// The embeddings at these indices.
    #[must_use]
    pub fn choose(&self, rows: &[usize]) -> Self {
        Self {
            dimensions: self.dimensions,
            values: rows.iter().flat_map(|row| self.row(*row)).copied().collect(),
            identities: rows.iter().map(|row| self.identities[*row]).collect(),
        }
    }

    /// The embeddings of the people for whom `chosen` returns true. The people get new numbers without gaps.
    #[must_use]
    pub fn of_people(&self, chosen: impl Fn(u32) -> bool) -> Self {
        let rows: Vec<usize> =
            (0..self.identities.len()).filter(|row| chosen(self.identities[*row])).collect();
        let mut part = self.choose(&rows);
        let mut known = part.identities.clone();
        known.sort_unstable();
        known.dedup();
        for identity in &mut part.identities {
            *identity = known.partition_point(|other| other < identity) as u32;
        }
        part
    }

    /// The cosine similarity of the embeddings at two indices.
    #[must_use]
    pub fn similarity(&self, row: usize, column: usize) -> f32 {
        dot(self.row(row), self.row(column))
    }

    /// Compares all pairs, on `threads` threads; the result does not depend on their number.
    #[must_use]
    pub fn compare(&self, threads: usize) -> Comparison {
        let parts = self.each_pair(
            threads,
            || (Histogram::new(), Vec::new()),
            |(impostors, genuine), row, column, similarity| {
                if self.identities[row] == self.identities[column] {
                    let pictures = [row as u32, column as u32];
                    genuine.push(Genuine { identity: self.identities[row], pictures, similarity });
                } else {
                    impostors.add(similarity);
                }
            },
        );
        let (mut impostors, mut genuine) = (Histogram::new(), Vec::new());
        for (some_impostors, mut some_genuine) in parts {
            impostors.merge(&some_impostors);
            genuine.append(&mut some_genuine);
        }
        genuine.sort_unstable_by_key(|pair| (pair.identity, pair.pictures));
        Comparison::new(genuine, impostors)
    }

    /// The impostor pairs that reach a threshold, the most similar first.
    #[must_use]
    pub fn impostors_above(&self, threshold: f64, threads: usize) -> Vec<Impostor> {
        let parts = self.each_pair(threads, Vec::new, |found, row, column, similarity| {
            if f64::from(similarity) >= threshold && self.identities[row] != self.identities[column] {
                found.push(Impostor { pictures: [row as u32, column as u32], similarity });
            }
        });
        let mut found: Vec<Impostor> = parts.into_iter().flatten().collect();
        found.sort_unstable_by(|one, other| {
            other.similarity.total_cmp(&one.similarity).then(one.pictures.cmp(&other.pictures))
        });
        found
    }

    /// Counts for each person the impostor pairs that reach each of some rising thresholds.
    #[must_use]
    pub fn false_match_counts(&self, thresholds: &[f64], threads: usize) -> FalseMatchCounts {
        self.false_match_counts_where(thresholds, threads, |_| true)
    }

    /// Like [`Self::false_match_counts`], but only for the pairs of people for which `counted` returns true.
    #[must_use]
    pub fn false_match_counts_where(
        &self,
        thresholds: &[f64],
        threads: usize,
        counted: impl Fn([u32; 2]) -> bool + Sync,
    ) -> FalseMatchCounts {
        let empty = || FalseMatchCounts::new(self.people(), thresholds);
        let parts = self.each_pair(threads, empty, |counts, row, column, similarity| {
            let people = [self.identities[row], self.identities[column]];
            if people[0] != people[1] && counted(people) {
                counts.add(people, similarity);
            }
        });
        let mut counts = empty();
        parts.iter().for_each(|part| counts.merge(part));
        counts
    }

    /// Visits every pair once. Each thread has its own state; the function returns the states.
    fn each_pair<T: Send>(
        &self,
        threads: usize,
        state: impl Fn() -> T + Sync,
        visit: impl Fn(&mut T, usize, usize, f32) + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut state = state();
            loop {
                let rows = block(next.fetch_add(1, Ordering::Relaxed), self.identities.len());
                if rows.is_empty() {
                    return state;
                }
                self.compare_block(rows, |row, column, similarity| {
                    visit(&mut state, row, column, similarity);
                });
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
            let joined = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.collect()
        })
    }

    /// Compares a block of rows with all later rows, block by block.
    fn compare_block(&self, rows: Range<usize>, mut visit: impl FnMut(usize, usize, f32)) {
        for first in (rows.start..self.identities.len()).step_by(BLOCK) {
            for row in rows.clone() {
                for column in first.max(row + 1)..(first + BLOCK).min(self.identities.len()) {
                    visit(row, column, self.similarity(row, column));
                }
            }
        }
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dimensions..(index + 1) * self.dimensions]
    }
}

fn block(index: usize, rows: usize) -> Range<usize> {
    (index * BLOCK).min(rows)..((index + 1) * BLOCK).min(rows)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(rows: usize, dimensions: usize) -> Labelled {
        let mut labelled = Labelled::new();
        for row in 0..rows {
            let values: Vec<f32> =
                (0..dimensions).map(|column| ((row * 31 + column * 17) % 23) as f32 - 11.0).collect();
            labelled.push((row / 3) as u32, &values).unwrap();
        }
        labelled
    }

    #[test]
    fn every_pair_is_compared_once_whatever_the_threads() {
        let labelled = labelled(200, 37);
        let one = labelled.compare(1);
        assert_eq!(one.genuine().len(), 66 * 3 + 1);
        assert_eq!(one.genuine().len() as u64 + one.impostors().count(), 200 * 199 / 2);
        assert_eq!(one, labelled.compare(3));

        let plain: f32 = labelled.row(0).iter().zip(labelled.row(1)).map(|(a, b)| a * b).sum();
        assert!((one.genuine()[0].similarity - plain).abs() < 1e-5);
    }

    #[test]
    fn counts_by_person_and_the_list_of_the_most_similar_agree_with_the_histogram() {
        let labelled = labelled(200, 37);
        let impostors = labelled.compare(1).impostors().clone();
        let thresholds = [0.0, 0.5, 0.9];
        let false_matches = labelled.false_match_counts(&thresholds, 2);
        let alone = labelled.false_match_counts(&thresholds, 1);
        assert_eq!((false_matches.pairs(), &false_matches), (impostors.count(), &alone));
        let found = labelled.impostors_above(0.5, 2);
        assert_eq!(found.len() as u64, false_matches.counts()[1]);
        assert!(found.is_sorted_by(|one, other| one.similarity >= other.similarity));
        let [row, column] = found[0].pictures.map(|row| row as usize);
        assert_eq!(labelled.similarity(row, column), found[0].similarity);
        assert_ne!(labelled.identities()[row], labelled.identities()[column]);
    }

    #[test]
    fn at_most_so_many_pictures_of_a_person_are_chosen() {
        let mut labelled = Labelled::new();
        for (identity, value) in [(1, 0.0), (0, 1.0), (1, 2.0), (1, 3.0), (1, 4.0)] {
            labelled.push(identity, &[1.0, value]).unwrap();
        }
        let rows = labelled.at_most(2);
        assert_eq!(rows, [1, 0, 3]);
        assert_eq!(labelled.choose(&rows).identities(), [0, 1, 1]);
        assert_eq!(labelled.choose(&rows).row(2), labelled.row(3));
        assert_eq!((labelled.people(), Labelled::new().people()), (2, 0));
        assert_eq!(labelled.at_most(9).len(), 5);
        assert_eq!(labelled.of_people(|person| person == 1).identities(), [0, 0, 0, 0]);
        assert_eq!(labelled.of_people(|person| person == 0).row(0), labelled.row(1));
    }

    #[test]
    fn what_is_no_embedding_is_refused() {
        let mut labelled = labelled(1, 3);
        assert_eq!(labelled.push(0, &[1.0]), Err(LabelledError::Dimensions { expected: 3, found: 1 }));
        assert_eq!(labelled.push(0, &[0.0; 3]), Err(LabelledError::Direction));
        assert_eq!(labelled.push(0, &[f32::NAN; 3]), Err(LabelledError::Direction));
        assert_eq!(Labelled::new().compare(2).impostors().count(), 0);
    }
}
