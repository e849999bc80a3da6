//! Who is in examined pictures: one person, and that of the photo?

use faceline_shared::job::JobFailure;
use faceline_shared::liveness;

use super::comparator::Comparator;
use crate::pipeline::{Examined, ExaminedPicture};

/// Two live pictures show the same person where two different people look as much alike no more often than this.
const SAME_PERSON: f64 = 1e-3;

/// Compares the faces of examined pictures.
pub(super) fn identify(
    examined: Examined,
    comparator: &Comparator,
) -> Result<liveness::Examined, JobFailure> {
    let Examined { live, motion, photo } = examined;
    let far =
        |one: &[f32], other: &[f32]| comparator.far(&comparator.embedding(one), &comparator.embedding(other));
    let embeddings: Option<Vec<&[f32]>> = live.iter().map(|picture| picture.embedding.as_deref()).collect();
    let same_person = match embeddings.as_deref() {
        Some(&[one, other]) => Some(far(one, other)?.fraction() <= SAME_PERSON),
        _ => None,
    };
    let portrait = photo.as_ref().and_then(|photo| photo.embedding.as_deref());
    let verification = match (&embeddings, portrait) {
        (Some(live), Some(portrait)) => Some(far(&sum(live), portrait)?),
        _ => None,
    };
    let shown = |picture: ExaminedPicture| picture.shown;
    Ok(liveness::Examined {
        live: live.into_iter().map(shown).collect(),
        motion,
        same_person,
        photo: photo.map(shown),
        verification,
    })
}

/// Points where the mean of several directions does; its length does not matter.
fn sum(vectors: &[&[f32]]) -> Vec<f32> {
    let mut sum = vectors.first().map_or(Vec::new(), |first| first.to_vec());
    for vector in vectors.iter().skip(1) {
        sum.iter_mut().zip(*vector).for_each(|(sum, value)| *sum += value);
    }
    sum
}
