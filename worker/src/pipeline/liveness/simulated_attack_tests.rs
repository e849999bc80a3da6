//! Simulated prints and screens that show the free pictures, judged with the installed models.

use bytes::Bytes;
use faceline_models::simulation::{FaceArea, Species, simulate};
use faceline_shared::job::examination::Examination;
use faceline_shared::liveness::SecurityLevel;

use crate::pipeline::tests::{decode, free_picture, pipeline};

const ORIGINALS: [&str; 5] = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"];

/// The score of a picture, where it is judged: one face, and no finding that rejects it.
fn score(picture: Vec<u8>) -> Option<f32> {
    let asked =
        Examination { live: vec![Bytes::from(picture)], photo: None, liveness: true, challenge: Vec::new() };
    let shown = pipeline().examine(&asked).unwrap().live.remove(0).shown;
    let face = if let [face] = shown.faces.as_slice() { face.liveness } else { None };
    face.filter(|_| shown.rejection().is_none())
}

fn accepted(score: Option<f32>) -> bool {
    score.is_some_and(|score| score > SecurityLevel::Medium.threshold())
}

/// Attacks of each original, species and resolution.
const SEEDS: u64 = 4;

/// Of 120 attacks, 48 were accepted (22 of 60 prints, 26 of 60 screens) with the levels as they were before the calibration by sources: 40 %, at most 49 % with a confidence of
/// 95 %. The bound keeps that from growing; it says how far the decision is from the aim of 10 %.
const MAX_ACCEPTED: usize = 59;

#[test]
fn originals_are_accepted_and_the_rate_of_accepted_simulated_attacks_is_bounded() {
    let (mut accepted_attacks, mut attacks) = (0, 0);
    for name in ORIGINALS {
        let file = free_picture(name);
        let original = decode(&file);
        let found = pipeline().code_central(&file).unwrap().face.unwrap().bounding_box;
        let face = FaceArea::of_box(found.x, found.y, found.width, found.height);
        let live = score(file);
        assert!(accepted(live), "{name}: {live:?}");
        for species in [Species::Print, Species::Screen] {
            for resolution in [(320, 240), (640, 480), (1280, 720)] {
                for seed in 0..SEEDS {
                    let attack = score(simulate(&original, Some(face), species, resolution, seed).unwrap());
                    accepted_attacks += usize::from(accepted(attack));
                    attacks += 1;
                }
            }
        }
    }
    assert!(accepted_attacks <= MAX_ACCEPTED, "{accepted_attacks} of {attacks} attacks were accepted");
}
