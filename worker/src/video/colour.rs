//! Conversion of the decoder's YUV to RGB.

use std::ops::Range;

/// Coefficients by which luma and chroma are computed from red, green and blue (ITU-T H.273).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MatrixCoefficients {
    /// ITU-R BT.601: standard definition, VP8, JPEG.
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance. The transfer function is left as it is.
    Bt2020,
}

impl MatrixCoefficients {
    /// The coefficients that ffprobe calls by this name. Without a known name they are those that players assume: BT.709
    /// from 720 lines on, BT.601 below. If `is_always_601`, as for VP8, JPEG and RGB, the name does not matter.
    pub(super) fn named(name: Option<&str>, is_always_601: bool, lines: u32) -> Self {
        match name {
            _ if is_always_601 => Self::Bt601,
            Some("bt709" | "smpte240m") => Self::Bt709,
            Some("bt470bg" | "smpte170m" | "fcc") => Self::Bt601,
            Some("bt2020nc" | "bt2020c" | "ictcp") => Self::Bt2020,
            _ if lines >= 720 => Self::Bt709,
            _ => Self::Bt601,
        }
    }

    /// The weights of red and blue in luma.
    fn weights(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
        }
    }

    /// Converts 4:2:0 planes of limited range (luma 16 to 235, chroma 16 to 240) to RGB, for an even width and height.
    ///
    /// The equations of ITU-R BT.601, BT.709 and BT.2020 solved for R, G, B, in fixed point with 13 bits of fraction.
    pub(super) fn rgb(self, planes: &[u8], width: usize, height: usize) -> Vec<u8> {
        let (red, blue) = self.weights();
        let green = 1.0 - red - blue;
        let fixed = |factor: f64| (factor * 8192.0).round() as i32;
        let gain = fixed(255.0 / 219.0);
        let chroma = 255.0 / 224.0;
        let v_red = fixed(2.0 * (1.0 - red) * chroma);
        let u_blue = fixed(2.0 * (1.0 - blue) * chroma);
        let u_green = fixed(2.0 * (1.0 - blue) * blue / green * chroma);
        let v_green = fixed(2.0 * (1.0 - red) * red / green * chroma);

        let mut rgb = vec![0; 3 * width * height];
        let (luma, chroma) = planes.split_at(width * height);
        let (half, quarter) = (width / 2, width * height / 4);
        for (row, (out, luma)) in rgb.chunks_exact_mut(3 * width).zip(luma.chunks_exact(width)).enumerate() {
            let at: Range<usize> = row / 2 * half..(row / 2 + 1) * half;
            let (u, v) = (&chroma[at.clone()], &chroma[quarter..][at]);
            let pairs = out.chunks_exact_mut(6).zip(luma.chunks_exact(2));
            for ((out, luma), (u, v)) in pairs.zip(u.iter().zip(v)) {
                let (u, v) = (i32::from(*u) - 128, i32::from(*v) - 128);
                // Half of a step rounds to the nearest.
                let offsets = [v_red * v + 4096, 4096 - u_green * u - v_green * v, u_blue * u + 4096];
                for (out, luma) in out.chunks_exact_mut(3).zip(luma) {
                    let luma = gain * (i32::from(*luma) - 16);
                    for (out, offset) in out.iter_mut().zip(offsets) {
                        *out = ((luma + offset) >> 13).clamp(0, 255) as u8;
                    }
                }
            }
        }
        rgb
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red, green, blue as limited-range YUV of BT.601 and of BT.709: known values of the standards.
    #[test]
    fn primaries_come_out_pure() {
        let cases = [
            (MatrixCoefficients::Bt601, [81, 90, 240], [255, 0, 0]),
            (MatrixCoefficients::Bt601, [145, 54, 34], [0, 255, 0]),
            (MatrixCoefficients::Bt709, [63, 102, 240], [255, 0, 0]),
            (MatrixCoefficients::Bt709, [173, 42, 26], [0, 255, 0]),
            (MatrixCoefficients::Bt2020, [235, 128, 128], [255, 255, 255]),
            (MatrixCoefficients::Bt709, [16, 128, 128], [0, 0, 0]),
        ];
        for (coefficients, [y, u, v], rgb) in cases {
            let planes = [y, y, y, y, y, y, y, y, u, u, v, v];
            for pixel in coefficients.rgb(&planes, 4, 2).chunks_exact(3) {
                let error = pixel.iter().zip(rgb).map(|(a, b)| (i32::from(*a) - b).abs()).max();
                assert!(error <= Some(2), "{coefficients:?} {y} {u} {v} gives {pixel:?}");
            }
        }
    }

    #[test]
    fn each_pixel_takes_the_chroma_of_its_block() {
        // 4 × 4: the lower right block is red, the rest grey.
        let mut planes = vec![126; 16];
        planes.extend([128, 128, 128, 90, 128, 128, 128, 240]);
        let rgb = MatrixCoefficients::Bt601.rgb(&planes, 4, 4);
        for (index, pixel) in rgb.chunks_exact(3).enumerate() {
            let is_red = index % 4 >= 2 && index / 4 >= 2;
            assert_eq!(pixel[0] > pixel[1], is_red, "pixel {index}: {pixel:?}");
        }
    }
}
