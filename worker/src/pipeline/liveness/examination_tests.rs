//! Examinations of pictures of people, with the installed models.

use std::collections::BTreeMap;
use std::fs;

use bytes::Bytes;
use faceline_shared::face::Eyes;
use faceline_shared::job::Subject;
use faceline_shared::job::examination::{Check, Examination, ExaminedPicture as Shown};
use faceline_shared::liveness::SecurityLevel;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{ImageFormat, RgbImage, imageops};

use super::{Examined, ExaminingFault};
use crate::pipeline::tests::{
    covered, data, decode, encode, free_picture, leaned, pipeline, relit, wall, with_eyes_apart,
};

fn examine(live: &[&[u8]], photo: Option<&[u8]>) -> Result<Examined, ExaminingFault> {
    let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let asked = Examination {
        live: live.iter().map(|bytes| copied(bytes)).collect(),
        photo: photo.map(copied),
        liveness: true,
        challenge: Vec::new(),
    };
    pipeline().examine(&asked)
}

fn shown(picture: &[u8]) -> Shown {
    examine(&[picture], None).unwrap().live.remove(0).shown
}

fn shown_png(picture: &RgbImage) -> Shown {
    shown(&encode(picture, ImageFormat::Png))
}

fn checks(picture: &Shown) -> Vec<Check> {
    picture.findings.iter().map(|finding| finding.check).collect()
}

/// Largest distance between the eyes of two findings, over the eye distance.
fn apart(a: &Eyes, b: &Eyes) -> f32 {
    (a.x1 - b.x1).hypot(a.y1 - b.y1).max((a.x2 - b.x2).hypot(a.y2 - b.y2)) / b.distance()
}

#[test]
fn a_portrait_is_judged() {
    for name in ["obama.jpg", "biden.jpg", "astronaut.png"] {
        let picture = shown(&free_picture(name));
        assert_eq!((picture.rotated, picture.faces.len()), (0, 1), "{name}");
        assert_eq!(checks(&picture), [], "{name}");
        assert!(picture.quality > 0.7 && picture.quality < 1.0, "{name}: {}", picture.quality);
        let liveness = picture.faces[0].liveness.expect("a score");
        assert!(liveness > 0.0 && liveness <= 1.0, "{name}: {liveness}");
    }
}

#[test]
fn turned_pictures_have_the_eyes_of_the_upright_one() {
    let upright = decode(&free_picture("obama.jpg"));
    let expected = shown_png(&upright);
    for (picture, degrees) in [
        (imageops::rotate270(&upright), 90),
        (imageops::rotate180(&upright), 180),
        (imageops::rotate90(&upright), 270),
    ] {
        let found = shown_png(&picture);
        assert_eq!(found.rotated, degrees);
        let shift = apart(&found.faces[0].eyes, &expected.faces[0].eyes);
        assert!(shift < 0.05, "{degrees}: {shift}");
        let [turned, straight] = [&found, &expected].map(|picture| picture.faces[0].liveness.unwrap());
        assert!((turned - straight).abs() < 0.2, "{degrees}: {turned}, upright {straight}");
    }
}

#[test]
fn the_same_picture_twice_is_judged_twice_alike() {
    let bytes = free_picture("biden.jpg");
    let examined = examine(&[&bytes, &bytes], Some(&bytes)).unwrap();
    let [first, second] = examined.live.as_slice() else { panic!("{examined:?}") };
    assert_eq!(first.shown, second.shown);
    assert!(first.shown.faces[0].liveness.is_some());
    let photo = examined.photo.expect("the photo");
    assert_eq!(photo.shown.faces[0].liveness, None, "a photo is not alive");
    assert_eq!(photo.embedding, first.embedding);
}

#[test]
fn several_faces_are_listed_the_largest_first_and_not_judged() {
    let crowd = wall(900, 500, &[(80, 120, 240), (520, 120, 300)]);
    let examined = examine(&[&encode(&crowd, ImageFormat::Png)], None).unwrap().live.remove(0);
    let eyes: Vec<Eyes> = examined.shown.faces.iter().map(|face| face.eyes).collect();
    assert!(eyes.len() == 2 && eyes[0].x1 > 520.0 && eyes[0].distance() > eyes[1].distance(), "{eyes:?}");
    assert!(examined.shown.faces.iter().all(|face| face.liveness.is_none()));
    assert!(examined.embedding.is_none());

    let behind = wall(900, 500, &[(80, 120, 130), (520, 120, 300)]);
    assert_eq!(shown_png(&behind).faces.len(), 1, "a face of less than half the size does not count");
    let nobody = shown_png(&wall(300, 200, &[]));
    assert_eq!((nobody.faces.len(), nobody.quality, nobody.rotated), (0, 0.0, 0));
}

#[test]
fn a_ghost_on_a_document_is_no_second_face() {
    let live = free_picture("astronaut.png");
    let photo = |ghost: u32| {
        let document = wall(900, 500, &[(80, 120, ghost), (520, 120, 300)]);
        let document = encode(&document, ImageFormat::Png);
        examine(&[&live], Some(&document)).unwrap().photo.expect("the photo")
    };
    let with_ghost = photo(200);
    assert!(with_ghost.shown.faces.len() == 1 && with_ghost.embedding.is_some());
    assert_eq!(photo(280).shown.faces.len(), 2);
}

