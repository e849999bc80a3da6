//! Dark glasses and masks: differences of brightness and colour within a face.

use super::tones::GRID;
use crate::picture::Chip;

/// Areas of an aligned face, in parts of [`GRID`]: left, top, right, bottom.
const EYES: [[usize; 4]; 2] = [[32, 48, 46, 56], [66, 48, 80, 56]];
const CHEEKS: [[usize; 4]; 2] = [[28, 62, 42, 80], [70, 62, 84, 80]];
const CHIN: [[usize; 4]; 1] = [[44, 98, 68, 111]];

/// Luma levels added to both sides of a ratio, so that noise in dark pictures has no effect.
const DARK_OFFSET_LEVELS: f32 = 5.0;

/// Differences between parts of an aligned face.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cover {
    /// Natural logarithm of the cheeks' brightness over the eyes': high behind dark glasses.
    pub(super) eye_shade: f32,
    /// Sum over the channels of the difference in chromaticity, 0 to 2, between chin and cheeks: high where a mask or
    /// a scarf has another colour than skin.
    pub(super) chin_tint: f32,
}

impl Cover {
    pub(super) fn new(chip: &Chip) -> Self {
        let [eyes, cheeks] = [EYES, CHEEKS].map(|places| mean(chip, &places));
        let chin = mean(chip, &CHIN);
        let bright = |[r, g, b]: [f32; 3]| (r + g + b) / 3.0 + DARK_OFFSET_LEVELS;
        let chromaticity = |[r, g, b]: [f32; 3]| [r, g, b].map(|channel| channel / (r + g + b).max(1.0));
        let tint = chromaticity(chin).into_iter().zip(chromaticity(cheeks));
        Self {
            eye_shade: (bright(cheeks) / bright(eyes)).ln(),
            chin_tint: tint.map(|(chin, cheeks)| (chin - cheeks).abs()).sum(),
        }
    }
}

fn mean(chip: &Chip, places: &[[usize; 4]]) -> [f32; 3] {
    let (width, height) = (chip.width as usize, chip.height as usize);
    let (pixels, _) = chip.pixels.as_chunks::<3>();
    let (mut sums, mut count) = ([0_u32; 3], 0_u32);
    for &[left, top, right, bottom] in places {
        for y in top * height / GRID..bottom * height / GRID {
            for pixel in &pixels[y * width + left * width / GRID..y * width + right * width / GRID] {
                for (sum, &channel) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(channel);
                }
                count += 1;
            }
        }
    }
    sums.map(|sum| sum as f32 / count.max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKIN: [u8; 3] = [200, 150, 120];

    fn cover(colour: impl Fn(u32, u32) -> [u8; 3]) -> Cover {
        let pixels = (0..112 * 112).flat_map(|at| colour(at % 112, at / 112)).collect();
        Cover::new(&Chip { width: 112, height: 112, pixels })
    }

    #[test]
    fn glasses_and_masks_show_where_they_are() {
        let bare = cover(|_, _| SKIN);
        assert!(bare.eye_shade.abs() < 1e-4 && bare.chin_tint.abs() < 1e-4, "{bare:?}");
        let glasses = cover(|_, y| if (45..60).contains(&y) { [20, 20, 25] } else { SKIN });
        assert!(glasses.eye_shade > 1.5 && glasses.chin_tint < 1e-4, "{glasses:?}");
        let mask = cover(|_, y| if y > 85 { [110, 150, 220] } else { SKIN });
        assert!(mask.chin_tint > 0.3 && mask.eye_shade.abs() < 1e-4, "{mask:?}");
    }

    #[test]
    fn darkness_hides_no_eyes() {
        let dark = cover(|_, y| if (48..56).contains(&y) { [0; 3] } else { [3, 2, 2] });
        assert!(dark.eye_shade < 0.5 && dark.chin_tint < 1e-4, "{dark:?}");
    }
}
