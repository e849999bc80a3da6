//! A clustered-dot halftone (amplitude modulation), as a table of one cell after filtering by the optics.

use std::f32::consts::TAU;

/// Samples per side of the cell.
const CELL: usize = 16;
const TONES: usize = 32;

/// The coverage that the camera sees, by tone and position in a cell.
#[derive(Clone, Debug)]
pub(super) struct Halftone {
    cells: Vec<f32>,
}

impl Halftone {
    /// A screen whose cell is `pitch` camera pixels wide, seen through a Gaussian blur of `sigma` camera pixels. The
    /// spot function is cos(2πx) + cos(2πy) (PostScript Language Reference, 7.4.3, "CosineDot"): dots in the
    /// highlights, holes in the shadows.
    pub(super) fn new(pitch: f32, sigma: f32) -> Self {
        let spot = |i: usize| (TAU * (i as f32 + 0.5) / CELL as f32).cos();
        let mut ranks: Vec<usize> = (0..CELL * CELL).collect();
        let value = |index: usize| spot(index % CELL) + spot(index / CELL);
        ranks.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
        let weights = wrapped(sigma / pitch * CELL as f32);
        let mut cells = Vec::with_capacity((TONES + 1) * CELL * CELL);
        for tone in 0..=TONES {
            let mut cell = vec![0.0_f32; CELL * CELL];
            for &index in &ranks[..tone * CELL * CELL / TONES] {
                cell[index] = 1.0;
            }
            for step in [1, CELL] {
                let sharp = cell.clone();
                for (index, sample) in cell.iter_mut().enumerate() {
                    let at = index / step % CELL;
                    let start = index - at * step;
                    *sample =
                        (0..CELL).map(|i| weights[(CELL + i - at) % CELL] * sharp[start + i * step]).sum();
                }
            }
            cells.extend(cell);
        }
        Self { cells }
    }

    /// The coverage, 0 to 1, at a position (in cells) where the tone is `tone`, 0 to 1. Its mean over a cell is the
    /// tone.
    pub(super) fn at(&self, x: f32, y: f32, tone: f32) -> f32 {
        let (x, y) = ((x - x.floor()) * CELL as f32, (y - y.floor()) * CELL as f32);
        let (left, top) = ((x as usize).min(CELL - 1), (y as usize).min(CELL - 1));
        let (right, bottom) = ((left + 1) % CELL, (top + 1) % CELL);
        let (fx, fy) = (x - left as f32, y - top as f32);
        let tone = tone.clamp(0.0, 1.0) * TONES as f32;
        let low = (tone as usize).min(TONES - 1);
        let sample = |level: usize| {
            let cell = &self.cells[level * CELL * CELL..];
            (cell[top * CELL + left] * (1.0 - fx) + cell[top * CELL + right] * fx) * (1.0 - fy)
                + (cell[bottom * CELL + left] * (1.0 - fx) + cell[bottom * CELL + right] * fx) * fy
        };
        let part = tone - low as f32;
        sample(low) * (1.0 - part) + sample(low + 1) * part
    }
}

/// A Gaussian that wraps around the cell, because the cell repeats.
fn wrapped(sigma: f32) -> Vec<f32> {
    let sigma = sigma.max(0.05);
    // With a wider blur, a cell is grey to one part in ten thousand.
    if sigma > CELL as f32 * 0.7 {
        return vec![1.0 / CELL as f32; CELL];
    }
    let mut weights = [0.0_f32; CELL];
    for i in -4 * CELL as i32..4 * CELL as i32 {
        weights[i.rem_euclid(CELL as i32) as usize] += (-(i as f32 / sigma).powi(2) / 2.0).exp();
    }
    let sum: f32 = weights.iter().sum();
    weights.map(|weight| weight / sum).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrast(halftone: &Halftone, tone: f32) -> (f32, f32) {
        let samples: Vec<f32> =
            (0..400).map(|i| halftone.at((i % 20) as f32 / 20.0, (i / 20) as f32 / 20.0, tone)).collect();
        let mean = samples.iter().sum::<f32>() / samples.len() as f32;
        (mean, samples.iter().map(|sample| (sample - mean).abs()).fold(0.0, f32::max))
    }

    #[test]
    fn dots_keep_the_tone_and_vanish_below_the_optics_resolution() {
        for tone in [0.1, 0.5, 0.9] {
            let (mean, peak) = contrast(&Halftone::new(8.0, 0.5), tone);
            assert!((mean - tone).abs() < 0.03 && peak > 0.3, "{tone}: {mean} {peak}");
            let (mean, peak) = contrast(&Halftone::new(0.4, 0.6), tone);
            assert!((mean - tone).abs() < 0.01 && peak < 0.01, "{tone}: {mean} {peak}");
        }
    }
}
