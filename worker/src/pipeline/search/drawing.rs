//! Whether a face is drawn and not photographed.
//!
//! Detector, landmark model and embedder accept a drawn face. But a drawing consists of even areas with sharp lines
//! between them, while photographed skin has shades everywhere, even out of focus or through a bad camera.

use crate::picture::{Chip, luma};

/// Minimum [`shading`] of a photographed face, in bits. Photographed faces have 12 and more (LFW 12.5), drawn ones 10.8
/// and less.
const MIN_SHADING_BITS: f32 = 11.4;

/// Weight of the ratio of common to strong edges beside the entropies in bits.
const EDGE_WEIGHT: f32 = 20.0;

/// Whether an aligned face is drawn: its shades are few and its edges are rare, but strong.
pub(super) fn is_drawn(chip: &Chip) -> bool {
    shading(chip) < MIN_SHADING_BITS
}

/// Entropy of luma plus entropy of colour (5 bits per channel), in bits, plus the weighted ratio of the median gradient
/// to the strongest ones. All within the chip's middle.
fn shading(chip: &Chip) -> f32 {
    let (width, height) = (chip.width as usize, chip.height as usize);
    let (pixels, _) = chip.pixels.as_chunks::<3>();
    let (mut lumas, mut gradients, mut colours) = ([0_u32; 256], [0_u32; 256], vec![0_u32; 1 << 15]);
    let mut count = 0;
    for y in height * 3 / 14..height * 25 / 28 {
        for x in width * 5 / 28..width * 23 / 28 {
            let at = y * width + x;
            let here = luma(pixels[at]);
            let edge =
                here.abs_diff(luma(pixels[at + 1])).saturating_add(here.abs_diff(luma(pixels[at + width])));
            gradients[usize::from(edge)] += 1;
            lumas[usize::from(here)] += 1;
            let [r, g, b] = pixels[at].map(|channel| usize::from(channel >> 3));
            colours[r << 10 | g << 5 | b] += 1;
            count += 1;
        }
    }
    let (common, strong) = (quantile(&gradients, count / 2), quantile(&gradients, count * 98 / 100).max(1));
    entropy(&lumas, count) + entropy(&colours, count) + EDGE_WEIGHT * common as f32 / strong as f32
}

/// The value in a histogram that has `rank` smaller ones.
fn quantile(histogram: &[u32], rank: u32) -> usize {
    let mut passed = 0;
    let beyond = |count: &u32| {
        passed += count;
        passed > rank
    };
    histogram.iter().position(beyond).unwrap_or_default()
}

fn entropy(counts: &[u32], total: u32) -> f32 {
    let parts = counts.iter().filter(|&&count| count > 0).map(|&count| count as f32 / total as f32);
    parts.map(|part| -part * part.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip(colour: impl Fn(u32, u32) -> [u8; 3]) -> Chip {
        let pixels = (0..112 * 112).flat_map(|at| colour(at % 112, at / 112)).collect();
        Chip { width: 112, height: 112, pixels }
    }

    #[test]
    fn even_areas_with_lines_are_drawn_and_shades_are_not() {
        let ink = chip(|x, y| if (x / 20 + y / 25) % 3 == 0 { [20, 10, 10] } else { [240, 200, 170] });
        assert!(is_drawn(&ink), "{}", shading(&ink));
        let skin = chip(|x, y| {
            let light = 120.0 + 60.0 * (x as f32 / 17.0).sin() + 50.0 * (y as f32 / 23.0).cos();
            [light + 20.0, light, light - 15.0].map(|channel| (channel + ((x * 7 + y * 13) % 5) as f32) as u8)
        });
        assert!(!is_drawn(&skin), "{}", shading(&skin));
    }
}
