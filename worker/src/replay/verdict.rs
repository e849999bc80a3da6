//! The verdict on a clip or a still.

use faceline_shared::job::examination::{Check, ExaminedPicture};
use faceline_shared::job::replay::{BestImage, FailedReason, SpoofReason, Verdict, VideoExamined};
use faceline_shared::job::replay::{ExaminedFrame, Replay};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::LivenessType;

use super::active::{self, ActiveJudgement, Challenge, FrameEvidence};
use super::best_image;
use super::evidence::ReplayEvidence;
use super::tracker::{KeyFrame, Tracked, VOTES};
use crate::matching::Comparator;
use crate::pipeline::{Pipeline, PipelineFault};
use crate::video::Clip;

/// A video is too short below this duration in seconds, or with fewer frames than vote.
const MIN_SECONDS: f32 = 1.0;

/// With more votes than this without a suitable face, a video cannot be judged.
const MAX_FAILURES: usize = 4;

/// Requirements on a clip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) liveness: LivenessType,
    pub(crate) level: SecurityLevel,
    pub(crate) challenge: Challenge<'a>,
}

impl<'a> From<&'a Replay> for Asked<'a> {
    fn from(replay: &'a Replay) -> Self {
        let challenge =
            Challenge { directions: &replay.challenges, events: &replay.events, mirrored: replay.mirrored };
        Self { liveness: replay.liveness, level: replay.level, challenge }
    }
}

/// The result of judging.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) best_image: Option<BestImage>,
    pub(crate) scores: Scores,
}

impl Judgement {
    pub(super) fn failed(reason: FailedReason) -> Self {
        Self { verdict: Verdict::Failed(reason), best_image: None, scores: Scores::default() }
    }
}

/// The evidence behind the verdict, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scores {
    /// Liveness of the clip, above 0 and at most 1.
    pub(crate) liveness: Option<f32>,
    /// Passive liveness as a logit.
    pub(crate) presentation: Option<f32>,
    /// Flatness of the face over the clip, -1 to 1.
    pub(crate) flatness: Option<f32>,
    /// The largest displacement of the face, in eye distances.
    pub(crate) displacement: Option<f32>,
    /// Gain in the correlation of the surroundings if they move with the face instead of being at rest, -2 to 2.
    pub(crate) background: Option<f32>,
    /// The least depth score of the head's turns (active liveness).
    pub(crate) active: Option<f32>,
}

impl Scores {
    fn new(evidence: &ReplayEvidence) -> Self {
        Self {
            liveness: evidence.score(),
            presentation: evidence.presentation,
            flatness: evidence.motion.map(|motion| motion.correlation),
            displacement: evidence.motion.map(|motion| motion.displacement),
            background: evidence.background.map(|background| background.gain),
            active: None,
        }
    }
}

/// Judges a clip.
///
/// # Errors
/// [`PipelineFault::Inference`] if a model fails.
pub(crate) fn judge(
    pipeline: &mut Pipeline,
    comparator: &Comparator,
    clip: &Clip,
    asked: &Asked<'_>,
) -> Result<Judgement, PipelineFault> {
    let (tracked, evidence) = ReplayEvidence::gather(pipeline, clip)?;
    let mut scores = Scores::new(&evidence);
    let best = best_image::best_frame(&tracked.key_frames);
    let best_image = best.and_then(|key_frame| best_image::describe(comparator, clip, &tracked, key_frame));
    let verdict = match asked.liveness {
        LivenessType::Passive => judge_best(&tracked, &evidence, best, asked.level, &mut scores),
        LivenessType::PassiveVideo => judge_video(clip, &tracked, &evidence, asked.level),
        LivenessType::Active => judge_active(pipeline, clip, &tracked, &evidence, asked, &mut scores)?,
    };
    Ok(Judgement { verdict, best_image, scores })
}

/// Judges a clip by the rule of BWS, and shows the frames that voted.
///
/// # Errors
/// [`PipelineFault::Inference`] if a model fails.
pub(crate) fn examine(
    pipeline: &mut Pipeline,
    clip: &Clip,
    level: SecurityLevel,
) -> Result<VideoExamined, PipelineFault> {
    let (tracked, evidence) = ReplayEvidence::gather(pipeline, clip)?;
    let verdict = judge_video(clip, &tracked, &evidence, level);
    let frames = votes(&tracked.key_frames).map(|key_frame| ExaminedFrame {
        number: tracked.track.frames[key_frame.index].number as u32,
        picture: key_frame.shown.clone(),
    });
    Ok(VideoExamined { frames: frames.collect(), verdict, liveness: evidence.score() })
}

pub(super) fn votes(key_frames: &[KeyFrame]) -> impl Iterator<Item = &KeyFrame> {
    key_frames.iter().filter(|key_frame| key_frame.votes)
}