#[test]
fn a_bad_picture_is_named() {
    let good = free_picture("astronaut.png");
    let subject = |live: &[&[u8]], photo| examine(live, photo).unwrap_err().subject;
    assert_eq!(subject(&[b"nothing", &good], None), Subject::Live(0));
    assert_eq!(subject(&[&good, b"nothing"], None), Subject::Live(1));
    assert_eq!(subject(&[&good], Some(b"nothing")), Subject::Photo);
}

/// Describes the deviation if `check` does not find a picture's defect or if its face is judged nevertheless; `None` if
/// all is as expected.
fn unfound(check: Check, name: &str, picture: &RgbImage) -> Option<String> {
    let found = shown_png(picture);
    let [face] = found.faces.as_slice() else {
        return Some(format!("{name}, {check:?}: {} faces", found.faces.len()));
    };
    let scored = found.findings.iter().all(|finding| (0.0..1.0).contains(&finding.score));
    let ordered = found.findings.is_sorted_by_key(|finding| finding.check);
    let right = checks(&found).contains(&check) && scored && ordered && face.liveness.is_none();
    (!right).then(|| format!("{name}, {check:?}: {found:?}"))
}

/// The part of a picture in this rectangle, in eye distances from the middle between the eyes.
fn cut(picture: &RgbImage, eyes: &Eyes, [left, top, right, bottom]: [f32; 4]) -> RgbImage {
    let unit = eyes.distance();
    let middle = [(eyes.x1 + eyes.x2) / 2.0, (eyes.y1 + eyes.y2) / 2.0];
    let inside = |value: f32, most: u32| (value.max(0.0) as u32).min(most);
    let (x, y) =
        (inside(middle[0] + left * unit, picture.width()), inside(middle[1] + top * unit, picture.height()));
    let right = inside(middle[0] + right * unit, picture.width());
    let bottom = inside(middle[1] + bottom * unit, picture.height());
    imageops::crop_imm(picture, x, y, right - x, bottom - y).to_image()
}

