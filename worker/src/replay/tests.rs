//! Whole clips through the judgement: attacks that ffmpeg makes of free pictures, and clips of people where there are any.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, slice};

use bytes::Bytes;
use faceline_models::calibration::Calibration;
use faceline_shared::digest::sha256_hex;
use faceline_shared::job::replay::{FailedReason, SpoofReason, Verdict};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::LivenessType;
use image::ImageFormat;

use super::active::Challenge;
use super::{Asked, ClipAnswer, Judgement, examine, judge, judge_still, measure_clip, measure_frames};
use crate::matching::Comparator;
use crate::pipeline::tests::{data, decode, encode, free_picture, pipeline};
use crate::video::{Clip, DecodeLimits, Decoder, MemoryFile, SamplingPlan};

const PLAIN: Challenge<'static> = Challenge { directions: &[], events: &[], mirrored: false };

fn comparator() -> Comparator {
    let line = Calibration::parse("name = \"line\"\nknots = [[-1.0, 0.0], [1.0, -20.0]]").unwrap();
    Comparator::new(line, "A".into(), 1)
}

/// A decoder with time to spare: these tests run beside others that may take the whole machine.
pub(super) fn decoder() -> Decoder {
    Decoder::unconfined(DecodeLimits { time: Duration::from_secs(300), ..DecodeLimits::default() })
}

fn decoded(bytes: &[u8]) -> Clip {
    let file = MemoryFile::of(bytes).unwrap();
    decoder().decode(&file, &SamplingPlan::default()).unwrap()
}

/// Judges a clip that answers no challenge.
fn judged(clip: &Clip, level: SecurityLevel) -> Judgement {
    let asked = Asked { liveness: LivenessType::PassiveVideo, level, challenge: PLAIN };
    judge(&mut pipeline(), &comparator(), clip, &asked).unwrap()
}

/// Runs ffmpeg on pictures or clips, which its arguments name `{0}`, `{1}`, and returns the file that it writes.
fn made(inputs: &[Vec<u8>], arguments: &str, extension: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut line = arguments.to_owned();
    for (index, bytes) in inputs.iter().enumerate() {
        let path = folder.path().join(format!("input{index}"));
        fs::write(&path, bytes).unwrap();
        line = line.replace(&format!("{{{index}}}"), path.to_str().unwrap());
    }
    let output = folder.path().join(format!("output.{extension}"));
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(line.split_whitespace())
        .arg(&output)
        .output()
        .expect("ffmpeg is installed");
    assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
    fs::read(output).unwrap()
}

/// A clip that a filter makes of a picture in 4 s.
fn from_picture(name: &str, filter: &str, codec: &str, extension: &str) -> Vec<u8> {
    let arguments = format!("-loop 1 -framerate 25 -t 4 -i {{0}} -vf {filter} -pix_fmt yuv420p -c:v {codec}");
    made(&[free_picture(name)], &arguments, extension)
}

/// The picture as a sheet that somebody holds, moves and tilts: its corners move in their own ways.
const HELD: &str = "scale=540:720,perspective=sense=destination:eval=frame:x0='60+25*sin(on/14)':y0='50+20*cos(on/11)'\
                    :x1='W-60+30*sin(on/17)':y1='60+18*sin(on/9)':x2='55+22*cos(on/13)':y2='H-50+15*sin(on/15)'\
                    :x3='W-50+20*sin(on/10)':y3='H-60+20*cos(on/16)'";

#[test]
fn photos_in_a_video_are_attacks() {
    let zoom = "scale=1080:1440,zoompan=z='1+0.2*on/100':x='iw*0.08*on/100':y='0':d=1:s=540x720:fps=25";
    let still = "scale=540:720";
    let noisy = "scale=540:720,noise=alls=10:allf=t";
    for (what, filter, codec, extension, reason) in [
        ("a still", still, "libx264", "mp4", SpoofReason::Still),
        ("a still of VP8", still, "libvpx", "webm", SpoofReason::Still),
        ("a noisy still", noisy, "libx264", "mp4", SpoofReason::Still),
        ("a zoom into a still", zoom, "libx264", "mp4", SpoofReason::FlatMotion),
        ("a photo moved by hand", HELD, "libx264", "mp4", SpoofReason::FlatMotion),
    ] {
        for name in ["obama.jpg", "biden.jpg"] {
            let clip = decoded(&from_picture(name, filter, codec, extension));
            let Judgement { verdict, scores, best_image } = judged(&clip, SecurityLevel::Low);
            assert_eq!(verdict, Verdict::Spoof(reason), "{what} {name}: {scores:?}");
            assert!(best_image.is_some());
        }
    }
}

