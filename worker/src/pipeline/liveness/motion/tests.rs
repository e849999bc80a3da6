//! Motion between pictures of people, with the installed models.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use faceline_shared::job::examination::{Direction, Motion};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::testkit::Pooled;
use image::imageops::{self, FilterType};
use image::{RgbImage, imageops::flip_horizontal as mirrored};

use super::attack::{Attack, Dice, compressed, photograph};
use super::{Still, judge};
use crate::picture::{Picture, PictureLimits, Source};
use crate::pipeline::Pipeline;
use crate::pipeline::geometry::{FramedPicture, HeadPose, Rotation};
use crate::pipeline::search::Candidate;
use crate::pipeline::tests::{data, free_picture, pipeline};

/// Yaw and pitch beyond which a head counts as turned away, and its motion is not judged.
const TURNED_AWAY_DEGREES: [f32; 2] = [35.0, 30.0];

const WALL: [u8; 3] = [120, 130, 110];

/// Finds faces and judges their motion.
struct Judge {
    pipeline: Pooled<Pipeline>,
}

impl Judge {
    fn sit() -> Self {
        Self { pipeline: pipeline() }
    }

    /// The largest face; `None` where there is none, or it is turned away.
    fn face(&mut self, image: &RgbImage) -> Option<(Picture, Candidate)> {
        let mut ppm = format!("P6 {} {} 255\n", image.width(), image.height()).into_bytes();
        ppm.extend_from_slice(image);
        let picture = Source::open(&ppm, &PictureLimits::default()).unwrap().decode(1000).unwrap();
        let framed = FramedPicture::new(&picture, Rotation::None);
        let Pipeline { searcher, context, .. } = &mut *self.pipeline;
        let found = searcher.finder().whole(context, &framed).unwrap();
        let largest = found.into_iter().max_by(|a, b| a.eye_distance().total_cmp(&b.eye_distance()))?;
        let refined = searcher.finder().refine(context, &picture, &largest).unwrap();
        let pose = HeadPose::new(&refined.landmarks.0);
        let is_frontal = pose.yaw.abs() < TURNED_AWAY_DEGREES[0] && pose.pitch.abs() < TURNED_AWAY_DEGREES[1];
        is_frontal.then_some((picture, refined))
    }

    /// The degrees by which a head turns to the right and downwards, by its pose in both pictures.
    fn pose_change(&mut self, before: &RgbImage, after: &RgbImage) -> Option<[f32; 2]> {
        let [(_, one), (_, other)] = [self.face(before)?, self.face(after)?];
        let [one, other] = [one, other].map(|candidate| HeadPose::new(&candidate.landmarks.0));
        Some([other.yaw - one.yaw, one.pitch - other.pitch])
    }

    fn motion(&mut self, before: &RgbImage, after: &RgbImage, challenge: &[Direction]) -> Option<Motion> {
        let [one, other] = [self.face(before)?, self.face(after)?];
        let [one, other] = [&one, &other].map(|(picture, candidate)| Still { picture, candidate });
        let Pipeline { searcher, context, .. } = &mut *self.pipeline;
        let motion = judge(searcher.finder(), context, [&one, &other], challenge).unwrap();
        assert!(motion.score > 0.0 && motion.score <= 1.0, "{motion:?}");
        Some(motion)
    }
}

/// Number of scores, and how many of them are above each level.
#[derive(Default)]
struct Tally {
    count: usize,
    accepted: [usize; 3],
}

impl Tally {
    fn add(&mut self, motion: Motion) {
        self.count += 1;
        let levels = [SecurityLevel::Low, SecurityLevel::Medium, SecurityLevel::High];
        for (accepted, level) in self.accepted.iter_mut().zip(levels) {
            *accepted += usize::from(motion.score > level.threshold());
        }
    }

    /// The share of scores above the usual level.
    fn share(&self) -> f32 {
        self.accepted[1] as f32 / self.count as f32
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, medium, high] = self.accepted.map(|accepted| accepted as f32 / self.count as f32 * 100.0);
        write!(f, "of {}: LOW {low:.1} %, MEDIUM {medium:.1} %, HIGH {high:.1} %", self.count)
    }
}

fn open(path: &Path) -> RgbImage {
    image::open(path).unwrap().into_rgb8()
}

fn portrait(name: &str) -> RgbImage {
    let picture = image::load_from_memory(&free_picture(name)).unwrap();
    picture.resize(480, 480, FilterType::CatmullRom).into_rgb8()
}

#[test]
fn portraits_on_paper_do_not_turn_the_head() {
    let mut judge = Judge::sit();
    let mut dice = Dice::new(6);
    let mut tally = Tally::default();
    for name in ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"] {
        let portrait = portrait(name);
        for attack in Attack::ALL {
            for before in [portrait.clone(), photograph(&portrait, attack, WALL, &mut dice)] {
                let after = photograph(&portrait, attack, WALL, &mut dice);
                let Some(motion) = judge.motion(&before, &after, &[]) else { continue };
                tally.add(motion);
                assert!(motion.score < 0.5, "{name} {attack:?}: {motion:?}");
            }
        }
    }
    assert!(tally.count > 40, "{tally}");
}

