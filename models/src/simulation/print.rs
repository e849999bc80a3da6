//! A print: halftoned ink on paper that is bent and lit by a lamp.

use std::f32::consts::PI;

use image::RgbImage;

use super::camera::CameraParameters;
use super::geometry::{Pose, dot, unit};
use super::halftone::Halftone;
use super::light::{Light, Rgb};
use super::scene::{Surroundings, Thumb};
use super::{between, happens};
use crate::SplitMix64;

/// Transmittance of solid cyan, magenta, yellow and black ink in red, green and blue. The values are those of the solid
/// tones of ISO 12647-2 on coated paper, relative to the paper. The unwanted absorptions (cyan in green, magenta in
/// blue) make the gamut smaller than the original's.
const INKS: [Rgb; 4] = [[0.05, 0.33, 0.62], [0.52, 0.05, 0.18], [0.90, 0.72, 0.06], [0.03, 0.03, 0.03]];

/// Angles of the four screens in degrees: the customary ones, 30 degrees apart except for yellow.
const ANGLES: [f32; 4] = [15.0, 75.0, 0.0, 45.0];

/// Parameters of a print.
#[derive(Clone, Debug)]
pub struct PrintParameters {
    /// Longer side of the paper, mm: 152 (photo, 10x15 cm) to 297 (A4).
    pub paper: f32,
    /// Unprinted border, mm: 3 to 12 on three of four sheets (printers leave 3 to 6 mm), and none on the others.
    pub margin: f32,
    /// Screen ruling, lines per inch: 85 (office laser) to 175 (offset).
    pub ruling: f32,
    /// Reflectance of the paper in red, green and blue: 0.75 to 0.9, blue by up to 8 % less or 4 % more (brighteners).
    pub tone: Rgb,
    /// Added coverage of a 50 % tone, 0 to 0.15: dot gain (Murray-Davies).
    pub dot_gain: f32,
    /// Share of ink that is missing in solid tones, 0 to 0.12: faint toner and the paper's roughness make black
    /// lighter.
    pub faint: f32,
    /// Strength of the lamp's specular reflection: 0 (matt) to 0.35 (glossy), as a share of white.
    pub gloss: f32,
    /// Exponent of the specular lobe, 10 to 120 (Blinn-Phong).
    pub shininess: f32,
    /// Sag of the bent sheet as a share of half its width, 0 to 0.25.
    pub bending: f32,
    /// Largest tilt, radians: 0.05 to 0.3.
    pub tilt: f32,
    /// The room's light relative to the original's white balance, in red, green and blue: 0.8 to 1.1, 1, 0.825 to 1.35.
    pub cast: Rgb,
    /// Part of the frame's tighter side that the paper spans, 0.45 to 1.1.
    pub fill: f32,
    /// Whether thumbs hold the sheet.
    pub hand: bool,
}

impl PrintParameters {
    /// Draws from the ranges above.
    pub fn draw(random: &mut SplitMix64) -> Self {
        let white = between(random, (0.75, 0.9));
        // From 5,500 to 9,300 K, seen by a camera with its white balance at 6,500 K.
        let cold = between(random, (-0.5, 1.0));
        Self {
            paper: between(random, (152.0, 297.0)),
            margin: if happens(random, 0.75) { between(random, (3.0, 12.0)) } else { 0.0 },
            ruling: between(random, (85.0, 175.0)),
            tone: [white, white * between(random, (0.98, 1.0)), white * between(random, (0.92, 1.04))],
            dot_gain: between(random, (0.0, 0.15)),
            faint: between(random, (0.0, 0.12)),
            gloss: if happens(random, 0.5) { between(random, (0.05, 0.35)) } else { 0.0 },
            shininess: between(random, (10.0, 120.0)),
            bending: if happens(random, 0.6) { between(random, (0.03, 0.25)) } else { 0.0 },
            tilt: between(random, (0.05, 0.3)),
            cast: [1.0 - 0.2 * cold, 1.0, 1.0 + 0.35 * cold],
            fill: between(random, (0.45, 1.1)),
            hand: happens(random, 0.9),
        }
    }

