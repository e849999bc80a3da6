//! Challenges that heads follow, do not follow, or that pictures of heads pretend to follow.

use faceline_shared::job::examination::Direction::{self, Down, Left, Right, Up};
use faceline_shared::job::replay::ChallengeEvent;
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::challenges;

use super::synthetic::{Pose, Scene, Subject};
use super::{ActiveJudgement, Challenge, Deviation, FlatMotion, judge};
use crate::replay::track::Track;

const RIGHT: Pose = [30.0, 0.0, 0.0];
const LEFT: Pose = [-30.0, 0.0, 0.0];
const UP: Pose = [0.0, 25.0, 0.0];
const DOWN: Pose = [0.0, -25.0, 0.0];

fn pose(direction: Direction) -> Pose {
    match direction {
        Up => UP,
        Down => DOWN,
        Left => LEFT,
        Right => RIGHT,
    }
}

fn judged(scene: &Scene, directions: &[Direction]) -> ActiveJudgement {
    judged_at(scene, directions, &[], SecurityLevel::High)
}

fn judged_at(
    scene: &Scene,
    directions: &[Direction],
    shown: &[f32],
    level: SecurityLevel,
) -> ActiveJudgement {
    let event =
        |(challenge, &at): (u8, &f32)| ChallengeEvent { challenge, shown_at_ms: (at * 1000.0) as u64 };
    let events: Vec<ChallengeEvent> = (0..).zip(shown).map(event).collect();
    let challenge = Challenge { directions, events: &events, mirrored: true };
    judge(&scene.track(), &challenge, level, &mut scene.evidence()).unwrap()
}

fn is_followed(judgement: ActiveJudgement) -> bool {
    matches!(judgement, ActiveJudgement::Followed { .. })
}

/// The smallest seed whose challenges are these.
pub(super) fn seed_for(directions: &[Direction]) -> u32 {
    (0..).find(|&seed| challenges(seed, directions.len()) == directions).expect("a seed for each sequence")
}

/// All sequences of a length in which no direction follows itself.
pub(super) fn sequences(length: usize) -> Vec<Vec<Direction>> {
    (0..length).fold(vec![Vec::new()], |shorter, _| {
        let longer = |sequence: Vec<Direction>| {
            let last = sequence.last().copied();
            [Up, Down, Left, Right].into_iter().filter(move |&next| Some(next) != last).map(move |next| {
                let mut sequence = sequence.clone();
                sequence.push(next);
                sequence
            })
        };
        shorter.into_iter().flat_map(longer).collect()
    })
}

#[test]
fn a_head_follows_its_sequence_and_no_other() {
    assert_eq!(sequences(3).len(), 36);
    assert_eq!(challenges(seed_for(&[Up, Right, Down]), 3), [Up, Right, Down]);
    for shown in sequences(3) {
        let poses: Vec<Pose> = shown.iter().map(|&direction| pose(direction)).collect();
        let scene = Scene::turning(&poses);
        for asked in sequences(3).into_iter().chain(sequences(2)) {
            let judgement = judged(&scene, &asked);
            assert_eq!(
                is_followed(judgement),
                shown.starts_with(&asked),
                "{shown:?} {asked:?} {judgement:?}"
            );
        }
    }
}

#[test]
fn what_follows_the_last_challenge_does_not_matter_and_what_precedes_it_does() {
    let scene = Scene::turning(&[LEFT, UP, DOWN, RIGHT]);
    assert!(is_followed(judged(&scene, &[Left, Up])));
    assert_eq!(judged(&scene, &[Left, Down]), ActiveJudgement::NotFollowed(Deviation::WrongTurn(1)));
    assert_eq!(judged(&scene, &[Up, Down]), ActiveJudgement::NotFollowed(Deviation::WrongTurn(0)));
    let short = Scene::turning(&[LEFT]);
    assert_eq!(judged(&short, &[Left, Up]), ActiveJudgement::NotFollowed(Deviation::Missing(1)));
}

