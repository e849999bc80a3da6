//! How well a face can be used, in one number.

use super::normaliser::luma;
use crate::picture::Chip;

/// Eye distance, in received pixels, at which a face is just usable, and from which on it is as good as any.
const LEAST_EYES: f32 = 16.0;
const FULL_EYES: f32 = 64.0;

/// Sharpness (see [`sharpness`]) at which a face is just usable, and from which on it is as good as any.
const LEAST_SHARPNESS: f32 = 0.02;
const FULL_SHARPNESS: f32 = 0.12;

/// A detector's score below this takes away.
const FULL_SCORE: f32 = 0.99;

/// The best quality.
const BEST: f32 = 200.0;

/// The worst quality of a face.
const WORST: f32 = -200.0;

/// Quality of an aligned face: the weakest of its resolution, its sharpness and the detector's certainty. Above 100:
/// good; negative: a better picture is needed.
pub(super) fn quality(eye_distance: f32, score: f32, chip: &Chip) -> i32 {
    let resolution = level(eye_distance, LEAST_EYES, FULL_EYES);
    let focus = level(sharpness(chip), LEAST_SHARPNESS, FULL_SHARPNESS);
    let certainty = BEST * (1.0 - 2.0 * (FULL_SCORE - score).max(0.0));
    resolution.min(focus).min(certainty).round() as i32
}

/// 0 at `least`, [`BEST`] at `full` and above, by the logarithm.
fn level(value: f32, least: f32, full: f32) -> f32 {
    let octaves = (value.max(f32::MIN_POSITIVE) / least).log2() / (full / least).log2();
    (BEST * octaves).clamp(WORST, BEST)
}

/// Mean absolute Laplacian of luma over its standard deviation, within the chip's middle: detail over contrast.
pub(super) fn sharpness(chip: &Chip) -> f32 {
    let (width, height) = (chip.width as usize, chip.height as usize);
    let (pixels, _) = chip.pixels.as_chunks::<3>();
    let at = |x: usize, y: usize| f32::from(luma(pixels[y * width + x]));
    let (mut detail, mut sum, mut squares, mut count) = (0.0, 0.0, 0.0, 0.0);
    for y in height * 3 / 14..height * 25 / 28 {
        for x in width * 5 / 28..width * 23 / 28 {
            let here = at(x, y);
            detail += (at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * here).abs();
            sum += here;
            squares += here * here;
            count += 1.0;
        }
    }
    let variance: f32 = squares / count - (sum / count) * (sum / count);
    detail / count / variance.max(1.0).sqrt() / 4.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(length: f32) -> Chip {
        let pixels = (0..112 * 112)
            .flat_map(|at| {
                let (x, y) = ((at % 112) as f32, (at / 112) as f32);
                [(128.0 + 60.0 * (x / length).sin() * (y / length).cos()) as u8; 3]
            })
            .collect();
        Chip { width: 112, height: 112, pixels }
    }

    #[test]
    fn quality_falls_with_each_of_its_reasons() {
        let (sharp, blurred) = (waves(1.2), waves(16.0));
        let best = quality(80.0, 1.0, &sharp);
        assert_eq!(best, BEST as i32);
        assert!(quality(30.0, 1.0, &sharp) < best);
        assert!(quality(10.0, 1.0, &sharp) < 0);
        assert!(quality(80.0, 1.0, &blurred) < 0, "{}", sharpness(&blurred));
        assert!(quality(80.0, 0.7, &sharp) < best);
    }
}