#[test]
fn two_people_in_one_clip_are_an_attack() {
    let part = |name| from_picture(name, HELD, "libx264", "mp4");
    let join = "-i {0} -i {1} -filter_complex [0:v]trim=0:2,setpts=PTS-STARTPTS[a];[1:v]trim=0:2,setpts=PTS-STARTPTS[b];[a][b]concat -c:v libx264";
    let cut = made(&[part("obama.jpg"), part("biden.jpg")], join, "mp4");
    let verdict = judged(&decoded(&cut), SecurityLevel::Low).verdict;
    assert_eq!(verdict, Verdict::Spoof(SpoofReason::SecondPerson));
    let beside = "-i {0} -i {1} -filter_complex hstack -c:v libx264";
    let both = made(&[part("obama.jpg"), part("biden.jpg")], beside, "mp4");
    let verdict = judged(&decoded(&both), SecurityLevel::Low).verdict;
    assert_eq!(verdict, Verdict::Spoof(SpoofReason::SecondPerson));
    // The same person somewhere else.
    let other = from_picture("obama2.jpg", &format!("{HELD},hue=s=0.4"), "libx264", "mp4");
    let cut = made(&[part("obama.jpg"), other], join, "mp4");
    let verdict = judged(&decoded(&cut), SecurityLevel::Low).verdict;
    assert_eq!(verdict, Verdict::Spoof(SpoofReason::Cut));
}

#[test]
fn repeated_and_frozen_clips_are_attacks() {
    let moved = from_picture("obama.jpg", HELD, "libx264", "mp4");
    let looped = made(slice::from_ref(&moved), "-stream_loop 3 -i {0} -t 8 -c:v libvpx -b:v 900k", "webm");
    let verdict = judged(&decoded(&looped), SecurityLevel::Low).verdict;
    assert_eq!(verdict, Verdict::Spoof(SpoofReason::Loop));
    let frozen = "-i {0} -vf trim=0:2,setpts=PTS-STARTPTS,tpad=stop_mode=clone:stop_duration=2 -c:v libx264";
    let frozen = made(slice::from_ref(&moved), frozen, "mp4");
    let verdict = judged(&decoded(&frozen), SecurityLevel::Low).verdict;
    assert_eq!(verdict, Verdict::Spoof(SpoofReason::Frozen));
}

#[test]
fn clips_that_cannot_be_judged_fail_with_a_reason() {
    let held = |filter: &str| from_picture("obama.jpg", &format!("{HELD},{filter}"), "libx264", "mp4");
    let short = made(&[held("null")], "-i {0} -t 0.6 -c:v libx264", "mp4");
    for (what, clip, reason) in [
        ("no face", from_picture("coffee.png", "scale=600:400", "libx264", "mp4"), FailedReason::NoFace),
        ("too short", short, FailedReason::TooShort),
        ("too dark", held("eq=brightness=-0.42:contrast=0.5"), FailedReason::Lighting),
        ("too far", held("scale=110:146,pad=540:720:200:280:gray"), FailedReason::TooFar),
    ] {
        let Judgement { verdict, scores, .. } = judged(&decoded(&clip), SecurityLevel::High);
        assert_eq!(verdict, Verdict::Failed(reason), "{what}: {scores:?}");
    }
}

