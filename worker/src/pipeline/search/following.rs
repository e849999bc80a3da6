//! Following a face from one frame of a video to the next.

use super::candidate::Candidate;
use super::choice::Choice;
use super::searcher::Searcher;
use crate::picture::Picture;
use crate::pipeline::context::Context;
use crate::pipeline::fault::PipelineFault;
use crate::pipeline::geometry::FramedPicture;

/// Minimum intersection over union of a face's boxes in two frames that follow each other.
const MIN_OVERLAP: f32 = 0.2;

/// The faces of a frame, found from the face of the frame before.
pub(crate) struct Followed {
    /// The same face, with refined landmarks.
    pub(crate) face: Candidate,
    /// The other faces that count.
    pub(crate) others: Vec<Candidate>,
}

impl Searcher {
    /// Finds a face of the frame before again, and the other faces that count. `None` if the face is not where it was.
    ///
    /// The face itself needs no further evidence, since the frame before has given it. Others do.
    ///
    /// # Errors
    /// [`PipelineFault::Inference`] if a model fails.
    pub(crate) fn follow(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        before: &Candidate,
    ) -> Result<Option<Followed>, PipelineFault> {
        let framed = FramedPicture { picture, frame: before.frame };
        let area = &before.detection.area;
        let mut candidates = self.finder.near(context, &framed, area)?;
        let overlap = |candidate: &Candidate| candidate.detection.area.intersection_over_union(area);
        let nearest = (0..candidates.len())
            .max_by(|&a, &b| overlap(&candidates[a]).total_cmp(&overlap(&candidates[b])))
            .filter(|&index| overlap(&candidates[index]) >= MIN_OVERLAP);
        let Some(nearest) = nearest else { return Ok(None) };
        let face = candidates.swap_remove(nearest);
        let face = self.finder.refine(context, picture, &face)?;
        let min_distance = face.eye_distance() * context.settings.second_live_face;
        candidates.retain(|other| {
            other.eye_distance() >= min_distance
                && other.detection.area.intersection_over_union(&face.detection.area) == 0.0
        });
        let mut others = Vec::new();
        for other in candidates {
            let confirmed = self.choose(context, picture, &[other], None, Choice::Largest)?;
            others.extend(confirmed.into_iter().map(|found| found.embedded.candidate));
        }
        Ok(Some(Followed { face, others }))
    }
}
