//! Simulated prints and screens that show the free pictures, judged with the installed models.

use bytes::Bytes;
use faceline_models::simulation::{Species, simulate};
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

#[test]
fn simulated_attacks_score_below_their_originals() {
    let mut passed = [0, 0];
    let mut scores = Vec::new();
    for name in ORIGINALS {
        let file = free_picture(name);
        let original = decode(&file);
        let live = score(file);
        assert!(accepted(live), "{name}: {live:?}");
        for (species, passed) in [Species::Print, Species::Screen].into_iter().zip(&mut passed) {
            for resolution in [(320, 240), (640, 480), (1280, 720)] {
                for seed in 0..SEEDS {
                    let attack = score(simulate(&original, species, resolution, seed).unwrap());
                    *passed += usize::from(accepted(attack));
                    scores.push(format!("{name} {} {resolution:?} {seed} {attack:?}", species.label()));
                }
            }
        }
    }
    if std::env::var_os("SCORES").is_some() {
        println!("{}", scores.join("\n"));
    }
    let all = ORIGINALS.len() * 3 * SEEDS as usize;
    println!("prints {} and screens {} of {all} passed", passed[0], passed[1]);
}

/// Attacks of each original, species and resolution.
const SEEDS: u64 = 4;