#[test]
fn the_best_image_is_a_picture_of_the_face() {
    let clip = decoded(&from_picture("obama.jpg", HELD, "libx264", "mp4"));
    let best = judged(&clip, SecurityLevel::High).best_image.expect("a face");
    assert_eq!(best.digest, sha256_hex(&best.jpeg));
    let options = crate::pipeline::CodingOptions {
        image_type: faceline_shared::face::ImageType::VideoFrame,
        rotate: false,
    };
    let coded = pipeline().code(&best.jpeg, options).unwrap().face.expect("the face");
    let apart = |a: f32, b: f32| (a - b).abs() / coded.eyes.distance();
    assert!(apart(coded.eyes.x1, best.face.eyes.x1) < 0.05 && apart(coded.eyes.y2, best.face.eyes.y2) < 0.05);
    let cosine = comparator().embedding(&coded.embedding).cosine(&best.face.embedding).unwrap();
    assert!(cosine > 0.9, "{cosine}");
    assert!((coded.quality - best.face.quality).abs() < 60, "{} {}", coded.quality, best.face.quality);
    assert!(best.time_ms < 4_000);
}

#[test]
fn a_clip_that_lies_on_its_side_has_an_upright_best_image() {
    let side = from_picture("obama.jpg", &format!("{HELD},transpose=1"), "libx264", "mp4");
    let best = judged(&decoded(&side), SecurityLevel::High).best_image.expect("a face");
    let picture = image::load_from_memory(&best.jpeg).unwrap();
    assert_eq!((picture.width(), picture.height()), (540, 720));
    assert!(best.face.eyes.x2 > best.face.eyes.x1 + 20.0, "{:?}", best.face.eyes);
    assert!((best.face.eyes.y1 - best.face.eyes.y2).abs() < 40.0, "{:?}", best.face.eyes);
}

