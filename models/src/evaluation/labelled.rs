//! Embeddings with the people they are of.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::comparison::{Comparison, Genuine};
use super::histogram::Histogram;

/// Rows of a block: 64 rows of 512 values stay in a core's cache.
const BLOCK: usize = 64;

/// Sums that run side by side in a dot product, so that it can be computed in vectors.
const LANES: usize = 16;

/// Embeddings of unit length, each with its person.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    dimensions: usize,
    values: Vec<f32>,
    identities: Vec<u32>,
}

/// Why an embedding is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LabelledError {
    /// The first one had another length.
    #[error("it has {found} values, the first one has {expected}")]
    Dimensions {
        /// Of the first one.
        expected: usize,
        /// Of this one.
        found: usize,
    },
    /// It has no direction.
    #[error("it is zero or not finite")]
    Direction,
}

impl Labelled {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an embedding; it is brought to unit length.
    ///
    /// # Errors
    /// Another length than the first one's, or no direction.
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

    /// Each embedding's person.
    #[must_use]
    pub fn identities(&self) -> &[u32] {
        &self.identities
    }

    /// Compares all pairs, on `threads` threads; the result does not depend on their number.
    #[must_use]
    pub fn compare(&self, threads: usize) -> Comparison {
        let next = AtomicUsize::new(0);
        let mut impostors = Histogram::new();
        let mut genuine: Vec<(usize, usize, f32)> = Vec::new();
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..threads.max(1)).map(|_| scope.spawn(|| self.compare_blocks(&next))).collect();
            for worker in workers {
                match worker.join() {
                    Ok((some_impostors, mut some_genuine)) => {
                        impostors.merge(&some_impostors);
                        genuine.append(&mut some_genuine);
                    }
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        genuine.sort_unstable_by_key(|(row, column, _)| (*row, *column));
        let genuine = genuine
            .into_iter()
            .map(|(row, _, similarity)| Genuine { identity: self.identities[row], similarity })
            .collect();
        Comparison::new(genuine, impostors)
    }

    /// Takes blocks of rows until none is left, and compares each with all rows behind.
    fn compare_blocks(&self, next: &AtomicUsize) -> (Histogram, Vec<(usize, usize, f32)>) {
        let mut impostors = Histogram::new();
        let mut genuine = Vec::new();
        loop {
            let rows = block(next.fetch_add(1, Ordering::Relaxed), self.identities.len());
            if rows.is_empty() {
                return (impostors, genuine);
            }
            for first in (rows.start..self.identities.len()).step_by(BLOCK) {
                for row in rows.clone() {
                    for column in first.max(row + 1)..(first + BLOCK).min(self.identities.len()) {
                        let similarity = dot(self.row(row), self.row(column));
                        if self.identities[row] == self.identities[column] {
                            genuine.push((row, column, similarity));
                        } else {
                            impostors.add(similarity);
                        }
                    }
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
    fn what_is_no_embedding_is_refused() {
        let mut labelled = labelled(1, 3);
        assert_eq!(labelled.push(0, &[1.0]), Err(LabelledError::Dimensions { expected: 3, found: 1 }));
        assert_eq!(labelled.push(0, &[0.0; 3]), Err(LabelledError::Direction));
        assert_eq!(labelled.push(0, &[f32::NAN; 3]), Err(LabelledError::Direction));
        assert_eq!(Labelled::new().compare(2).impostors().count(), 0);
    }
}
