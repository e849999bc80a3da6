//! Comparison of two embeddings, which gives a false acceptance rate.

use faceline_models::calibration::Calibration;
use faceline_shared::face::{CodedFace, Embedding};
use faceline_shared::job::{JobFailure, Ranking};
use faceline_shared::score::Far;

use crate::pipeline;

/// Compares faces of one algorithm.
#[derive(Clone, Debug)]
pub struct Comparator {
    calibration: Calibration,
    algorithm: String,
    template_version: u32,
}

impl Comparator {
    /// A comparator for embeddings of `algorithm`, for which `calibration` was measured.
    #[must_use]
    pub fn new(calibration: Calibration, algorithm: String, template_version: u32) -> Self {
        Self { calibration, algorithm, template_version }
    }

    /// The vector with the name and version of its algorithm.
    pub(crate) fn embedding(&self, vector: &[f32]) -> Embedding {
        Embedding::new(&self.algorithm, self.template_version, vector)
    }

    /// A face as callers get it.
    pub(crate) fn described(&self, face: &pipeline::CodedFace) -> CodedFace {
        CodedFace {
            quality: face.quality,
            eyes: face.eyes,
            bounding_box: face.bounding_box,
            face_box: Some(face.face_box),
            embedding: self.embedding(&face.embedding),
        }
    }

    /// Checks that the template is of this algorithm.
    ///
    /// # Errors
    /// [`JobFailure::OtherAlgorithm`] if it is not.
    pub(super) fn check(&self, template: &Embedding) -> Result<(), JobFailure> {
        if template.algorithm == self.algorithm && template.version == self.template_version {
            return Ok(());
        }
        Err(JobFailure::OtherAlgorithm {
            theirs: format!("{} version {}", template.algorithm, template.version),
            ours: format!("{} version {}", self.algorithm, self.template_version),
        })
    }

    /// The false acceptance rate at the similarity of two embeddings: how often two different people are at least as
    /// similar. Both embeddings must be of this algorithm.
    ///
    /// # Errors
    /// [`JobFailure::Internal`] if their lengths differ.
    pub(super) fn far(&self, one: &Embedding, other: &Embedding) -> Result<Far, JobFailure> {
        let similarity = one.cosine(other).ok_or_else(|| {
            tracing::error!("embeddings of one algorithm have different lengths");
            JobFailure::Internal
        })?;
        Ok(Far::from_log10(self.calibration.log10_far(similarity)))
    }

    /// The false acceptance rate of each candidate against the reference, in the candidates' order.
    ///
    /// # Errors
    /// [`JobFailure::OtherAlgorithm`] if one of the templates is of another algorithm.
    pub(super) fn rank(&self, ranking: &Ranking) -> Result<Vec<Far>, JobFailure> {
        let Ranking { reference, candidates } = ranking;
        for template in std::iter::once(reference).chain(candidates) {
            self.check(template)?;
        }
        candidates.iter().map(|candidate| self.far(reference, candidate)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate is 10 to the power of -20 x (similarity + 1) / 2.
    fn comparator() -> Comparator {
        let line = Calibration::parse("name = \"line\"\nknots = [[-1.0, 0.0], [1.0, -20.0]]").unwrap();
        Comparator::new(line, "A".into(), 3)
    }

    fn template(algorithm: &str, version: u32, vector: &[f32]) -> Embedding {
        Embedding::new(algorithm, version, vector)
    }

    #[test]
    fn candidates_keep_their_order_and_have_the_rate_of_their_similarity() {
        let ranking = Ranking {
            reference: template("A", 3, &[1.0, 0.0]),
            candidates: [[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]]
                .map(|vector| template("A", 3, &vector))
                .into(),
        };
        let expected = [-10.0, -20.0, 0.0, -10.0].map(Far::from_log10);
        assert_eq!(comparator().rank(&ranking).unwrap(), expected);
        let nobody = Ranking { candidates: Vec::new(), ..ranking };
        assert_eq!(comparator().rank(&nobody).unwrap(), []);
    }

    #[test]
    fn a_template_of_another_algorithm_is_named_wherever_it_stands() {
        let own = template("A", 3, &[1.0, 0.0]);
        for other in [template("B", 3, &[1.0, 0.0]), template("A", 2, &[1.0, 0.0])] {
            let failure = JobFailure::OtherAlgorithm {
                theirs: format!("{} version {}", other.algorithm, other.version),
                ours: "A version 3".into(),
            };
            let first = Ranking { reference: other.clone(), candidates: vec![own.clone()] };
            let last = Ranking { reference: own.clone(), candidates: vec![own.clone(), other.clone()] };
            let alone = Ranking { reference: other, candidates: Vec::new() };
            for ranking in [first, last, alone] {
                assert_eq!(comparator().rank(&ranking), Err(failure.clone()));
            }
        }
    }

    #[test]
    fn vectors_that_cannot_be_compared_are_an_error() {
        let ranking = Ranking {
            reference: template("A", 3, &[1.0, 0.0]),
            candidates: vec![template("A", 3, &[1.0, 0.0, 0.0])],
        };
        assert_eq!(comparator().rank(&ranking), Err(JobFailure::Internal));
    }
}