/// The best frame is judged as a still. Evidence that decides alone counts as well.
fn judge_best(
    tracked: &Tracked,
    evidence: &ReplayEvidence,
    best: Option<&KeyFrame>,
    level: SecurityLevel,
    scores: &mut Scores,
) -> Verdict {
    if let Some(verdict) = without_face_or_attack(tracked, evidence) {
        return verdict;
    }
    let Some(key_frame) = best else { return Verdict::Failed(FailedReason::NoFace) };
    if let Some(check) = key_frame.shown.rejection() {
        return Verdict::Failed(reason_of(check));
    }
    let score = key_frame.face.as_ref().map(|face| face.still_score);
    scores.liveness = score;
    if score.is_some_and(|score| score > level.threshold()) {
        Verdict::Success
    } else {
        Verdict::Spoof(SpoofReason::Presentation)
    }
}

pub(super) fn judge_video(
    clip: &Clip,
    tracked: &Tracked,
    evidence: &ReplayEvidence,
    level: SecurityLevel,
) -> Verdict {
    if is_short(clip) {
        return Verdict::Failed(FailedReason::TooShort);
    }
    if let Some(verdict) = without_face_or_attack(tracked, evidence) {
        return verdict;
    }
    if let Some(reason) = outvoted(votes(&tracked.key_frames).map(|key_frame| &key_frame.shown)) {
        return Verdict::Failed(reason);
    }
    judge_score(tracked, evidence, level)
}

fn judge_active(
    pipeline: &mut Pipeline,
    clip: &Clip,
    tracked: &Tracked,
    evidence: &ReplayEvidence,
    asked: &Asked<'_>,
    scores: &mut Scores,
) -> Result<Verdict, PipelineFault> {
    if is_short(clip) {
        return Ok(Verdict::Failed(FailedReason::TooShort));
    }
    let verdict = match without_face_or_attack(tracked, evidence) {
        Some(verdict) => verdict,
        None => judge_score(tracked, evidence, asked.level),
    };
    if verdict != Verdict::Success {
        return Ok(verdict);
    }
    let picture = |number: usize| {
        let at = clip.frames.partition_point(|frame| (frame.number as usize) < number);
        clip.frames[at.min(clip.frames.len() - 1)].picture()
    };
    let mut frames = FrameEvidence::new(pipeline, &tracked.track, picture);
    Ok(match active::judge(&tracked.track, &asked.challenge, asked.level, &mut frames)? {
        ActiveJudgement::Followed { score } => {
            scores.active = Some(score);
            Verdict::Success
        }
        ActiveJudgement::NotFollowed(deviation) => Verdict::Failed(deviation.reason()),
        ActiveJudgement::Flat(flat) => Verdict::Spoof(flat.reason()),
    })
}

fn is_short(clip: &Clip) -> bool {
    clip.duration.as_secs_f32() < MIN_SECONDS || clip.frames.len() < VOTES
}

/// The verdict on a clip without a face, or with evidence of an attack that decides alone.
fn without_face_or_attack(tracked: &Tracked, evidence: &ReplayEvidence) -> Option<Verdict> {
    if tracked.track.faces().next().is_none() {
        return Some(Verdict::Failed(FailedReason::NoFace));
    }
    evidence.attack.map(Verdict::Spoof)
}

fn judge_score(tracked: &Tracked, evidence: &ReplayEvidence, level: SecurityLevel) -> Verdict {
    match evidence.score() {
        Some(score) if score > level.threshold() => Verdict::Success,
        Some(_) => Verdict::Spoof(evidence.reason(level.threshold())),
        None => {
            let failures: Vec<FailedReason> =
                tracked.key_frames.iter().filter_map(|key_frame| failure(&key_frame.shown)).collect();
            Verdict::Failed(most_frequent(&failures))
        }
    }
}

/// Reason why the frames that vote cannot be judged; `None` where enough of them can.
pub(super) fn outvoted<'a>(votes: impl Iterator<Item = &'a ExaminedPicture>) -> Option<FailedReason> {
    let failures: Vec<FailedReason> = votes.filter_map(failure).collect();
    (failures.len() > MAX_FAILURES).then(|| most_frequent(&failures))
}

/// Reason why a frame cannot be judged.
fn failure(shown: &ExaminedPicture) -> Option<FailedReason> {
    match shown.faces.len() {
        0 => Some(FailedReason::FaceLost),
        1 => shown.rejection().map(reason_of),
        // Several faces in one frame alone.
        _ => Some(FailedReason::Framing),
    }
}

pub(super) fn reason_of(check: Check) -> FailedReason {
    match check {
        Check::FaceTooClose => FailedReason::TooClose,
        Check::FaceTooSmall => FailedReason::TooFar,
        Check::FaceCovered => FailedReason::Covered,
        Check::FaceExposure => FailedReason::Lighting,
        Check::FaceBlurred => FailedReason::Blurred,
        Check::FaceCropped | Check::FaceCloseToBorder | Check::FaceTurnedAway | Check::ImageSize => {
            FailedReason::Framing
        }
    }
}

fn most_frequent(failures: &[FailedReason]) -> FailedReason {
    let count = |reason: &FailedReason| failures.iter().filter(|other| *other == reason).count();
    failures.iter().max_by_key(|reason| count(reason)).copied().unwrap_or(FailedReason::FaceLost)
}
