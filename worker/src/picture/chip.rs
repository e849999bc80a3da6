//! A small picture for a model.

use super::Affine;

/// A small picture that was cut out of a large one for a model: RGB, 8 bits per channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chip {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

impl Chip {
    /// Maps the chip onto the unit square.
    pub(crate) fn to_unit(&self) -> Affine {
        Affine::scale(1.0 / self.width as f32, 1.0 / self.height as f32)
    }

    /// Swaps left and right.
    pub(crate) fn mirror(&mut self) {
        let (pixels, _) = self.pixels.as_chunks_mut::<3>();
        pixels.chunks_exact_mut(self.width as usize).for_each(<[_]>::reverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_swaps_left_and_right() {
        let mut chip = Chip { width: 2, height: 2, pixels: (0..12).collect() };
        chip.mirror();
        assert_eq!(chip.pixels, [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]);
    }
}
