//! Detail of an aligned face.

use super::tones::Patch;

/// Distance in pixels of the aligned face over which fine gradients are taken.
const FINE_STEP: usize = 1;
/// The same for coarse gradients.
const COARSE_STEP: usize = 4;

/// Ratio of fine to coarse gradients, each as its root mean square. Independent of contrast: 0.25 for a smooth slope, 1
/// for noise, where neighbours are unrelated.
pub(super) fn sharpness(patch: &Patch) -> f32 {
    (energy(patch, FINE_STEP) / energy(patch, COARSE_STEP).max(1.0)).sqrt()
}

/// Mean squared difference over `step` pixels, along rows plus along columns.
fn energy(patch: &Patch, step: usize) -> f32 {
    let (width, height) = (patch.width, patch.lumas.len() / patch.width.max(1));
    if width <= step || height <= step {
        return 0.0;
    }
    let (mut sum, mut count) = (0_u64, 0_u64);
    for y in 0..height - step {
        let row = &patch.lumas[y * width..(y + 1) * width];
        let below = &patch.lumas[(y + step) * width..(y + step + 1) * width];
        let squares = row.iter().zip(&row[step..]).zip(below).map(|((&here, &beside), &below)| {
            let (across, down) = (u32::from(here.abs_diff(beside)), u32::from(here.abs_diff(below)));
            across * across + down * down
        });
        sum += u64::from(squares.sum::<u32>());
        count += (width - step) as u64;
    }
    sum as f32 / count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(luma: impl Fn(f32, f32) -> f32) -> Patch {
        let lumas = (0..72 * 76).map(|at| luma((at % 72) as f32, (at / 72) as f32) as u8).collect();
        Patch { lumas, width: 72 }
    }

    #[test]
    fn sharpness_falls_with_blur_and_not_with_contrast() {
        let waves = |length: f32, contrast: f32| {
            sharpness(&patch(|x, y| 128.0 + contrast * (x / length).sin() * (y / length).cos()))
        };
        let sharp = waves(1.2, 100.0);
        assert!(sharp > 0.35 && waves(3.0, 100.0) < 0.75 * sharp, "{sharp}");
        assert!((waves(1.2, 50.0) - sharp).abs() < 0.02, "{}", waves(1.2, 50.0));
        assert!((waves(40.0, 100.0) - 0.25).abs() < 0.02, "{}", waves(40.0, 100.0));
    }

    #[test]
    fn noise_is_as_sharp_as_can_be_and_nothing_is_not() {
        let noise = |x: f32, y: f32| ((x * 12.9898 + y * 78.233).sin() * 43758.547).rem_euclid(1.0) * 255.0;
        let noisy = sharpness(&patch(noise));
        assert!((noisy - 1.0).abs() < 0.1, "{noisy}");
        assert_eq!(sharpness(&patch(|_, _| 90.0)), 0.0);
    }
}
