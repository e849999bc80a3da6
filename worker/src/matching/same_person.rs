//! Whether examined pictures show one person, and the person of the photo.

use faceline_shared::job::JobFailure;
use faceline_shared::job::examination;

use super::comparator::Comparator;
use crate::pipeline::{Examined, ExaminedPicture};

/// Largest false acceptance rate at which two live pictures count as the same person.
const MAX_SAME_PERSON_FAR: f64 = 1e-3;

/// Compares the faces of examined pictures.
///
/// # Errors
/// [`JobFailure::Internal`] if embeddings have different lengths.
pub(super) fn compare_examined(
    examined: Examined,
    comparator: &Comparator,
) -> Result<examination::Examined, JobFailure> {
    let Examined { live, motion, photo } = examined;
    let far =
        |one: &[f32], other: &[f32]| comparator.far(&comparator.embedding(one), &comparator.embedding(other));
    let embeddings: Option<Vec<&[f32]>> = live.iter().map(|picture| picture.embedding.as_deref()).collect();
    let same_person = match embeddings.as_deref() {
        Some(&[one, other]) => Some(far(one, other)?.fraction() <= MAX_SAME_PERSON_FAR),
        _ => None,
    };
    let portrait = photo.as_ref().and_then(|photo| photo.embedding.as_deref());
    let verification = match (&embeddings, portrait) {
        (Some(live), Some(portrait)) => Some(far(&sum(live), portrait)?),
        _ => None,
    };
    let shown = |picture: ExaminedPicture| picture.shown;
    Ok(examination::Examined {
        live: live.into_iter().map(shown).collect(),
        motion,
        same_person,
        photo: photo.map(shown),
        verification,
    })
}

/// The sum of several vectors. It has the direction of their mean; its length does not matter.
fn sum(vectors: &[&[f32]]) -> Vec<f32> {
    let mut sum = vectors.first().map_or(Vec::new(), |first| first.to_vec());
    for vector in vectors.iter().skip(1) {
        sum.iter_mut().zip(*vector).for_each(|(sum, value)| *sum += value);
    }
    sum
}

#[cfg(test)]
mod tests {
    use faceline_models::calibration::Calibration;
    use faceline_shared::job::examination::ExaminedPicture as Shown;

    use super::*;

    /// The rate is 10 to the power of -20 x (similarity + 1) / 2.
    fn comparator() -> Comparator {
        let line = Calibration::parse("name = \"line\"\nknots = [[-1.0, 0.0], [1.0, -20.0]]").unwrap();
        Comparator::new(line, "A".into(), 1)
    }

    fn picture(embedding: Option<[f32; 2]>) -> ExaminedPicture {
        let shown = Shown { rotated: 0, faces: Vec::new(), quality: 0.5, findings: Vec::new() };
        ExaminedPicture {
            shown,
            embedding: embedding.map(Vec::from),
            log_odds: Vec::new(),
            surroundings: None,
        }
    }

    fn compared(live: &[Option<[f32; 2]>], photo: Option<Option<[f32; 2]>>) -> examination::Examined {
        let live = live.iter().copied().map(picture).collect();
        compare_examined(Examined { live, motion: None, photo: photo.map(picture) }, &comparator()).unwrap()
    }

    #[test]
    fn two_live_pictures_stand_for_one_person_together() {
        let right_angle = compared(&[Some([1.0, 0.0]), Some([0.0, 1.0])], Some(Some([0.6, 0.8])));
        assert_eq!(right_angle.same_person, Some(true), "10 to the power of -10");
        // The cosine of the angle between (1, 1) and (0.6, 0.8) is 0.99.
        let far = right_angle.verification.unwrap().fraction().log10();
        assert!((far + 19.9).abs() < 0.02, "{far}");
        let opposite = compared(&[Some([1.0, 0.0]), Some([-0.8, 0.6])], None);
        assert_eq!((opposite.same_person, opposite.verification), (Some(false), None));
    }

    #[test]
    fn without_one_face_in_each_nobody_is_compared() {
        let face = Some([1.0, 0.0]);
        let none = compared(&[face, None], Some(face));
        assert_eq!((none.same_person, none.verification), (None, None));
        let single = compared(&[face], Some(face));
        assert_eq!(single.same_person, None);
        assert!(single.verification.is_some_and(|far| far.fraction() < 1e-9));
        assert_eq!(compared(&[face], Some(None)).verification, None);
    }
}
