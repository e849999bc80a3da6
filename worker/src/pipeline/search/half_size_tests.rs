//! Large faces that are found at half the detector's size, and what is left to the full one.

use image::{ImageFormat, RgbImage, imageops};

use super::candidate::Candidate;
use super::choice::Choice;
use super::evidence::is_clear;
use crate::picture::{PictureLimits, Source};
use crate::pipeline::geometry::{FramedPicture, Rotation};
use crate::pipeline::tests::{decode, encode, free_picture, pipeline, wall};

const PORTRAITS: [&str; 2] = ["obama.jpg", "obama2.jpg"];

/// The face that half the detector's size shows, and all that the full size shows.
fn both(bytes: &[u8], choice: Choice) -> (Option<Candidate>, Vec<Candidate>) {
    let picture = Source::open(bytes, &PictureLimits::default()).unwrap().decode(1000).unwrap();
    let framed = FramedPicture::new(&picture, Rotation::None);
    let pipeline = &mut *pipeline();
    let half_size_face =
        pipeline.searcher.finder.at_half_size(&mut pipeline.context, &framed, choice).unwrap();
    (half_size_face, pipeline.searcher.search(&mut pipeline.context, &framed, choice).unwrap())
}

fn bmp(picture: &RgbImage) -> Vec<u8> {
    encode(picture, ImageFormat::Bmp)
}

#[test]
fn half_the_size_shows_a_large_face_where_the_full_size_does() {
    for name in PORTRAITS {
        for choice in [Choice::Only, Choice::Largest, Choice::Central] {
            let (half_size_face, found) = both(&free_picture(name), choice);
            let half_size_face = half_size_face.unwrap_or_else(|| panic!("{name}: not found for {choice:?}"));
            let area = half_size_face.detection.area;
            let overlap = area.intersection_over_union(&found[0].detection.area);
            assert!(overlap > 0.75, "{name}: {overlap}");
            let apart = |eye: usize| {
                let [one, other] = [&half_size_face, &found[0]].map(|face| face.landmarks.eyes()[eye]);
                (one[0] - other[0]).hypot(one[1] - other[1]) / half_size_face.eye_distance()
            };
            assert!(apart(0) < 0.06 && apart(1) < 0.06, "{name}: {} {}", apart(0), apart(1));
            assert!(is_clear(&half_size_face));
        }
    }
}

#[test]
fn the_full_size_is_left_what_half_the_size_may_overlook() {
    // Another face that counts; a face that is too small for others of its size to be seen.
    let alike = bmp(&wall(900, 500, &[(80, 120, 240), (520, 120, 300)]));
    let small = bmp(&wall(1000, 750, &[(400, 300, 250)]));
    for picture in [&alike, &small] {
        let (half_size_face, found) = both(picture, Choice::Only);
        assert!(half_size_face.is_none() && !found.is_empty());
    }
    // Liveness is judged by boxes of the full size.
    let portrait = free_picture("obama.jpg");
    assert!(both(&portrait, Choice::All(0.5)).0.is_none());
    // No face.
    let chessboard = RgbImage::from_fn(320, 240, |x, y| {
        image::Rgb([if (x / 20 + y / 20) % 2 == 0 { 230 } else { 20 }; 3])
    });
    assert!(both(&bmp(&chessboard), Choice::Largest).0.is_none());
    // Upside down, a face is not clear.
    let turned = imageops::rotate180(&decode(&portrait));
    assert!(both(&bmp(&turned), Choice::Only).0.is_none());
}

#[test]
fn a_smaller_face_that_does_not_count_is_no_obstacle() {
    let ghost = bmp(&wall(900, 500, &[(40, 200, 100), (280, 20, 460)]));
    let (half_size_face, found) = both(&ghost, Choice::Only);
    assert!(half_size_face.is_some_and(|face| face.detection.area.left > 280.0));
    assert_eq!(found.len(), 2);
}
