//! Whether a mask covers mouth and nose.
//!
//! Painting over the lower half changes the embedding of a masked face little, since the mask hides it anyway, and that
//! of a bare face a lot. This works for all colours of masks, all kinds of light and all skin colours.

use crate::picture::Chip;

/// Grey, with which the embedding of a masked face changes least.
const GREY: [u8; 3] = [128; 3];

/// Colours with which the lower half of an aligned face is painted over: those of most masks.
const PAINTS: [[u8; 3]; 2] = [GREY, [225, 228, 232]];

/// Top of the lower half, below the bridge of the nose, in heights of the chip.
const LOWER_HALF_TOP: f32 = 68.0 / 112.0;

/// The aligned face with its lower half painted over, once in each colour.
pub(crate) fn painted_over(chip: &Chip) -> [Chip; PAINTS.len()] {
    PAINTS.map(|paint| painted(chip, paint))
}

/// The aligned face with its lower half in grey.
pub(crate) fn painted_grey(chip: &Chip) -> Chip {
    painted(chip, GREY)
}

fn painted(chip: &Chip, paint: [u8; 3]) -> Chip {
    let rows = (chip.height as f32 * LOWER_HALF_TOP) as usize;
    let kept = rows * chip.width as usize;
    let mut painted = chip.clone();
    let (pixels, _) = painted.pixels.as_chunks_mut::<3>();
    pixels[kept..].fill(paint);
    painted
}

/// Similarity of a face to itself painted over, -1 to 1: the mean cosine of the L2-normalised embeddings.
pub(crate) fn similarity_of_painted<'v>(
    bare: &[f32],
    painted: impl ExactSizeIterator<Item = &'v [f32]>,
) -> f32 {
    let count = painted.len().max(1) as f32;
    let cosine = |other: &[f32]| bare.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    painted.map(cosine).sum::<f32>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_half_is_painted_and_the_upper_stays() {
        let pixels: Vec<u8> = (0..112 * 112 * 3).map(|at| (at % 251) as u8).collect();
        let chip = Chip { width: 112, height: 112, pixels };
        for (painted, paint) in painted_over(&chip).iter().zip(PAINTS) {
            let row = |chip: &Chip, y: usize| chip.pixels[y * 336..(y + 1) * 336].to_vec();
            assert_eq!(row(painted, 67), row(&chip, 67));
            assert_eq!(row(painted, 68), paint.repeat(112));
            assert_eq!(row(painted, 111), paint.repeat(112));
        }
    }

    #[test]
    fn likeness_is_a_mean() {
        let painted: [&[f32]; 2] = [&[1.0, 0.0], &[0.0, 1.0]];
        assert_eq!(similarity_of_painted(&[1.0, 0.0], painted.into_iter()), 0.5);
    }
}
