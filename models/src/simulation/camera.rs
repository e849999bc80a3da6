//! The camera that records a scene: exposure, mosaic, noise, sharpening, tone and JPEG.

use image::codecs::jpeg::JpegEncoder;

use super::light::{Light, encode};
use super::{between, happens};
use crate::SplitMix64;

/// Width and height of the simulated cameras in pixels: from an old webcam to a phone.
pub const RESOLUTIONS: [(u32, u32); 5] = [(320, 240), (640, 480), (1280, 720), (1920, 1080), (4000, 3000)];

/// Parameters of a camera in its environment.
#[derive(Clone, Debug)]
pub struct CameraParameters {
    /// Standard deviation of lens and focus blur, camera pixels: 0.35 to 1.1.
    pub blur: f32,
    /// Side of a photosite relative to the pitch of the recorded pixels: 0.9 to 1. Small modes of cameras that skip
    /// lines have 0.4 to 0.9.
    pub aperture: f32,
    /// Whether each recorded pixel has one colour of a Bayer mosaic. All modes from 1 MP on have one, and half of the
    /// smaller modes; the others average pixels.
    pub mosaic: bool,
    /// Electrons of a white pixel: 1,500 (dim room, small pixel) to 15,000.
    pub electrons: f32,
    /// Read noise, electrons: 2 to 8.
    pub read_noise: f32,
    /// Distance at which a camera of fixed focus is sharp, mm: 400 to 800. Half of the modes below 2 MP have fixed
    /// focus; the others focus on the object.
    pub focus: Option<f32>,
    /// Diameter of the entrance pupil, mm: 1 to 1.6 (a webcam's 3.6 mm lens at f/2.2 to f/3.6).
    pub pupil: f32,
    /// Target of auto exposure for the mean of the encoded picture, 0.4 to 0.52.
    pub exposure: f32,
    /// Strength with which white balance follows the grey-world estimate, 0 to 0.6.
    pub white_balance: f32,
    /// Strength of sharpening (unsharp mask), 0 to 0.6.
    pub sharpening: f32,
    /// JPEG quality, 70 to 95.
    pub quality: u8,
}

impl CameraParameters {
    /// Draws from the ranges above for a mode of `resolution` pixels.
    pub fn draw(random: &mut SplitMix64, (width, height): (u32, u32)) -> Self {
        let large = width * height >= 900_000;
        let fixed = happens(random, 0.5).then(|| between(random, (400.0, 800.0)));
        Self {
            blur: between(random, (0.35, 1.1)),
            aperture: if large { between(random, (0.9, 1.0)) } else { between(random, (0.4, 1.0)) },
            mosaic: random.unit_f32() < 0.5 || large,
            electrons: between(random, (1_500.0, 15_000.0)),
            read_noise: between(random, (2.0, 8.0)),
            focus: fixed.filter(|_| width * height < 2_000_000),
            pupil: between(random, (1.0, 1.6)),
            exposure: between(random, (0.4, 0.52)),
            white_balance: between(random, (0.0, 0.6)),
            sharpening: between(random, (0.0, 0.6)),
            quality: between(random, (70.0, 95.0)) as u8,
        }
    }

    /// This camera, with the defocus of an object at `distance` mm. A pixel sees `1 / focal` radians.
    ///
    /// The circle of confusion has a diameter of `pupil |1/distance - 1/focus|` radians. A disc's standard deviation is
    /// a quarter of its diameter. A phone that fills a webcam's frame is much nearer than the face for which the webcam
    /// was made.
    pub(super) fn defocused(&self, distance: f32, focal: f32) -> Self {
        let disc = self.focus.map_or(0.0, |focus| self.pupil * (1.0 / distance - 1.0 / focus).abs() * focal);
        Self { blur: self.blur.hypot(disc / 4.0), ..self.clone() }
    }

    /// Standard deviation of lens and aperture together, in camera pixels. A square of side `a` has a variance of
    /// `a²/12`.
    pub(super) fn optics(&self) -> f32 {
        (self.blur * self.blur + self.aperture * self.aperture / 12.0).sqrt()
    }

