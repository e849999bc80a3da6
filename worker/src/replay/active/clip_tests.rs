//! Challenges and clips of people, with the installed models.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use faceline_shared::job::examination::Direction::{self, Down, Left, Right, Up};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::challenges;
use image::RgbImage;
use image::imageops::FilterType;

use super::tests::{seed_for, sequences};
use super::{ActiveJudgement, Challenge, Deviation, Evidence, FlatMotion, FrameEvidence, judge};
use crate::inference::InferenceError;
use crate::picture::{Picture, PictureLimits, Source};
use crate::pipeline::attack::{Dice, Sheet, photograph_sheet};
use crate::pipeline::tests::{free_picture, pipeline};
use crate::pipeline::{FramedPicture, HeadAngles, HeadPose, Pipeline, Rotation};
use crate::replay::track::{Track, TrackedFace, TrackedFrame};
use crate::test_data::folder;

/// Frames a second.
const RATE: usize = 10;

/// A decoded clip with the face in it.
struct Clip {
    pictures: Vec<Picture>,
    track: Track,
}

fn picture(width: usize, height: usize, pixels: &[u8]) -> Picture {
    let mut ppm = format!("P6 {width} {height} 255\n").into_bytes();
    ppm.extend_from_slice(pixels);
    Source::open(&ppm, &PictureLimits::default()).unwrap().decode(u32::MAX).unwrap()
}

/// Decodes a video at [`RATE`] frames a second, at most 960 pixels wide or high. `filter` comes before.
fn decode(path: &Path, filter: &str) -> Vec<Picture> {
    let size = "scale='min(960,iw)':'min(960,ih)':force_original_aspect_ratio=decrease:force_divisible_by=2";
    let filters = format!("{filter}fps={RATE},{size}");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-vf", &filters, "-f", "image2pipe", "-c:v", "ppm", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = output.stdout.as_slice();
    let mut pictures = Vec::new();
    while !rest.is_empty() {
        let header: Vec<&[u8]> = rest.splitn(4, u8::is_ascii_whitespace).collect();
        let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<usize>().unwrap();
        let (width, height) = (number(header[1]), number(header[2]));
        let (pixels, next) = header[3][4..].split_at(3 * width * height);
        pictures.push(picture(width, height, pixels));
        rest = next;
    }
    pictures
}

impl Clip {
    fn new(pipeline: &mut Pipeline, pictures: Vec<Picture>) -> Self {
        let frames = pictures.iter().enumerate().map(|(number, picture)| {
            let face = face(pipeline, picture);
            let time = number as f32 / RATE as f32;
            TrackedFrame { number, time, face }
        });
        let track = Track { frames: frames.collect() };
        Self { pictures, track }
    }

    /// `None` if the data is missing.
    fn open(pipeline: &mut Pipeline, name: &str) -> Option<Self> {
        let path = folder("video")?.join(name);
        Some(Self::new(pipeline, decode(&path, "")))
    }

    fn evidence<'a>(&'a self, pipeline: &'a mut Pipeline) -> Measured<impl Evidence> {
        Measured::new(FrameEvidence::new(pipeline, &self.track, |n| &self.pictures[n]))
    }

    fn judge(
        &self,
        evidence: &mut impl Evidence,
        directions: &[Direction],
        level: SecurityLevel,
    ) -> ActiveJudgement {
        let challenge = Challenge { directions, events: &[], mirrored: true };
        judge(&self.track, &challenge, level, evidence).unwrap()
    }

    /// The sequences of up to four directions that the clip follows.
    fn followed(&self, evidence: &mut impl Evidence, level: SecurityLevel) -> Vec<Vec<Direction>> {
        let mut all: Vec<_> = (1..=4).flat_map(sequences).collect();
        all.retain(|directions| {
            matches!(self.judge(evidence, directions, level), ActiveJudgement::Followed { .. })
        });
        all
    }
}

/// Evidence that is measured once, for many challenges.
struct Measured<E> {
    evidence: E,
    angles: HashMap<usize, HeadAngles>,
    correlations: HashMap<(usize, usize), f32>,
}

impl<E: Evidence> Measured<E> {
    fn new(evidence: E) -> Self {
        Self { evidence, angles: HashMap::new(), correlations: HashMap::new() }
    }
}

impl<E: Evidence> Evidence for Measured<E> {
    fn angles(&mut self, frames: &[usize]) -> Result<Vec<HeadAngles>, InferenceError> {
        let new: Vec<usize> =
            frames.iter().copied().filter(|frame| !self.angles.contains_key(frame)).collect();
        self.angles.extend(new.iter().copied().zip(self.evidence.angles(&new)?));
        Ok(frames.iter().map(|frame| self.angles[frame]).collect())
    }