#[test]
fn the_same_picture_twice_does_not_turn_the_head() {
    let mut judge = Judge::sit();
    for name in ["obama.jpg", "biden.jpg", "astronaut.png"] {
        let picture = portrait(name);
        let (width, height) = picture.dimensions();
        let cropped = imageops::crop_imm(&picture, width / 10, 0, width * 8 / 10, height * 9 / 10).to_image();
        let smaller = imageops::resize(&picture, width * 2 / 3, height * 2 / 3, FilterType::Triangle);
        for (how, other) in [
            ("identical", picture.clone()),
            ("compressed", compressed(&picture, 50)),
            ("cropped", cropped),
            ("smaller", smaller),
            ("mirrored", mirrored(&picture)),
        ] {
            let motion = judge.motion(&picture, &other, &[]).unwrap();
            assert!(motion.score < 0.5, "{name}, {how}: {motion:?}");
            if how != "mirrored" {
                assert_eq!(motion.direction, None, "{name}, {how}: {motion:?}");
            }
        }
    }
}

#[test]
fn pictures_of_another_day_are_no_turn() {
    let mut judge = Judge::sit();
    for (one, other) in [("obama.jpg", "obama2.jpg"), ("obama3.jpg", "obama.jpg")] {
        let motion = judge.motion(&portrait(one), &portrait(other), &[]).unwrap();
        assert!(motion.score < 0.5, "{one} {other}: {motion:?}");
    }
}

/// Pictures of a folder in an order that does not change.
fn pictures(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "jpg"));
    paths.sort();
    paths
}

#[test]
fn attacks_with_other_peoples_pictures_are_rejected() {
    let (Some(lfw), Some(nuaa)) = (data("lfw"), data("nuaa/bonafide")) else { return };
    let mut judge = Judge::sit();
    let mut dice = Dice::new(300);
    let (people, webcam) = (pictures(&lfw), pictures(&nuaa));
    let mut tallies = HashMap::new();
    let mut all = Tally::default();
    for attack in Attack::ALL.iter().cycle().copied() {
        if all.count == 150 {
            break;
        }
        let path = match dice.below(3) {
            0 => webcam[dice.below(webcam.len())].clone(),
            _ => pictures(&people[dice.below(people.len())]).swap_remove(0),
        };
        let photo = open(&path);
        let first = [Attack::Moved, attack][dice.below(2)];
        let before = photograph(&photo, first, WALL, &mut dice);
        let after = photograph(&photo, attack, WALL, &mut dice);
        let Some(motion) = judge.motion(&before, &after, &[]) else { continue };
        all.add(motion);
        tallies.entry(attack).or_insert_with(Tally::default).add(motion);
    }
    for (attack, tally) in tallies {
        println!("{attack:?} {tally}");
        assert!(tally.share() <= 0.1, "{attack:?} {tally}");
    }
    println!("all {all}");
    assert!(all.share() <= 0.05, "{all}");
}

/// The part of a file's name before its last underscore: the recording that it is a frame of.
fn recording(path: &Path) -> String {
    path.to_string_lossy().rsplit_once('_').map(|(recording, _)| recording.to_owned()).unwrap_or_default()
}

#[test]
fn prints_held_and_bent_before_a_webcam_are_rejected() {
    let Some(prints) = data("nuaa/print") else { return };
    let mut judge = Judge::sit();
    let mut tally = Tally::default();
    let prints = pictures(&prints);
    for [before, after] in prints.array_windows() {
        if recording(before) == recording(after)
            && let Some(motion) = judge.motion(&open(before), &open(after), &[])
        {
            tally.add(motion);
        }
    }
    println!("prints {tally}");
    assert!(tally.count > 90 && tally.share() <= 0.05, "{tally}");
}

#[test]
fn two_pictures_of_one_person_from_different_days_are_mostly_rejected() {
    let Some(lfw) = data("lfw") else { return };
    let mut judge = Judge::sit();
    let mut tally = Tally::default();
    let people = pictures(&lfw);
    let several = people.iter().map(|person| pictures(person)).filter(|own| own.len() > 1);
    for own in several.step_by(12) {
        if tally.count == 50 {
            break;
        }
        if let Some(motion) = judge.motion(&open(&own[0]), &open(&own[1]), &[]) {
            tally.add(motion);
        }
    }
    println!("unrelated {tally}");
    assert!(tally.count == 50 && tally.share() < 0.45, "{tally}");
}