#[test]
fn the_head_may_turn_on_without_a_neutral_pose_between_and_stop_at_the_last_challenge() {
    let scene = Scene::new(Subject::Head).go(LEFT).wait(0.4).go(UP).wait(0.4).go(RIGHT).wait(0.2);
    assert!(is_followed(judged(&scene, &[Left, Up, Right])));
    assert!(!is_followed(judged(&scene, &[Left, Right])));
}

#[test]
fn a_small_motion_is_no_turn_and_a_level_asks_for_its_size() {
    let scene = Scene::turning(&[LEFT, [0.0, -8.0, 0.0], [7.0, 0.0, 0.0], UP]);
    assert!(is_followed(judged(&scene, &[Left, Up])));
    assert!(!is_followed(judged(&scene, &[Left, Down])));
    let little = Scene::turning(&[[-14.0, 0.0, 0.0], RIGHT]);
    let at = |level| is_followed(judged_at(&little, &[Left, Right], &[], level));
    assert!(at(SecurityLevel::Low) && !at(SecurityLevel::High));
}

#[test]
fn a_turn_between_two_directions_is_neither() {
    for slanting in [[25.0, 22.0, 0.0], [-22.0, 25.0, 0.0], [-24.0, -24.0, 0.0]] {
        let scene = Scene::turning(&[slanting, LEFT]);
        for asked in sequences(2) {
            let judgement = judged(&scene, &asked);
            assert_eq!(judgement, ActiveJudgement::NotFollowed(Deviation::WrongTurn(0)), "{asked:?}");
        }
    }
    // Somewhat inclined, and with a head that leans.
    let scene = Scene::turning(&[[-30.0, 12.0, 10.0], [8.0, 25.0, 0.0]]);
    assert!(is_followed(judged(&scene, &[Left, Up])));
}

#[test]
fn a_turn_may_be_repeated() {
    assert!(is_followed(judged(&Scene::turning(&[LEFT, LEFT, UP]), &[Left, Up])));
}

#[test]
fn each_turn_has_its_time() {
    let late = Scene::new(Subject::Head).turn(LEFT).wait(11.0).turn(UP);
    assert_eq!(judged(&late, &[Left, Up]), ActiveJudgement::NotFollowed(Deviation::Untimely(1)));
    let late = Scene::new(Subject::Head).wait(10.0).turn(LEFT).turn(UP);
    assert_eq!(judged(&late, &[Left, Up]), ActiveJudgement::NotFollowed(Deviation::Untimely(0)));
    let shown = |times: &[f32]| judged_at(&late, &[Left, Up], times, SecurityLevel::High);
    assert!(is_followed(shown(&[11.0, 13.0])), "a device that shows the challenge late waits for it");
}

#[test]
fn turns_must_answer_what_the_device_showed() {
    let mut scene = Scene::new(Subject::Head).wait(1.0);
    let left = scene.seconds();
    scene = scene.turn(LEFT).wait(2.0);
    let up = scene.seconds();
    scene = scene.turn(UP);
    let at = |times: &[f32]| judged_at(&scene, &[Left, Up], times, SecurityLevel::High);
    assert!(is_followed(at(&[left - 0.5, up - 0.5])));
    assert!(is_followed(at(&[left, up - 2.0])));
    let untimely = |number| ActiveJudgement::NotFollowed(Deviation::Untimely(number));
    assert_eq!(at(&[left - 1.0, up + 1.5]), untimely(1), "before it was shown");
    assert_eq!(at(&[0.0, left - 1.5]), untimely(0), "when the next one was shown long ago");
    let wrong = ActiveJudgement::NotFollowed(Deviation::WrongTurn(0));
    assert_eq!(at(&[left + 1.5, up]), wrong, "the first turn is no answer, the second one a wrong one");
    for times in [&[left][..], &[up, left], &[left, 60.0], &[left, up, up]] {
        assert_eq!(at(times), ActiveJudgement::NotFollowed(Deviation::Events), "{times:?}");
    }
    // The head's motion before the first challenge does not matter.
    let mut scene = Scene::turning(&[DOWN]);
    let asked = scene.seconds();
    scene = scene.turn(LEFT);
    assert!(is_followed(judged_at(&scene, &[Left], &[asked], SecurityLevel::High)));
    assert!(!is_followed(judged(&scene, &[Left])));
}