    fn warp_correlation(&mut self, one: usize, other: usize) -> Result<f32, InferenceError> {
        if let Some(&known) = self.correlations.get(&(one, other)) {
            return Ok(known);
        }
        let found = self.evidence.warp_correlation(one, other)?;
        self.correlations.insert((one, other), found);
        Ok(found)
    }
}

/// The largest face of a picture.
fn face(pipeline: &mut Pipeline, picture: &Picture) -> Option<TrackedFace> {
    let framed = FramedPicture::new(picture, Rotation::None);
    let context = &mut pipeline.context;
    let finder = pipeline.searcher.finder();
    let found = finder.whole(context, &framed).unwrap();
    let largest = found.into_iter().max_by(|a, b| a.eye_distance().total_cmp(&b.eye_distance()))?;
    let candidate = finder.refine(context, picture, &largest).unwrap();
    let landmarks = finder.average(context, picture, &candidate).unwrap();
    let pose = HeadPose::new(&landmarks.0);
    Some(TrackedFace { candidate, landmarks, pose, liveness: None, embedding: None })
}

fn note(text: &str) {
    // Past the capture of the test harness, so that it is seen.
    let _ = writeln!(std::io::stderr(), "{text}");
}

const LEVELS: [SecurityLevel; 3] = [SecurityLevel::Low, SecurityLevel::Medium, SecurityLevel::High];

/// The beginnings of a sequence.
fn beginnings(directions: &[Direction]) -> Vec<Vec<Direction>> {
    (1..=directions.len()).map(|length| directions[..length].to_vec()).collect()
}

#[test]
fn a_person_follows_the_sequence_that_the_clip_shows_and_no_other() {
    let mut pipeline = pipeline();
    let Some(clip) = Clip::open(&mut pipeline, "tran_live.mp4") else { return };
    let shown = [Right, Left, Down, Up];
    let mut evidence = clip.evidence(&mut pipeline);
    for level in LEVELS {
        assert_eq!(clip.followed(&mut evidence, level), beginnings(&shown), "{level:?}");
    }
    let seed = seed_for(&shown);
    let judgement = clip.judge(&mut evidence, &challenges(seed, 4), SecurityLevel::High);
    note(&format!("seed {seed}: {judgement:?}"));
    assert!(matches!(judgement, ActiveJudgement::Followed { score } if score > 0.75));
    let others = (0..).filter(|&seed| !shown.starts_with(&challenges(seed, 2))).take(50);
    for seed in others {
        let judgement = clip.judge(&mut evidence, &challenges(seed, 2), SecurityLevel::High);
        assert!(matches!(judgement, ActiveJudgement::NotFollowed(Deviation::WrongTurn(_))), "{seed}");
    }
}

/// A mirrored clip follows the mirrored sequence, as does the clip itself if its device says that it is not mirrored.
#[test]
fn a_mirrored_clip_turns_to_the_other_side() {
    let mut pipeline = pipeline();
    let Some(path) = folder("video/tran_live.mp4") else { return };
    let pictures = decode(&path, "hflip,");
    let clip = Clip::new(&mut pipeline, pictures);
    let mut evidence = clip.evidence(&mut pipeline);
    assert_eq!(clip.followed(&mut evidence, SecurityLevel::High), beginnings(&[Left, Right, Down, Up]));
}

#[test]
fn clips_follow_only_what_they_show() {
    let mut pipeline = pipeline();
    // The head's motion in the picture; small motion counts at some levels only.
    for (name, shown) in [
        ("lp_d12.mp4", &[Right, Left, Up, Right][..]),
        ("zubair_live.webm", &[Down, Left, Right]),
        ("tran_replay.mp4", &[Right, Left, Down, Up]),
        ("lia_driving3.mov", &[Left, Right, Left]),
        ("deepfake_pair_real.mp4", &[Right]),
        ("lp_d14.mp4", &[Down]),
        ("lp_d10.mp4", &[Up]),
        ("lp_d3.mp4", &[Right, Up, Right]),
        ("lp_d11.mp4", &[Up, Right, Up]),
        ("wolf_live.mp4", &[]),
        ("grid_talker.mp4", &[]),
        ("bioid_print.mp4", &[]),
    ] {
        let Some(clip) = Clip::open(&mut pipeline, name) else { return };
        let mut evidence = clip.evidence(&mut pipeline);
        for level in LEVELS {
            let followed = clip.followed(&mut evidence, level);
            let otherwise = clip.judge(&mut evidence, &[Up, Down], level);
            note(&format!("{name} {level:?}: {followed:?}, otherwise {otherwise:?}"));
            if ["wolf_live.mp4", "grid_talker.mp4"].contains(&name) {
                let missing = ActiveJudgement::NotFollowed(Deviation::Missing(0));
                assert_eq!(otherwise, missing, "{name}: a person who does not turn is no picture");
            }
            let longest = followed.last().cloned().unwrap_or_default();
            assert_eq!(followed, beginnings(&longest), "{name} {level:?}");
            let mut rest = shown.iter();
            assert!(longest.iter().all(|turn| rest.any(|shown| shown == turn)), "{name} {level:?}");
        }
    }
}