/// Frames of a clip each quarter of a second, with their times.
fn frames(clip: &Path) -> Vec<(f32, RgbImage)> {
    let stream = Command::new("ffmpeg")
        .args(["-v", "error", "-threads", "1", "-i"])
        .arg(clip)
        .args(["-vf", "fps=4,scale='min(720,iw)':-2", "-f", "image2pipe", "-c:v", "ppm", "-"])
        .output();
    let Ok(output) = stream else {
        let _ = writeln!(std::io::stderr(), "skipped: there is no ffmpeg");
        return Vec::new();
    };
    let mut rest = &output.stdout[..];
    let mut frames = Vec::new();
    while let Some(head) = rest.strip_prefix(b"P6\n") {
        let mut lines = head.splitn(3, |&byte| byte == b'\n');
        let size = std::str::from_utf8(lines.next().unwrap()).unwrap();
        let (width, height) = size.split_once(' ').unwrap();
        let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
        let (pixels, next) = lines.nth(1).unwrap().split_at(width as usize * height as usize * 3);
        frames.push((frames.len() as f32 / 4.0, RgbImage::from_raw(width, height, pixels.to_vec()).unwrap()));
        rest = next;
    }
    frames
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Up => Direction::Down,
        Direction::Down => Direction::Up,
        Direction::Left => Direction::Right,
        Direction::Right => Direction::Left,
    }
}

/// The part of a motion to the right and down that goes in a direction.
fn along(direction: Direction, [right, down]: [f32; 2]) -> f32 {
    match direction {
        Direction::Up => -down,
        Direction::Down => down,
        Direction::Left => -right,
        Direction::Right => right,
    }
}

fn in_a_mirror(direction: Direction) -> Direction {
    match direction {
        Direction::Left | Direction::Right => opposite(direction),
        upright => upright,
    }
}

#[test]
fn heads_that_turn_are_accepted_and_follow_what_is_asked() {
    let Some(folder) = data("video") else { return };
    let mut judge = Judge::sit();
    let index = fs::read_to_string(folder.join("segments.csv")).unwrap();
    let (mut all, mut followed, mut strayed) = (Tally::default(), 0, 0);
    let mut asked_for: HashMap<Direction, usize> = HashMap::new();
    for line in index.lines().filter(|line| line.contains(",live,")) {
        let [clip, _, segments] = line.splitn(3, ',').collect::<Vec<_>>()[..] else { continue };
        let frames = frames(&folder.join(clip));
        let mut tally = Tally::default();
        let mut straight: Option<&RgbImage> = None;
        let words: Vec<&str> = segments.split_whitespace().collect();
        for segment in words.chunks_exact(2) {
            let Some((start, end)) = segment[1].split_once('-') else { continue };
            let (start, end): (f32, f32) = (start.parse().unwrap(), end.parse().unwrap());
            let within: Vec<&RgbImage> =
                frames.iter().filter(|(at, _)| (start..=end).contains(at)).map(|(_, frame)| frame).collect();
            let direction = match segment[0] {
                "up" => Direction::Up,
                "down" => Direction::Down,
                "left" => Direction::Left,
                "right" => Direction::Right,
                _ => {
                    straight = within.get(within.len() / 2).copied().or(straight);
                    continue;
                }
            };
            let Some(straight) = straight else { continue };
            for &turned in within.iter().step_by(within.len().div_ceil(4)) {
                // The labels are estimates: some heads were already turned when the segment began.
                if !judge.pose_change(straight, turned).is_some_and(|change| along(direction, change) > 8.0) {
                    continue;
                }
                let mirror = [mirrored(straight), mirrored(turned)];
                for (before, after, asked) in [
                    (straight, turned, direction),
                    (turned, straight, opposite(direction)),
                    (&mirror[0], &mirror[1], in_a_mirror(direction)),
                ] {
                    let motion = judge.motion(before, after, &[asked]).expect("both are frontal");
                    tally.add(motion);
                    all.add(motion);
                    followed += usize::from(motion.follows);
                    let towards = motion.direction.unwrap_or_default().to_radians();
                    strayed += usize::from(along(asked, [towards.cos(), -towards.sin()]) < 0.0);
                    *asked_for.entry(asked).or_default() += usize::from(motion.follows);
                }
            }
        }
        println!("{clip} {tally}");
    }
    if all.count == 0 {
        return;
    }
    println!("turns {all}; {followed} follow, {strayed} go the opposite way; {asked_for:?}");
    assert!(all.count > 60 && all.share() >= 0.9, "{all}");
    assert!(followed as f32 >= 0.9 * all.count as f32 && strayed == 0, "{followed} and {strayed} of {all}");
    assert_eq!(asked_for.len(), 4, "every direction was asked for");
}

#[test]
fn heads_that_do_not_turn_and_prints_on_film_are_rejected() {
    let Some(folder) = data("video") else { return };
    let mut judge = Judge::sit();
    let mut all = Tally::default();
    for clip in ["wolf_live.mp4", "wolf_replay.mp4", "bioid_print.mp4", "grid_talker.mp4"] {
        let frames = frames(&folder.join(clip));
        let mut tally = Tally::default();
        for (i, (_, before)) in frames.iter().enumerate() {
            for (_, after) in frames[i + 1..].iter().step_by(5) {
                if let Some(motion) = judge.motion(before, after, &[]) {
                    tally.add(motion);
                    all.add(motion);
                }
            }
        }
        println!("{clip} {tally}");
    }
    if all.count > 0 {
        assert!(all.count > 100 && all.share() <= 0.05, "{all}");
    }
}