    /// The light that reaches the sensor of `width` by `height` pixels.
    pub(super) fn present(
        &self,
        original: &RgbImage,
        width: usize,
        height: usize,
        camera: &CameraParameters,
        random: &mut SplitMix64,
    ) -> Light {
        let (w, h) = (original.width() as f32, original.height() as f32);
        let printed = (self.paper - 2.0 * self.margin) / w.max(h);
        let size = [w * printed + 2.0 * self.margin, h * printed + 2.0 * self.margin];
        let sag = self.bending * size[0] / 2.0;
        let pose = Pose::draw(random, (width, height), size, self.fill, self.tilt, sag);
        let thumbs = if self.hand { Thumb::pair(random, size) } else { Vec::new() };
        let surroundings = Surroundings::draw(random);
        let lamp = unit([between(random, (-0.8, 0.8)), between(random, (-1.0, 0.2)), -1.0]);
        let (distance, focal) = pose.optics();
        let camera = &camera.defocused(distance, focal);
        let scale = pose.scale();
        let pitch = 25.4 / self.ruling;
        let halftone = Halftone::new(pitch * scale, camera.optics());
        let needed = (w * printed * scale) as usize;
        let source = Light::reduced(original, needed, (h * printed * scale) as usize);
        let per_mm = source.width as f32 / (w * printed);
        let mut ink = Light::new(width, height);
        let mut places = Vec::with_capacity(width * height);
        for (index, pixel) in ink.pixels.iter_mut().enumerate() {
            let (x, y) = ((index % width) as f32 + 0.5, (index / width) as f32 + 0.5);
            let hit = pose
                .hit(x, y)
                .filter(|hit| hit.place[0].abs() < size[0] / 2.0 && hit.place[1].abs() < size[1] / 2.0);
            if let Some(hit) = &hit {
                let [u, v] = hit.place;
                let (u, v) = (u + w * printed / 2.0, v + h * printed / 2.0);
                let inside = u > 0.0 && v > 0.0 && u < w * printed && v < h * printed;
                *pixel = if inside { source.at(u * per_mm, v * per_mm) } else { [1.0; 3] };
            }
            places.push(hit);
        }
        let view = |x: f32, y: f32| (x / width as f32, y / height as f32);
        let mut light = Light::new(width, height);
        // Tones are halftoned before the lens blurs the picture, since the table already includes the blur of the lens.
        for (index, (pixel, hit)) in light.pixels.iter_mut().zip(&places).enumerate() {
            let (x, y) = ((index % width) as f32 + 0.5, (index / width) as f32 + 0.5);
            let Some(hit) = hit else {
                let (x, y) = view(x, y);
                *pixel = surroundings.at(x, y);
                continue;
            };
            let cosine = dot(hit.normal, lamp).max(0.0);
            if let Some(skin) = thumbs.iter().find_map(|thumb| thumb.at(hit.place)) {
                *pixel = skin;
                continue;
            }
            let reflected = self.reflectance(&halftone, ink.pixels[index], hit.place, pitch);
            let half = unit([lamp[0], lamp[1], lamp[2] - 1.0]);
            let specular = if self.gloss > 0.0 {
                self.gloss * dot(hit.normal, half).max(0.0).powf(self.shininess)
            } else {
                0.0
            };
            let lit = reflected.map(|part| part * (0.3 + 0.7 * cosine) + specular);
            *pixel = [0, 1, 2].map(|i| lit[i] * self.cast[i]);
        }
        // The lens blurs edges and shading. The dots were blurred in the table, and this blur changes them little.
        light.blur(camera.blur * 0.7);
        light
    }

    /// Light that paper and inks reflect, by Neugebauer's equations with Demichel's coverages: the screens' angles make
    /// the inks independent.
    fn reflectance(&self, halftone: &Halftone, target: Rgb, [u, v]: [f32; 2], pitch: f32) -> Rgb {
        let mut coverages = separate(target).map(|tone| {
            let gained = tone + 4.0 * self.dot_gain * tone * (1.0 - tone);
            (gained * (1.0 - self.faint)).clamp(0.0, 1.0)
        });
        for (tone, angle) in coverages.iter_mut().zip(ANGLES) {
            let (sin, cos) = (angle * PI / 180.0).sin_cos();
            *tone = halftone.at((u * cos + v * sin) / pitch, (v * cos - u * sin) / pitch, *tone);
        }
        let printed = through(coverages);
        [0, 1, 2].map(|i| printed[i] * self.tone[i])
    }
}

/// The light that remains after inks of these coverages, relative to the paper's.
fn through(coverages: [f32; 4]) -> Rgb {
    let mut light = [1.0; 3];
    for (ink, covered) in INKS.iter().zip(coverages) {
        for (light, passed) in light.iter_mut().zip(ink) {
            *light *= 1.0 - covered * (1.0 - passed);
        }
    }
    light
}

/// Coverages of cyan, magenta, yellow and black with which a calibrated printer prints a linear colour. The function
/// inverts the inks' reflectance with black point compensation: the original's black becomes the print's. Half of the
/// grey part is printed in black (grey component replacement). Colours outside the gamut are clipped to it.
fn separate(target: Rgb) -> [f32; 4] {
    /// Reflectance of the darkest print relative to paper: a density of 1.5.
    const BLACK: f32 = 0.03;
    let wanted = target.map(|value| BLACK + (1.0 - BLACK) * value.clamp(0.0, 1.0));
    let grey = 1.0 - wanted.iter().copied().fold(0.0, f32::max);
    let mut inks = [wanted[0], wanted[1], wanted[2]].map(|value| 1.0 - value);
    let black = 0.5 * grey;
    for _ in 0..STEPS {
        let got = through([inks[0], inks[1], inks[2], black]);
        for i in 0..3 {
            inks[i] = (inks[i] + 0.9 * (got[i] - wanted[i])).clamp(0.0, 1.0);
        }
    }
    [inks[0], inks[1], inks[2], black]
}

/// Fixed-point steps of the separation. With this number, the error of a grey is below 0.02.
const STEPS: usize = 6;

#[cfg(test)]
impl PrintParameters {
    /// A flat sheet without border, gloss and hand.
    pub(super) fn plain() -> Self {
        Self {
            gloss: 0.0,
            bending: 0.0,
            tilt: 0.0,
            hand: false,
            margin: 0.0,
            fill: 1.0,
            ..Self::draw(&mut SplitMix64::new(1))
        }
    }

    pub(super) fn reflect_flat(&self, target: Rgb) -> Rgb {
        self.reflectance(&Halftone::new(0.1, 1.0), target, [0.0; 2], 1.0)
    }
}
