//! Following the face through the frames of a clip, and measuring it in the key frames.
//!
//! Each frame is searched where the face was a moment ago and, coarsely, as a whole. Passive liveness, embedding, quality and
//! findings are measured in a fixed number of key frames, so the cost of a long clip is that of its detections.

use std::collections::HashMap;

use faceline_shared::job::examination;

use super::background::GreyFrame;
use super::sampling::equidistant;
use super::track::{Track, TrackedFace, TrackedFrame};
use crate::picture::Picture;
use crate::pipeline::{
    Candidate, Embedded, FacePatch, FramedPicture, HeadPose, Landmarks, Measures, Pipeline, PipelineFault,
    quality,
};
use crate::video::{Clip, ClipFrame};

/// Key frames of a clip. Every second one is examined and votes, as the rule of BWS asks: seven frames.
pub(super) const KEY_FRAMES: usize = 14;
/// Frames that vote.
pub(super) const VOTES: usize = KEY_FRAMES / 2;

/// Whether the key frame of this number, from 0, votes.
pub(super) fn is_vote(number: usize) -> bool {
    number % 2 == 1
}

/// While the face is lost, this many frames pass between two thorough searches, which cost as much as twenty quick ones.
const THOROUGH_SEARCH_INTERVAL: usize = 5;

/// A clip's face with what was measured in the key frames.
pub(super) struct Tracked {
    pub(super) track: Track,
    /// In the order of the frames.
    pub(super) key_frames: Vec<KeyFrame>,
    /// Faces beside cut candidates and in the key frames, by the index of the frame in the track.
    pub(super) patches: HashMap<usize, FacePatch>,
}

/// A frame that was examined closely.
pub(super) struct KeyFrame {
    /// Index of the frame in the track.
    pub(super) index: usize,
    /// Whether the frame votes.
    pub(super) votes: bool,
    /// The result that callers see. The liveness of the face is on the scale of clips (the calibration's `clip` map),
    /// not on that of stills.
    pub(super) shown: examination::ExaminedPicture,
    /// Measures of the face, if there is one.
    pub(super) face: Option<KeyFace>,
}

/// The face of a key frame.
pub(super) struct KeyFace {
    /// -500 to 300.
    pub(super) quality: i32,
    pub(super) measures: Measures,
    /// Log-odds of passive liveness.
    pub(super) log_odds: f32,
    /// Its score as a still, above 0 and at most 1.
    pub(super) still_score: f32,
    /// Height over width of the opened eyes, the mean of both.
    pub(super) eye_opening: f32,
    pub(super) grey: GreyFrame,
}

impl KeyFrame {
    /// Whether the frame shows one face that can be judged.
    pub(super) fn is_suitable(&self) -> bool {
        self.shown.faces.len() == 1 && self.shown.rejection().is_none()
    }
}

/// Follows the face through a clip. Faces are kept for comparison in the frames `patched`, too, given by their numbers in
/// the clip.
///
/// # Errors
/// [`PipelineFault::Inference`] if a model fails.
pub(super) fn follow(
    pipeline: &mut Pipeline,
    clip: &Clip,
    patched: &[usize],
) -> Result<Tracked, PipelineFault> {
    let mut tracker = Tracker {
        pipeline,
        track: Track::default(),
        key_frames: Vec::new(),
        patches: HashMap::new(),
        before: None,
        lost_for: 0,
    };
    let key_indices = equidistant(clip.frames.len(), KEY_FRAMES);
    let start = clip.frames.first().map_or_else(Default::default, |frame| frame.time);
    for (index, frame) in clip.frames.iter().enumerate() {
        let key_number = key_indices.iter().position(|&key_index| key_index == index);
        let is_patched = key_number.is_some() || patched.contains(&(frame.number as usize));
        let picture = frame.picture();
        let time = frame.time.saturating_sub(start).as_secs_f32();
        tracker.frame(frame, &picture, index, time, is_patched, key_number)?;
    }
    let Tracker { track, key_frames, patches, .. } = tracker;
    Ok(Tracked { track, key_frames, patches })
}

struct Tracker<'p> {
    pipeline: &'p mut Pipeline,
    track: Track,
    key_frames: Vec<KeyFrame>,
    patches: HashMap<usize, FacePatch>,
    /// The face where it was last seen.
    before: Option<Candidate>,
    /// Frames since then.
    lost_for: usize,
}

/// The faces of one frame.
#[derive(Default)]
struct Faces {
    /// The followed face, with its embedding where the search has made one.
    face: Option<(Candidate, Option<Embedded>)>,
    others: Vec<Candidate>,
}

