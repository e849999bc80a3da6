//! The service's judgement of a clip with the figures behind it, for evaluations on labelled clips.

use bytes::Bytes;
use faceline_shared::job::examination::{self, Examination};
use faceline_shared::job::replay::{FailedReason, SpoofReason, Verdict};
use faceline_shared::liveness::SecurityLevel;

use super::evidence::ReplayEvidence;
use super::sampling::equidistant;
use super::tracker::KEY_FRAMES;
use super::verdict::{judge_video, outvoted, votes};
use super::{presentation, tracker};
use crate::inference::InferenceError;
use crate::pipeline::{Pipeline, PipelineFault, mean};
use crate::video::Clip;

/// Measures of a clip, and the service's answer about it.
#[derive(Clone, Debug)]
pub struct MeasuredClip {
    /// The frames that vote: seven at equal distance.
    pub votes: Vec<examination::ExaminedPicture>,
    /// Mean log-odds of passive liveness over the key frames that can be judged; `None` where fewer than three can.
    pub log_odds: Option<f32>,
    /// The service's answer.
    pub answer: ClipAnswer,
}

/// The service's answer about a clip at all security levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClipAnswer {
    /// It cannot be judged.
    NotJudged(FailedReason),
    /// An attack at each level, by evidence that needs no score.
    Attack(SpoofReason),
    /// Live at the levels whose threshold this score passes; above 0 and at most 1.
    Score(f32),
}

/// Measures a decoded video by the service's rule for videos, with all its evidence.
///
/// # Errors
/// [`PipelineFault::Inference`] if a model fails.
pub fn measure_clip(pipeline: &mut Pipeline, clip: &Clip) -> Result<MeasuredClip, PipelineFault> {
    let (tracked, evidence) = ReplayEvidence::gather(pipeline, clip)?;
    // The level decides between success and an attack by score only.
    let answer = match (judge_video(clip, &tracked, &evidence, SecurityLevel::Medium), evidence.score()) {
        (Verdict::Failed(reason), _) => ClipAnswer::NotJudged(reason),
        (Verdict::Spoof(reason), _) if evidence.attack == Some(reason) => ClipAnswer::Attack(reason),
        (_, Some(score)) => ClipAnswer::Score(score),
        (_, None) => ClipAnswer::NotJudged(FailedReason::NoFace),
    };
    let votes = votes(&tracked.key_frames).map(|key_frame| key_frame.shown.clone()).collect();
    Ok(MeasuredClip { votes, log_odds: evidence.log_odds, answer })
}

/// Measures pictures that are frames of one clip, in their order. Key frames and votes are those of a video. Passive
/// liveness alone decides, because motion, cuts and repetitions are judged by the time between frames, which pictures
/// do not have. A frame that cannot be decoded counts as one without a face.
///
/// # Errors
/// [`InferenceError`] if a model fails.
pub fn measure_frames(pipeline: &mut Pipeline, frames: &[Bytes]) -> Result<MeasuredClip, InferenceError> {
    let indices = equidistant(frames.len(), KEY_FRAMES);
    let (mut log_odds, mut votes) = (Vec::new(), Vec::new());
    for (number, index) in indices.into_iter().enumerate() {
        let asked = Examination {
            live: vec![frames[index].clone()],
            photo: None,
            liveness: true,
            challenge: Vec::new(),
        };
        let examined = match pipeline.examine(&asked) {
            Ok(examined) => examined.live.into_iter().next(),
            Err(fault) => match fault.fault {
                PipelineFault::Inference(error) => return Err(error),
                PipelineFault::Picture(_) | PipelineFault::SeveralFaces => None,
            },
        };
        let shown = examined.as_ref().map_or_else(without_face, |picture| picture.shown.clone());
        if let Some(of_networks) = examined.map(|picture| picture.log_odds).filter(|found| !found.is_empty())
        {
            log_odds.push(mean(&of_networks));
        }
        if tracker::is_vote(number) {
            votes.push(shown);
        }
    }
    let log_odds = presentation::mean(log_odds.into_iter());
    let answer = match (outvoted(votes.iter()), log_odds) {
        (Some(reason), _) => ClipAnswer::NotJudged(reason),
        (None, None) => ClipAnswer::NotJudged(FailedReason::TooShort),
        (None, Some(log_odds)) => {
            ClipAnswer::Score(pipeline.liveness.get()?.calibration().clip.score(log_odds))
        }
    };
    Ok(MeasuredClip { votes, log_odds, answer })
}

fn without_face() -> examination::ExaminedPicture {
    examination::ExaminedPicture { rotated: 0, faces: Vec::new(), quality: 0.0, findings: Vec::new() }
}
