//! Judging a still instead of a clip.

use bytes::Bytes;
use faceline_shared::digest::sha256_hex;
use faceline_shared::face::ImageType;
use faceline_shared::job::examination::Examination;
use faceline_shared::job::replay::{BestImage, FailedReason, SpoofReason, Verdict};
use faceline_shared::liveness::SecurityLevel;

use super::best_image::JPEG_QUALITY;
use super::verdict::{Judgement, Scores, reason_of};
use crate::matching::Comparator;
use crate::picture::{Source, encode_upright};
use crate::pipeline::{CodingOptions, Pipeline, PipelineFault};

/// Judges a picture file by the rule of stills.
///
/// # Errors
/// [`PipelineFault::Picture`] if the file cannot be decoded, [`PipelineFault::Inference`] if a model fails.
pub(crate) fn judge_still(
    pipeline: &mut Pipeline,
    comparator: &Comparator,
    file: &[u8],
    level: SecurityLevel,
) -> Result<Judgement, PipelineFault> {
    let asked = Examination {
        live: vec![Bytes::copy_from_slice(file)],
        photo: None,
        liveness: true,
        challenge: Vec::new(),
    };
    let examined = pipeline.examine(&asked).map_err(|fault| fault.fault)?;
    let Some(shown) = examined.live.into_iter().next().map(|picture| picture.shown) else {
        return Ok(Judgement::failed(FailedReason::NoFace));
    };
    let liveness = shown.faces.first().and_then(|face| face.liveness);
    let verdict = match (shown.faces.len(), shown.rejection()) {
        (0, _) => Verdict::Failed(FailedReason::NoFace),
        (1, Some(check)) => Verdict::Failed(reason_of(check)),
        (1, None) if liveness.is_some_and(|score| score > level.threshold()) => Verdict::Success,
        (1, None) => Verdict::Spoof(SpoofReason::Presentation),
        _ => Verdict::Spoof(SpoofReason::SecondPerson),
    };
    let best_image = match shown.faces.len() {
        1 => described(pipeline, comparator, file, shown.rotated)?,
        _ => None,
    };
    Ok(Judgement { verdict, best_image, scores: Scores { liveness, ..Scores::default() } })
}

/// The picture as a JPEG in which the face stands upright, and the face as it is in that file.
fn described(
    pipeline: &mut Pipeline,
    comparator: &Comparator,
    file: &[u8],
    degrees: u16,
) -> Result<Option<BestImage>, PipelineFault> {
    let mut jpeg = pipeline.compress(file)?;
    if degrees != 0 {
        let limits = pipeline.context.settings.limits;
        let upright = Source::open(&jpeg, &limits)?.decode(u32::MAX)?;
        let Some(rotated) = encode_upright(&upright, degrees, JPEG_QUALITY) else { return Ok(None) };
        jpeg = rotated;
    }
    let options = CodingOptions { image_type: ImageType::VideoFrame, rotate: false };
    let face = pipeline.code(&jpeg, options)?.face.map(|face| comparator.described(&face));
    Ok(face.map(|face| BestImage { digest: sha256_hex(&jpeg), jpeg: Bytes::from(jpeg), face, time_ms: 0 }))
}