    /// Records a scene that lens and aperture have already blurred. Returns a JPEG file.
    pub(super) fn record(
        &self,
        mut light: Light,
        random: &mut SplitMix64,
    ) -> Result<Vec<u8>, image::ImageError> {
        self.expose(&mut light);
        self.add_noise(&mut light, random);
        if self.mosaic {
            demosaic(&mut light);
        }
        let bytes = self.develop(&light);
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, self.quality).encode(
            &bytes,
            light.width as u32,
            light.height as u32,
            image::ExtendedColorType::Rgb8,
        )?;
        Ok(file)
    }

    /// Auto exposure and white balance. The gains bring the centre-weighted mean of the encoded frame to the target,
    /// and move its colour part of the way to grey.
    fn expose(&self, light: &mut Light) {
        let (mut sums, mut encoded, mut weights) = ([0.0_f64; 3], 0.0, 0.0);
        for (index, pixel) in light.pixels.iter().enumerate().step_by(7) {
            let x = (index % light.width) as f32 / light.width as f32 - 0.5;
            let y = (index / light.width) as f32 / light.height as f32 - 0.5;
            let weight = f64::from((-(x * x + y * y) / 0.12).exp());
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += f64::from(*value) * weight;
            }
            // The square root approximates the display's curve, and a bright window does not dominate its mean.
            encoded += f64::from(pixel.iter().sum::<f32>() / 3.0).max(0.0).sqrt() * weight;
            weights += weight;
        }
        let means = sums.map(|sum| (sum / weights).max(1e-4) as f32);
        let grey = means.iter().sum::<f32>() / 3.0;
        let gain = super::light::decode(self.exposure) / (encoded / weights).max(1e-2).powi(2) as f32;
        let gains = means.map(|mean| gain * (grey / mean).powf(self.white_balance));
        for pixel in &mut light.pixels {
            for (value, gain) in pixel.iter_mut().zip(gains) {
                *value *= gain;
            }
        }
    }

    /// Adds shot noise (its variance is the number of electrons) and read noise, and clips at the full well.
    fn add_noise(&self, light: &mut Light, random: &mut SplitMix64) {
        let (scale, read) = (1.0 / self.electrons, self.read_noise * self.read_noise);
        for value in light.pixels.as_flattened_mut() {
            let deviation = (value.max(0.0) * self.electrons + read).sqrt() * scale;
            *value = (*value + deviation * normal(random)).clamp(0.0, 1.0);
        }
    }

    /// Sharpening, chroma filtering as in 4:2:0, and the sRGB curve.
    fn develop(&self, light: &Light) -> Vec<u8> {
        let table: Vec<f32> = (0..=4096_u16).map(|i| encode(f32::from(i) / 4096.0) * 255.0).collect();
        let mut soft = light.clone();
        soft.blur(1.0);
        let mut bytes = Vec::with_capacity(light.pixels.len() * 3);
        for (sharp, soft) in light.pixels.iter().zip(&soft.pixels) {
            let luma = |rgb: &[f32; 3]| 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
            // Luma keeps its detail, amplified; chroma comes from the blurred picture.
            let detail = (luma(sharp) - luma(soft)) * (1.0 + self.sharpening);
            bytes.extend(soft.map(|value| {
                let level = (value + detail).clamp(0.0, 1.0) * 4096.0;
                (table[level as usize] + 0.5) as u8
            }));
        }
        bytes
    }
}

/// An approximately standard normal number: the sum of four uniform ones (Irwin-Hall). Exact tails do not matter for
/// noise.
fn normal(random: &mut SplitMix64) -> f32 {
    let bits = random.bits();
    let sum = (0..4).map(|i| (bits >> (16 * i) & 0xffff) as f32).sum::<f32>() / 65_536.0;
    (sum - 2.0) * 1.732_050_8
}

/// Keeps one colour of each pixel (RGGB) and fills in the others with the mean of the neighbours that have them
/// (bilinear demosaicing).
fn demosaic(light: &mut Light) {
    let (width, height) = (light.width, light.height);
    if width < 3 || height < 3 {
        return;
    }
    let raw: Vec<f32> = light
        .pixels
        .iter()
        .enumerate()
        .map(|(index, pixel)| pixel[(index / width) % 2 + (index % width) % 2])
        .collect();
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let at = y * width + x;
            let cross = (raw[at - width] + raw[at + width], raw[at - 1] + raw[at + 1]);
            let corners =
                (raw[at - width - 1] + raw[at - width + 1] + raw[at + width - 1] + raw[at + width + 1]) / 4.0;
            let sides = (cross.0 + cross.1) / 4.0;
            light.pixels[at] = match (y % 2, x % 2) {
                (0, 0) => [raw[at], sides, corners],
                (0, _) => [cross.1 / 2.0, raw[at], cross.0 / 2.0],
                (_, 0) => [cross.0 / 2.0, raw[at], cross.1 / 2.0],
                _ => [corners, sides, raw[at]],
            };
        }
    }
}
