//! Light and shadow on an aligned face.

use crate::picture::{Chip, luma};

/// The face within an aligned chip, in parts of [`GRID`]: left, top, right, bottom.
const FACE: [usize; 4] = [20, 24, 92, 100];

/// Areas of a chip are given in this many parts of its sides.
pub(super) const GRID: usize = 112;

/// Pixels of a lower luma are black.
const MIN_NOT_BLACK_LUMA: usize = 25;
/// Pixels of this luma and above are white.
const MIN_WHITE_LUMA: usize = 247;

/// Levels of luma per bin of the histograms that illumination uniformity compares.
const LEVELS_PER_BIN: usize = 8;

/// Luma of the face's middle, without hair and background, in rows.
pub(super) struct Patch {
    pub(super) lumas: Vec<u8>,
    pub(super) width: usize,
}

impl Patch {
    pub(super) fn new(chip: &Chip) -> Self {
        let (width, height) = (chip.width as usize, chip.height as usize);
        let [left, right] = [FACE[0], FACE[2]].map(|x| x * width / GRID);
        let [top, bottom] = [FACE[1], FACE[3]].map(|y| y * height / GRID);
        let (pixels, _) = chip.pixels.as_chunks::<3>();
        let rows = pixels.chunks_exact(width.max(1)).take(bottom).skip(top);
        let lumas = rows.flat_map(|row| row[left..right].iter().map(|&pixel| luma(pixel))).collect();
        Self { lumas, width: right - left }
    }
}

/// Statistics of a face's luma histogram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tones {
    /// Mean, 0 to 255.
    pub(super) mean: f32,
    /// Share of black pixels.
    pub(super) black: f32,
    /// Share of white pixels.
    pub(super) white: f32,
    /// From the 5th percentile to the 95th, in levels.
    pub(super) range: f32,
    /// Entropy less that of an even spread over `range`, in bits: negative where levels are missing.
    pub(super) richness: f32,
    /// Intersection of the histograms of the left half and of the right one, 0 to 1.
    pub(super) uniformity: f32,
}

impl Tones {
    pub(super) fn new(patch: &Patch) -> Self {
        let (mut left, mut right) = ([0_u32; 256], [0_u32; 256]);
        for row in patch.lumas.chunks_exact(patch.width.max(1)) {
            let (left_half, right_half) = row.split_at(row.len() / 2);
            left_half.iter().for_each(|&luma| left[usize::from(luma)] += 1);
            right_half.iter().for_each(|&luma| right[usize::from(luma)] += 1);
        }
        let both: [u32; 256] = std::array::from_fn(|level| left[level] + right[level]);
        let count = both.iter().sum::<u32>().max(1);
        let share = |pixels: u32| pixels as f32 / count as f32;
        let range = (percentile(&both, count, 95) - percentile(&both, count, 5)) as f32;
        let entropy: f32 = both
            .iter()
            .filter(|&&pixels| pixels > 0)
            .map(|&pixels| -share(pixels) * share(pixels).log2())
            .sum();
        Self {
            mean: both.iter().enumerate().map(|(level, &pixels)| level as f32 * share(pixels)).sum(),
            black: share(both[..MIN_NOT_BLACK_LUMA].iter().sum()),
            white: share(both[MIN_WHITE_LUMA..].iter().sum()),
            range,
            richness: entropy - range.max(2.0).log2(),
            uniformity: intersection(&left, &right),
        }
    }
}

/// The lowest level at or below which this percentage of the pixels lies.
fn percentile(histogram: &[u32; 256], count: u32, percent: u32) -> usize {
    let mut below = 0;
    histogram
        .iter()
        .position(|pixels| {
            below += pixels;
            below * 100 >= count * percent
        })
        .unwrap_or(0)
}

fn intersection(one: &[u32; 256], other: &[u32; 256]) -> f32 {
    let total = |histogram: &[u32; 256]| histogram.iter().sum::<u32>().max(1) as f32;
    let (one_total, other_total) = (total(one), total(other));
    let levels = one.chunks_exact(LEVELS_PER_BIN).zip(other.chunks_exact(LEVELS_PER_BIN));
    let part = |level: &[u32], total| level.iter().sum::<u32>() as f32 / total;
    levels.map(|(a, b)| part(a, one_total).min(part(b, other_total))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tones(colour: impl Fn(u32, u32) -> u8) -> Tones {
        let pixels = (0..112 * 112).flat_map(|at| [colour(at % 112, at / 112); 3]).collect();
        Tones::new(&Patch::new(&Chip { width: 112, height: 112, pixels }))
    }

    #[test]
    fn an_even_slope_has_all_levels_and_light_from_one_side() {
        let slope = tones(|x, _| (20 + 2 * x) as u8);
        assert!((slope.mean - 131.0).abs() < 1.0, "{slope:?}");
        assert!((slope.range - 130.0).abs() < 4.0, "{slope:?}");
        assert!(slope.richness.abs() < 1.2, "{slope:?}");
        assert!(slope.uniformity < 0.1, "{slope:?}");
        assert!(tones(|_, y| (20 + 2 * y) as u8).uniformity > 0.99);
    }

    #[test]
    fn black_white_and_covered_parts_show() {
        let half = tones(|_, y| if y < 62 { 10 } else { 250 });
        assert!((half.black - 0.5).abs() < 0.01 && (half.white - 0.5).abs() < 0.01, "{half:?}");
        assert_eq!(half.range, 240.0);
        assert!(half.richness < -5.0, "{half:?}");
        let shaded = |x: u32, y: u32| (60 + (x * 7 + y * 13) % 120) as u8;
        let free = tones(shaded);
        let covered = tones(|x, y| if y > 60 { 90 } else { shaded(x, y) });
        assert!(free.richness > -0.1 && covered.richness < free.richness - 1.0, "{free:?} {covered:?}");
    }

    #[test]
    fn one_colour_is_finite() {
        for level in [0, 128, 255] {
            let plain = tones(|_, _| level);
            assert_eq!((plain.range, plain.richness, plain.uniformity), (0.0, -1.0, 1.0));
        }
    }
}