const WALL: [u8; 3] = [120, 130, 110];

/// A photograph on a sheet of paper before a camera: a hand holds it still, and then turns it to each direction and back.
fn held(photo: &RgbImage, directions: &[Direction], dice: &mut Dice) -> Vec<Picture> {
    let neutral = Sheet::flat();
    let mut sheets = vec![neutral; 8];
    for direction in directions {
        let [x, y] = match direction {
            Up => [0.0, 1.0],
            Down => [0.0, -1.0],
            Left => [-1.0, 0.0],
            Right => [1.0, 0.0],
        };
        let tilt = dice.between(15.0, 45.0);
        let arc = [0.0, dice.between(30.0, 120.0), -dice.between(30.0, 90.0)][dice.below(3)];
        let moved = dice.between(0.0, 0.12);
        let zoom = dice.between(0.75, 1.0);
        let turned = neutral.held([x * tilt, y * tilt], arc, [x * moved, -y * moved], zoom);
        for part in [0.2, 0.5, 0.8, 1.0, 1.0, 1.0, 1.0, 0.6, 0.3, 0.0, 0.0] {
            sheets.push(neutral.towards(&turned, part));
        }
    }
    let picture_of = |sheet: Sheet| {
        let seen = photograph_sheet(photo, &sheet, WALL, dice);
        picture(seen.width() as usize, seen.height() as usize, &seen)
    };
    sheets.into_iter().map(picture_of).collect()
}

#[test]
fn a_photograph_that_follows_the_sequence_is_flat() {
    let mut pipeline = pipeline();
    let mut dice = Dice::new(14);
    let mut flat = 0;
    let names = ["obama.jpg", "biden.jpg", "astronaut.png", "obama3.jpg"];
    let all = sequences(2);
    for (number, directions) in all.iter().enumerate() {
        let photo = image::load_from_memory(&free_picture(names[number % names.len()])).unwrap();
        let photo = photo.resize(480, 480, FilterType::CatmullRom).into_rgb8();
        let pictures = held(&photo, directions, &mut dice);
        let clip = Clip::new(&mut pipeline, pictures);
        let mut evidence = clip.evidence(&mut pipeline);
        let followed = clip.followed(&mut evidence, SecurityLevel::Low);
        assert!(followed.iter().all(|followed| followed.len() < 2), "{directions:?} {followed:?}");
        let judgement = clip.judge(&mut evidence, directions, SecurityLevel::Low);
        note(&format!("{directions:?} {judgement:?}"));
        flat += usize::from(matches!(judgement, ActiveJudgement::Flat(_)));
    }
    assert!(flat >= all.len() - 1, "{flat}");
}

#[test]
fn a_still_picture_is_recognised() {
    let mut pipeline = pipeline();
    let mut dice = Dice::new(3);
    let photo = image::load_from_memory(&free_picture("obama2.jpg")).unwrap();
    let photo = photo.resize(480, 480, FilterType::CatmullRom).into_rgb8();
    let neutral = Sheet::flat();
    let moved = neutral.held([0.0; 2], 0.0, [0.1, -0.05], 0.8);
    let pictures = (0..16).map(|number| {
        let seen =
            photograph_sheet(&photo, &neutral.towards(&moved, (number / 6) as f32 / 2.0), WALL, &mut dice);
        picture(seen.width() as usize, seen.height() as usize, &seen)
    });
    let clip = Clip::new(&mut pipeline, pictures.collect());
    let judgement = clip.judge(&mut clip.evidence(&mut pipeline), &[Left, Up], SecurityLevel::Low);
    assert_eq!(judgement, ActiveJudgement::Flat(FlatMotion::Still));
}