#[test]
fn the_persons_own_left_is_the_right_of_an_unmirrored_frame() {
    let scene = Scene::turning(&[RIGHT, UP]);
    let judged = |directions: &[Direction], mirrored| {
        let challenge = Challenge { directions, events: &[], mirrored };
        is_followed(judge(&scene.track(), &challenge, SecurityLevel::High, &mut scene.evidence()).unwrap())
    };
    assert!(judged(&[Right, Up], true) && !judged(&[Left, Up], true));
    assert!(judged(&[Left, Up], false) && !judged(&[Right, Up], false));
}

#[test]
fn a_face_that_hides_for_a_moment_is_no_obstacle_and_for_long_it_is() {
    let hidden = |seconds| Scene::new(Subject::Head).turn(LEFT).go(DOWN).hide(seconds).wait(0.5).turn(UP);
    assert!(is_followed(judged(&hidden(1.0), &[Left, Down, Up])));
    let lost = ActiveJudgement::NotFollowed(Deviation::FaceLost);
    assert_eq!(judged(&hidden(3.0), &[Left, Down, Up]), lost);
    assert!(is_followed(judged(&hidden(3.0), &[Left, Down])), "it is lost after the last challenge");
}

#[test]
fn a_head_that_never_faces_the_camera_follows_nothing() {
    let scene = Scene::new(Subject::Head).go([40.0, 0.0, 0.0]).wait(3.0).go([80.0, 0.0, 0.0]);
    let frames = scene.track().frames.split_off(20);
    let challenge = Challenge { directions: &[Right], events: &[], mirrored: true };
    let judgement = judge(&Track { frames }, &challenge, SecurityLevel::Low, &mut scene.evidence()).unwrap();
    assert_eq!(judgement, ActiveJudgement::NotFollowed(Deviation::NoNeutralPose));
}

#[test]
fn a_sheet_that_follows_the_sequence_is_flat() {
    for poses in [[LEFT, UP], [RIGHT, DOWN], [UP, LEFT], [[-45.0, 0.0, 10.0], [0.0, 40.0, -8.0]]] {
        let scene = poses.iter().fold(Scene::new(Subject::Sheet), |scene, &pose| scene.turn(pose));
        for asked in sequences(2) {
            assert_eq!(
                judged(&scene, &asked),
                ActiveJudgement::Flat(FlatMotion::WarpedPhoto),
                "{poses:?} {asked:?}"
            );
        }
    }
}

#[test]
fn a_picture_that_nobody_moves_is_still() {
    let scene = Scene::new(Subject::Sheet).wait(3.0).turn([0.0, 0.0, 12.0]);
    assert_eq!(judged(&scene, &[Left, Up]), ActiveJudgement::Flat(FlatMotion::Still));
    let alive = Scene::new(Subject::Head).wait(3.0);
    assert_eq!(judged(&alive, &[Left, Up]), ActiveJudgement::NotFollowed(Deviation::Missing(0)));
}

#[test]
fn an_empty_clip_follows_nothing() {
    let challenge = Challenge { directions: &[Left], events: &[], mirrored: true };
    for track in [Scene::new(Subject::Head).hide(0.0), Scene::new(Subject::Head)] {
        let mut frames = track.track();
        frames.frames.truncate(3);
        let judgement = judge(&frames, &challenge, SecurityLevel::Low, &mut track.evidence()).unwrap();
        assert_eq!(judgement, ActiveJudgement::NotFollowed(Deviation::NoNeutralPose));
    }
    let turning = Scene::turning(&[LEFT]);
    assert_eq!(judged(&turning, &[]), ActiveJudgement::NotFollowed(Deviation::Missing(0)));
    let none = Track::default();
    let mut evidence = Scene::new(Subject::Head).evidence();
    let judgement = judge(&none, &challenge, SecurityLevel::Low, &mut evidence).unwrap();
    assert_eq!(judgement, ActiveJudgement::NotFollowed(Deviation::NoNeutralPose));
}
