//! Conversion of 8-bit pixels to a network's input values.

use faceline_models::manifest::{Channels, Input};

use crate::picture::{Chip, luma};

/// Converts 8-bit pixels to planes of `(value - mean) * scale`, in the network's order of channels.
#[derive(Debug)]
pub(crate) struct Normaliser {
    channels: Channels,
    /// The result for each of the 256 levels, one table per channel in the network's order.
    tables: Vec<[f32; 256]>,
}

impl Normaliser {
    pub(crate) fn new(input: &Input) -> Self {
        let count = if input.channels == Channels::Grey { 1 } else { 3 };
        let one = |list: &[f32], channel: usize, absent: f32| {
            list.get(channel).or(list.first()).copied().unwrap_or(absent)
        };
        let tables = (0..count)
            .map(|channel| {
                let (mean, scale) = (one(&input.mean, channel, 0.0), one(&input.scale, channel, 1.0));
                std::array::from_fn(|value| (value as f32 - mean) * scale)
            })
            .collect();
        Self { channels: input.channels, tables }
    }

    /// Appends a chip's planes to a batch.
    pub(crate) fn append(&self, chip: &Chip, tensor: &mut Vec<f32>) {
        let (pixels, _) = chip.pixels.as_chunks::<3>();
        if let [table] = self.tables.as_slice() {
            tensor.extend(pixels.iter().map(|pixel| table[usize::from(luma(*pixel))]));
            return;
        }
        for (plane, table) in self.tables.iter().enumerate() {
            let channel = if self.channels == Channels::Bgr { 2 - plane } else { plane };
            tensor.extend(pixels.iter().map(|pixel| table[usize::from(pixel[channel])]));
        }
    }
}

#[cfg(test)]
mod tests {
    use faceline_models::manifest::Crop;

    use super::*;

    fn input(channels: Channels, mean: &[f32]) -> Input {
        let (mean, scale) = (mean.to_vec(), vec![0.5]);
        Input { name: "x".to_owned(), width: 2, height: 1, channels, mean, scale, crop: Crop::Whole }
    }

    #[test]
    fn planes_are_in_the_models_order() {
        let chip = Chip { width: 2, height: 1, pixels: vec![10, 20, 30, 11, 21, 31] };
        let planes = |channels, mean: &[f32]| {
            let mut tensor = Vec::new();
            Normaliser::new(&input(channels, mean)).append(&chip, &mut tensor);
            tensor
        };
        assert_eq!(planes(Channels::Rgb, &[10.0]), [0.0, 0.5, 5.0, 5.5, 10.0, 10.5]);
        assert_eq!(planes(Channels::Bgr, &[30.0, 20.0, 10.0]), [0.0, 0.5, 0.0, 0.5, 0.0, 0.5]);
        assert_eq!(planes(Channels::Grey, &[]), [9.0, 9.5]);
    }
}
