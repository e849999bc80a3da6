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
const SEEDS: u64 = 3;

/// Species and the part of their judged attacks that may be accepted, in percent. The aim is 10 %. Moving the detector's boxes by two pixels changed
/// the accepted screens from 2 to 6 of 56 (with four seeds, and crops of 2.7 faces), and the prints from 0 to 1; so the screens' bound, which has to hold for such boxes, is above the aim.
const BOUNDS: [(Species, usize); 2] = [(Species::Print, 10), (Species::Screen, 15)];

#[test]
fn originals_are_accepted_and_few_of_each_simulated_species() {
    let mut originals = Vec::new();
    for name in ORIGINALS {
        let file = free_picture(name);
        let found = pipeline().code_central(&file).unwrap().face.unwrap().bounding_box;
        let face = FaceArea::of_box(found.x, found.y, found.width, found.height);
        originals.push((decode(&file), face));
        // Of five originals, a BPCER of at most 5 % allows no rejection.
        let live = score(file);
        assert!(accepted(live), "{name}: {live:?}");
    }
    for (species, percent) in BOUNDS {
        let (mut accepted_attacks, mut judged) = (0, 0);
        for (original, face) in &originals {
            for resolution in [(320, 240), (640, 480), (1280, 720)] {
                for seed in 0..SEEDS {
                    let attack = score(simulate(original, Some(*face), species, resolution, seed).unwrap());
                    accepted_attacks += usize::from(accepted(attack));
                    judged += usize::from(attack.is_some());
                }
            }
        }
        assert!(judged >= 30, "{species:?}: only {judged} attacks were judged");
        assert!(
            accepted_attacks * 100 <= judged * percent,
            "{species:?}: {accepted_attacks} of {judged} attacks were accepted"
        );
    }
}