impl Tracker<'_> {
    fn frame(
        &mut self,
        frame: &ClipFrame,
        picture: &Picture,
        index: usize,
        time: f32,
        is_patched: bool,
        key_number: Option<usize>,
    ) -> Result<(), PipelineFault> {
        let Faces { face, others } = self.search(picture, key_number.is_some())?;
        let mut tracked = TrackedFrame { number: frame.number as usize, time, face: None };
        let mut embedded = None;
        if let Some((candidate, found)) = face {
            let finder = self.pipeline.searcher.finder();
            let landmarks = finder.average(&mut self.pipeline.context, picture, &candidate)?;
            let pose = HeadPose::new(&landmarks.0);
            if is_patched {
                let framed = FramedPicture { picture, frame: candidate.frame };
                let patch = FacePatch::cut(&mut self.pipeline.context.sampler, &framed, &landmarks);
                self.patches.insert(index, patch);
            }
            embedded = found;
            if key_number.is_some() && embedded.is_none() {
                let Pipeline { searcher, context, .. } = &mut *self.pipeline;
                embedded = Some(searcher.embed(context, picture, &candidate)?);
            }
            self.before = Some(candidate.clone());
            tracked.face = Some(TrackedFace { candidate, landmarks, pose, liveness: None, embedding: None });
        }
        if let Some(number) = key_number {
            self.examine(frame, picture, index, is_vote(number), embedded, &others, &mut tracked)?;
        }
        self.track.frames.push(tracked);
        Ok(())
    }

    /// Finds the faces of a frame.
    fn search(&mut self, picture: &Picture, is_key_frame: bool) -> Result<Faces, PipelineFault> {
        let Pipeline { searcher, context, .. } = &mut *self.pipeline;
        if let Some(before) = &self.before
            && let Some(followed) = searcher.follow(context, picture, before)?
        {
            self.lost_for = 0;
            return Ok(Faces { face: Some((followed.face, None)), others: followed.others });
        }
        let is_due = self.lost_for.is_multiple_of(THOROUGH_SEARCH_INTERVAL);
        self.lost_for += 1;
        if !is_due && !is_key_frame {
            return Ok(Faces::default());
        }
        // A clip is not rotated while it is recorded.
        let mut found = searcher.find_all(context, picture, self.before.is_none())?.into_iter();
        let Some(first) = found.next() else { return Ok(Faces::default()) };
        self.lost_for = 0;
        let others = found.map(|face| face.candidate).collect();
        Ok(Faces { face: Some((first.candidate.clone(), Some(first))), others })
    }

    /// Examines a key frame.
    #[expect(clippy::too_many_arguments, reason = "the parts of one frame")]
    fn examine(
        &mut self,
        frame: &ClipFrame,
        picture: &Picture,
        index: usize,
        votes: bool,
        embedded: Option<Embedded>,
        others: &[Candidate],
        tracked: &mut TrackedFrame,
    ) -> Result<(), PipelineFault> {
        let (mut shown, measures) = self.pipeline.check(picture, embedded.as_ref(), others, true)?;
        let mut face = None;
        if let (Some(embedded), Some(measures), Some(tracked)) = (embedded, measures, &mut tracked.face) {
            let Pipeline { liveness, context, .. } = &mut *self.pipeline;
            let model = liveness.get()?;
            let region = embedded.candidate.in_picture(picture);
            let log_odds = context.liveness_log_odds(model, region)?;
            let still_score = model.calibration().still.score(log_odds);
            let is_judged = shown.faces.len() == 1 && shown.rejection().is_none();
            if let Some(first) = shown.faces.first_mut().filter(|_| is_judged) {
                first.liveness = Some(model.calibration().clip.score(log_odds));
            }
            tracked.liveness = Some(log_odds);
            tracked.embedding = Some(embedded.embedding.vector);
            face = Some(KeyFace {
                quality: quality(&measures),
                measures,
                log_odds,
                still_score,
                eye_opening: eye_opening(&tracked.landmarks),
                grey: GreyFrame::new(frame),
            });
        }
        self.key_frames.push(KeyFrame { index, votes, shown, face });
        Ok(())
    }
}

/// Height over width of the opened eyes (eye aspect ratio; Soukupová and Čech 2016), the mean of both.
fn eye_opening(landmarks: &Landmarks) -> f32 {
    let apart = |a: usize, b: usize| {
        let (p, q) = (landmarks.0[a], landmarks.0[b]);
        (p[0] - q[0]).hypot(p[1] - q[1])
    };
    let ratio = |first: usize| {
        let width = apart(first, first + 3).max(f32::MIN_POSITIVE);
        (apart(first + 1, first + 5) + apart(first + 2, first + 4)) / (2.0 * width)
    };
    f32::midpoint(ratio(36), ratio(42))
}
