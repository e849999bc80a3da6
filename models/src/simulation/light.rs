//! Pictures in linear light, the quantity that optics and sensors add and average. Decoding is that of sRGB (IEC
//! 61966-2-1).

use image::RgbImage;

/// Red, green and blue in linear light; 1 is white.
pub(super) type Rgb = [f32; 3];

/// A picture in linear light, row by row.
#[derive(Clone, Debug)]
pub(super) struct Light {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<Rgb>,
}

/// An sRGB value, 0 to 1, in linear light.
pub(super) fn decode(value: f32) -> f32 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// A linear value as sRGB, 0 to 1.
pub(super) fn encode(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}

impl Light {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![[0.0; 3]; width * height] }
    }

    /// Converts `picture` to linear light and averages square blocks of pixels, the largest blocks that leave at least
    /// `width` by `height` pixels. Without averaging, coarser sampling would alias.
    pub(super) fn reduced(picture: &RgbImage, width: usize, height: usize) -> Self {
        let table: Vec<f32> = (0..=255_u8).map(|value| decode(f32::from(value) / 255.0)).collect();
        let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
        let block = (from_width / width.max(1)).min(from_height / height.max(1)).max(1);
        let mut light = Self::new((from_width / block).max(1), (from_height / block).max(1));
        let bytes = picture.as_raw();
        let part = 1.0 / (block * block) as f32;
        for (index, pixel) in light.pixels.iter_mut().enumerate() {
            let (x, y) = (index % light.width * block, index / light.width * block);
            for row in y..y + block {
                let start = (row * from_width + x) * 3;
                for source in bytes[start..start + block * 3].chunks_exact(3) {
                    for (sum, &value) in pixel.iter_mut().zip(source) {
                        *sum += table[usize::from(value)] * part;
                    }
                }
            }
        }
        light
    }

    /// The light at a position in pixels (bilinear). Positions outside have the light of the border.
    pub(super) fn at(&self, x: f32, y: f32) -> Rgb {
        let x = (x - 0.5).clamp(0.0, (self.width - 1) as f32);
        let y = (y - 0.5).clamp(0.0, (self.height - 1) as f32);
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let [a, b, c, d] = [(left, top), (right, top), (left, bottom), (right, bottom)]
            .map(|(x, y)| self.pixels[y * self.width + x]);
        let mut mixed = [0.0; 3];
        for i in 0..3 {
            mixed[i] = (a[i] * (1.0 - fx) + b[i] * fx) * (1.0 - fy) + (c[i] * (1.0 - fx) + d[i] * fx) * fy;
        }
        mixed
    }

    /// The picture at another size (bilinear).
    pub(super) fn resized(&self, width: usize, height: usize) -> Self {
        let mut to = Self::new(width, height);
        let (sx, sy) = (self.width as f32 / width as f32, self.height as f32 / height as f32);
        for (index, pixel) in to.pixels.iter_mut().enumerate() {
            *pixel = self.at(((index % width) as f32 + 0.5) * sx, ((index / width) as f32 + 0.5) * sy);
        }
        to
    }

    /// Blurs with a Gaussian of standard deviation `sigma`, in pixels (the usual model of a lens near focus).
    pub(super) fn blur(&mut self, sigma: f32) {
        if sigma < 0.2 {
            return;
        }
        let radius = (sigma * 2.5).ceil() as usize;
        let mut kernel: Vec<f32> = (0..=2 * radius)
            .map(|i| (-(i as f32 - radius as f32).powi(2) / (2.0 * sigma * sigma)).exp())
            .collect();
        let sum: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|weight| *weight /= sum);
        let (width, height) = (self.width, self.height);
        let mut line = vec![[0.0; 3]; width + 2 * radius];
        for row in self.pixels.chunks_exact_mut(width) {
            line[radius..radius + width].copy_from_slice(row);
            line[..radius].fill(row[0]);
            line[radius + width..].fill(row[width - 1]);
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = weighted(&kernel, &line[x..x + kernel.len()]);
            }
        }
        let source = self.pixels.clone();
        for (y, row) in self.pixels.chunks_exact_mut(width).enumerate() {
            row.fill([0.0; 3]);
            for (i, weight) in kernel.iter().enumerate() {
                let from = (y + i).saturating_sub(radius).min(height - 1) * width;
                for (pixel, other) in row.iter_mut().zip(&source[from..from + width]) {
                    for (sum, value) in pixel.iter_mut().zip(other) {
                        *sum += weight * value;
                    }
                }
            }
        }
    }
}

fn weighted(kernel: &[f32], line: &[Rgb]) -> Rgb {
    let mut sum = [0.0; 3];
    for (weight, pixel) in kernel.iter().zip(line) {
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += weight * value;
        }
    }
    sum
}
