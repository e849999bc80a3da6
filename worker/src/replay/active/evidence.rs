//! Measures of frames that the judgement needs besides their landmarks.

use std::borrow::Borrow;
use std::collections::HashMap;

use crate::inference::InferenceError;
use crate::picture::Picture;
use crate::pipeline::{FacePatch, FramedPicture, HeadAngles, Pipeline};
use crate::replay::track::Track;

/// Measures of frames, which are named by their index in the track.
pub(crate) trait Evidence {
    /// The poses of these frames' faces, by the pose network.
    fn angles(&mut self, frames: &[usize]) -> Result<Vec<HeadAngles>, InferenceError>;

    /// Correlation of two frames' faces, after one was warped onto the other like a bent and tilted sheet of paper.
    fn warp_correlation(&mut self, one: usize, other: usize) -> Result<f32, InferenceError>;
}

/// Evidence from the frames' pictures. `picture` gives the picture of a frame by its number in the clip.
pub(crate) struct FrameEvidence<'a, F> {
    pipeline: &'a mut Pipeline,
    track: &'a Track,
    picture: F,
    patches: HashMap<usize, FacePatch>,
}

impl<'a, F, P> FrameEvidence<'a, F>
where
    F: FnMut(usize) -> P,
    P: Borrow<Picture>,
{
    pub(crate) fn new(pipeline: &'a mut Pipeline, track: &'a Track, picture: F) -> Self {
        Self { pipeline, track, picture, patches: HashMap::new() }
    }

    /// Cuts out the face of a frame if that was not done yet.
    fn cut(&mut self, frame: usize) {
        let tracked = &self.track.frames[frame];
        let Some(face) = tracked.face.as_ref().filter(|_| !self.patches.contains_key(&frame)) else { return };
        let picture = (self.picture)(tracked.number);
        let framed = FramedPicture { picture: picture.borrow(), frame: face.candidate.frame };
        let patch = FacePatch::cut(&mut self.pipeline.context.sampler, &framed, &face.landmarks);
        self.patches.insert(frame, patch);
    }
}

impl<F, P> Evidence for FrameEvidence<'_, F>
where
    F: FnMut(usize) -> P,
    P: Borrow<Picture>,
{
    fn angles(&mut self, frames: &[usize]) -> Result<Vec<HeadAngles>, InferenceError> {
        let tracked = frames.iter().map(|&frame| &self.track.frames[frame]);
        let faces: Vec<_> =
            tracked.filter_map(|frame| Some((frame.face.as_ref()?, (self.picture)(frame.number)))).collect();
        let regions: Vec<_> =
            faces.iter().map(|(face, picture)| face.candidate.in_picture(picture.borrow())).collect();
        let network = self.pipeline.head_pose.get()?;
        network.estimate(&mut self.pipeline.context.sampler, &regions)
    }

    fn warp_correlation(&mut self, one: usize, other: usize) -> Result<f32, InferenceError> {
        self.cut(one);
        self.cut(other);
        let patches = self.patches.get(&one).zip(self.patches.get(&other));
        Ok(patches.map_or(0.0, |(one, other)| one.correlation(other)))
    }
}