#[test]
fn an_examined_video_shows_seven_frames_that_vote() {
    let clip = decoded(&from_picture("obama.jpg", HELD, "libx264", "mp4"));
    let examined = examine(&mut pipeline(), &clip, SecurityLevel::Medium).unwrap();
    let numbers: Vec<u32> = examined.frames.iter().map(|frame| frame.number).collect();
    assert!(numbers.len() == 7 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(examined.frames.iter().all(|frame| frame.picture.faces.len() == 1));
    assert!(examined.liveness.is_some_and(|score| score > 0.0 && score <= 1.0));
    assert_eq!(examined.verdict, Verdict::Spoof(SpoofReason::FlatMotion));
}

#[test]
fn a_still_is_judged_by_its_own_rule() {
    let judged = |file: &[u8], level| judge_still(&mut pipeline(), &comparator(), file, level).unwrap();
    let portrait = free_picture("biden.jpg");
    let good = judged(&portrait, SecurityLevel::Low);
    assert_eq!(good.verdict, Verdict::Success, "{:?}", good.scores);
    let best = good.best_image.expect("a face");
    assert_eq!(best.digest, sha256_hex(&best.jpeg));
    assert!(best.face.quality > 0);
    let coffee = judged(&free_picture("coffee.png"), SecurityLevel::Low);
    assert_eq!((coffee.verdict, coffee.best_image.is_none()), (Verdict::Failed(FailedReason::NoFace), true));
    let upright = decode(&portrait);
    let lying = judged(&encode(&image::imageops::rotate270(&upright), ImageFormat::Png), SecurityLevel::Low);
    let best = lying.best_image.expect("a face");
    let picture = decode(&best.jpeg);
    assert_eq!(picture.dimensions(), upright.dimensions());
    assert!(best.face.eyes.x2 > best.face.eyes.x1 + 40.0, "{:?}", best.face.eyes);
    assert!(judge_still(&mut pipeline(), &comparator(), b"no picture", SecurityLevel::Low).is_err());
}

/// Name and label of the clips of people.
fn clips(folder: &Path) -> Vec<(String, String)> {
    let index = fs::read_to_string(folder.join("index.csv")).unwrap();
    let rows = index.lines().skip(1).filter_map(|line| line.split_once(','));
    rows.map(|(name, rest)| (name.into(), rest.split(',').next().unwrap_or_default().into())).collect()
}

#[test]
fn living_people_pass_and_prints_and_replays_do_not() {
    let Some(folder) = data("video") else { return };
    let (mut living, mut accepted, mut missed) = (0, 0, Vec::new());
    for (name, label) in clips(&folder) {
        if name.ends_with(".gif") {
            continue;
        }
        let file = MemoryFile::of(&fs::read(folder.join(&name)).unwrap()).unwrap();
        let started = std::time::Instant::now();
        let clip = decoder()
            .decode(&file, &SamplingPlan::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let decoded_in = started.elapsed();
        let Judgement { verdict, scores, .. } = judged(&clip, SecurityLevel::High);
        let judged_in = started.elapsed() - decoded_in;
        println!(
            "{label:14} {name:26} {verdict:?} {:.3} logit {:.2} flat {:.3} moved {:.3} background {:.2} | {} frames decoded {decoded_in:.1?} judged {judged_in:.1?}",
            scores.liveness.unwrap_or(f32::NAN),
            scores.presentation.unwrap_or(f32::NAN),
            scores.flatness.unwrap_or(f32::NAN),
            scores.displacement.unwrap_or(f32::NAN),
            scores.background.unwrap_or(f32::NAN),
            clip.frames.len(),
        );
        match label.as_str() {
            "live" => {
                living += 1;
                accepted += usize::from(verdict == Verdict::Success);
            }
            "print" | "replay" if !matches!(verdict, Verdict::Spoof(_)) => missed.push(name),
            "no face" => assert_eq!(verdict, Verdict::Failed(FailedReason::NoFace)),
            _ => {}
        }
    }
    println!("{accepted} of {living} living people accepted");
    assert!(missed.is_empty(), "{missed:?}");
    assert!(accepted as f32 >= 0.8 * living as f32, "{accepted} of {living}");
}

#[test]
fn a_measured_clip_has_the_votes_and_the_answer_of_the_service() {
    let still = decoded(&from_picture("obama.jpg", "scale=540:720", "libx264", "mp4"));
    let found = measure_clip(&mut pipeline(), &still).unwrap();
    assert_eq!(found.answer, ClipAnswer::Attack(SpoofReason::Still));
    let clip = decoded(&from_picture("obama.jpg", HELD, "libx264", "mp4"));
    let found = measure_clip(&mut pipeline(), &clip).unwrap();
    let examined = examine(&mut pipeline(), &clip, SecurityLevel::Medium).unwrap();
    assert!(found.votes.iter().eq(examined.frames.iter().map(|frame| &frame.picture)), "{found:?}");
    assert_eq!(found.votes.len(), 7);
    match found.answer {
        ClipAnswer::Score(score) => assert_eq!(Some(score), examined.liveness),
        ClipAnswer::Attack(reason) => assert_eq!(Verdict::Spoof(reason), examined.verdict),
        ClipAnswer::NotJudged(reason) => assert_eq!(Verdict::Failed(reason), examined.verdict),
    }
}

#[test]
fn every_second_frame_of_fourteen_votes() {
    let [person, nobody] = ["obama.jpg", "coffee.png"].map(|name| Bytes::from(free_picture(name)));
    // The second, fourth … frame votes, so nobody is in all votes, or in none of them.
    let frames = |first: &Bytes, second: &Bytes| -> Vec<Bytes> {
        (0..7).flat_map(|_| [first.clone(), second.clone()]).collect()
    };
    let found = measure_frames(&mut pipeline(), &frames(&person, &nobody)).unwrap();
    assert_eq!((found.answer, found.votes.len()), (ClipAnswer::NotJudged(FailedReason::FaceLost), 7));
    let found = measure_frames(&mut pipeline(), &frames(&nobody, &person)).unwrap();
    let ClipAnswer::Score(score) = found.answer else { panic!("{found:?}") };
    assert!(score > SecurityLevel::High.threshold(), "a good portrait: {score}");
    let few = measure_frames(&mut pipeline(), &[person.clone(), person]).unwrap();
    assert_eq!(few.answer, ClipAnswer::NotJudged(FailedReason::TooShort));
}