#[test]
fn portraits_made_worse_are_found_wanting() {
    const FAR: f32 = 9.0;
    let mut wrong = Vec::new();
    for name in ["obama.jpg", "biden.jpg", "astronaut.png"] {
        let sharp = with_eyes_apart(name, 64.0);
        let eyes = &shown_png(&sharp).faces[0].eyes;
        let mut room = wall(400, 300, &[]);
        imageops::replace(&mut room, &with_eyes_apart(name, 12.0), 100, 60);
        let cropped = [1.1, 0.95, 0.8].map(|bottom| cut(&sharp, eyes, [-FAR, -FAR, FAR, bottom]));
        let dark = [0.35, 0.3, 0.25, 0.2].map(|part| relit(&sharp, |level| level * part));
        let pale = [0.3, 0.25, 0.2, 0.16].map(|part| relit(&sharp, |level| 128.0 + (level - 128.0) * part));
        let masked =
            [0.5, 0.35, 0.2, 0.1].map(|top| covered(&sharp, eyes, [-0.9, top, 0.9, 2.0], [190, 205, 220]));
        let glasses =
            [0.2, 0.3, 0.4, 0.5].map(|half| covered(&sharp, eyes, [-1.0, -half, 1.0, half], [4; 3]));
        // The pictures of a series become worse step by step. One of them has the finding before the face is not found
        // any more.
        let cases: [(Check, &[RgbImage]); 10] = [
            (Check::FaceCropped, &[cut(&sharp, eyes, [-0.45, -FAR, FAR, FAR])]),
            (Check::FaceCropped, &cropped),
            (Check::FaceTooClose, &[cut(&sharp, eyes, [-1.15, -1.2, 1.15, 2.2])]),
            (Check::FaceCloseToBorder, &[cut(&sharp, eyes, [-1.0, -FAR, FAR, FAR])]),
            (Check::FaceTooSmall, &[room]),
            (Check::FaceExposure, &dark),
            (Check::FaceExposure, &pale),
            (Check::FaceBlurred, &[imageops::fast_blur(&sharp, 4.0)]),
            (Check::FaceCovered, &glasses),
            (Check::FaceCovered, &masked),
        ];
        for (check, steps) in cases {
            let missed: Vec<_> = steps.iter().map_while(|step| unfound(check, name, step)).collect();
            if missed.len() == steps.len() {
                wrong.extend(missed);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_small_part_of_a_large_picture_is_too_small() {
    // Eyes 41 pixels apart are enough, but not in four thousand.
    let room = wall(4000, 3000, &[(2900, 1700, 220)]);
    let found = shown_png(&room);
    assert_eq!(checks(&found), [Check::ImageSize, Check::FaceTooSmall], "{found:?}");
}

#[test]
fn a_large_picture_is_judged_nevertheless() {
    let sized = |width: u32, height: u32| {
        let portrait = decode(&free_picture("obama.jpg"));
        let picture = imageops::resize(&portrait, width, height, FilterType::Triangle);
        let mut bytes = Vec::new();
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90)).unwrap();
        shown(&bytes)
    };
    let (width, height) = decode(&free_picture("obama.jpg")).dimensions();
    let scale = 1700.0 / width.min(height) as f32;
    let [wide, high] = [width, height].map(|side| (side as f32 * scale) as u32);
    let large = sized(wide, high);
    assert_eq!(checks(&large), [Check::ImageSize]);
    assert!(large.faces[0].liveness.is_some());
    assert_eq!(checks(&sized(1200 * width / width.max(height), 1200 * height / width.max(height))), []);
}

#[test]
fn a_leaning_head_is_not_turned_away() {
    let leaning = leaned(&with_eyes_apart("obama.jpg", 64.0), 15.0);
    assert!(!checks(&shown_png(&leaning)).contains(&Check::FaceTurnedAway));
}

/// Paths and categories of the pictures of `hard`, with the pictures.
fn hard() -> Option<Vec<(String, String, Vec<u8>)>> {
    let folder = data("hard")?;
    let index = fs::read_to_string(folder.join("index.csv")).unwrap();
    let rows = index.lines().skip(1).filter_map(|line| line.split_once(','));
    Some(
        rows.map(|(path, rest)| (path.to_owned(), rest.to_owned(), fs::read(folder.join(path)).unwrap()))
            .collect(),
    )
}

/// Counts the rejecting findings of each check.
fn count<'p>(pictures: impl Iterator<Item = &'p Shown>) -> BTreeMap<Check, usize> {
    let mut counts = BTreeMap::new();
    for check in pictures.flat_map(checks).filter(|check| check.rejects()) {
        *counts.entry(check).or_default() += 1;
    }
    counts
}

#[test]
fn heads_turned_away_and_masks_are_found_and_ordinary_pictures_are_judged() {
    let Some(pictures) = hard() else { return };
    let of = |category: &str| -> Vec<Shown> {
        let chosen = pictures.iter().filter(|(_, rest, _)| rest.starts_with(category));
        chosen.map(|(_, _, bytes)| shown(bytes)).filter(|picture| picture.faces.len() == 1).collect()
    };
    for side in ["left_face", "right_face"] {
        let turned = of(&format!("profile or pose: {side}"));
        assert!(checks(&turned[0]).contains(&Check::FaceTurnedAway), "{side}: {:?}", turned[0].findings);
    }
    let mut masks = of("face mask");
    masks.extend(of("\"medical mask"));
    let found = masks.iter().filter(|picture| checks(picture).contains(&Check::FaceCovered)).count();
    assert!(found * 2 > masks.len(), "{found} of {}", masks.len());
    let ordinary = of("ordinary");
    assert!(ordinary.len() > 15, "{}", ordinary.len());
    // One of them is cut out close to the face.
    let mut false_findings = count(ordinary.iter());
    assert_eq!(false_findings.remove(&Check::FaceTooClose), Some(1));
    assert!(false_findings.is_empty(), "{false_findings:?}");
}

#[test]
fn good_faces_are_not_found_wanting() {
    const PICTURES: usize = 200;
    let Some(folder) = data("lfw") else { return };
    let mut people: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    people.sort();
    let pictures: Vec<Shown> = (0..PICTURES)
        .map(|index| {
            let person = &people[index * people.len() / PICTURES];
            let picture = fs::read_dir(person).unwrap().next().unwrap().unwrap().path();
            shown(&fs::read(picture).unwrap())
        })
        .collect();
    let counts = count(pictures.iter());
    assert!(counts.values().all(|&found| found * 50 <= PICTURES), "{counts:?}");
}

#[test]
fn attacks_are_told_from_people() {
    for (set, step, most_bpcer) in [("nuaa", 3, 0.02), ("casia", 7, 0.12)] {
        let Some(folder) = data(set) else { continue };
        let index = fs::read_to_string(folder.join("index.csv")).unwrap();
        let (mut live, mut attacks) = (Vec::new(), Vec::new());
        for (path, rest) in index.lines().skip(1).step_by(step).filter_map(|line| line.split_once(',')) {
            let picture = shown(&fs::read(folder.join(path)).unwrap());
            let Some(score) = picture.faces.first().and_then(|face| face.liveness) else { continue };
            if rest.starts_with("live") { live.push(score) } else { attacks.push(score) }
        }
        let threshold = SecurityLevel::Medium.threshold();
        let part = |scores: &[f32], wrong: &dyn Fn(f32) -> bool| {
            scores.iter().filter(|&&score| wrong(score)).count() as f32 / scores.len() as f32
        };
        assert!(live.len() > 30 && attacks.len() > 30, "{set}: {} {}", live.len(), attacks.len());
        let bpcer = part(&live, &|score| score <= threshold);
        let apcer = part(&attacks, &|score| score > threshold);
        assert!(bpcer <= most_bpcer && apcer <= 0.08, "{set}: BPCER {bpcer}, APCER {apcer}");
    }
}
