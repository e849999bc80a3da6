//! A screen: a grid of red, green and blue stripes behind glass that reflects the room.

use std::f32::consts::{PI, TAU};

use image::RgbImage;

use super::camera::CameraParameters;
use super::geometry::Pose;
use super::light::{Light, Rgb, encode};
use super::scene::{Surroundings, Thumb};
use super::{between, happens};
use crate::SplitMix64;

/// A kind of device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Device {
    /// 6.1 inches, 460 pixels an inch.
    Phone,
    /// 10 inches, 200 to 264 pixels an inch.
    Tablet,
    /// 14 to 24 inches, about 92 to 157 pixels an inch.
    Monitor,
}

/// Parameters of a screen.
#[derive(Clone, Debug)]
pub struct ScreenParameters {
    /// The device.
    pub device: Device,
    /// Longer side of the display, mm.
    pub size: f32,
    /// Pixels per inch.
    pub density: f32,
    /// Lit part of a stripe's width (a third of a pixel) and of its height, 0.7 to 0.95. The black matrix covers the
    /// rest.
    pub aperture: f32,
    /// The display's gamma, 1.9 to 2.6; the standard's is 2.2.
    pub gamma: f32,
    /// White of the screen relative to that of sRGB, in red, green, blue: 0.8 to 1, 1, 1 to 1.35 (6,500 to 9,300 K).
    pub white: Rgb,
    /// Light of a black pixel as a share of white: leakage and diffuse reflection, 0.002 to 0.04.
    pub black: f32,
    /// White of the screen relative to a white sheet in the room: 0.6 to 4.
    pub brightness: f32,
    /// Strength of a lamp's or window's mirror image as a share of white: 0 to 0.6.
    pub glare: f32,
    /// Width of the frame around the display, mm: 3 to 18.
    pub bezel: f32,
    /// Largest tilt, radians: 0.02 to 0.25.
    pub tilt: f32,
    /// Part of the frame's tighter side that the display spans, 0.45 to 1.1.
    pub fill: f32,
    /// Whether thumbs hold the device.
    pub hand: bool,
}

impl ScreenParameters {
    /// Draws from the ranges above.
    pub fn draw(random: &mut SplitMix64) -> Self {
        let device = [Device::Phone, Device::Tablet, Device::Tablet, Device::Monitor][random.below(4)];
        let (size, density) = match device {
            Device::Phone => (140.0, 460.0),
            Device::Tablet => (208.0, between(random, (200.0, 264.0))),
            Device::Monitor => (between(random, (310.0, 530.0)), between(random, (92.0, 157.0))),
        };
        let cold = random.unit_f32();
        Self {
            device,
            size,
            density,
            aperture: between(random, (0.7, 0.95)),
            gamma: between(random, (1.9, 2.6)),
            white: [1.0 - 0.2 * cold, 1.0, 1.0 + 0.35 * cold],
            black: between(random, (0.002, 0.04)),
            brightness: between(random, (0.6, 4.0)),
            glare: if happens(random, 0.5) { between(random, (0.03, 0.6)) } else { 0.0 },
            bezel: between(random, (3.0, 18.0)),
            tilt: between(random, (0.02, 0.25)),
            fill: between(random, (0.45, 1.1)),
            hand: device != Device::Monitor && happens(random, 0.4),
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
        let shown = self.size / w.max(h);
        let size = [w * shown, h * shown];
        let outer = size.map(|side| side + 2.0 * self.bezel);
        let pose = Pose::draw(random, (width, height), size, self.fill, self.tilt, 0.0);
        let thumbs = if self.hand { Thumb::pair(random, outer) } else { Vec::new() };
        let surroundings = Surroundings::draw(random);
        let window = [between(random, (0.0, 0.8)), between(random, (0.0, 0.8)), 0.25, 0.3];
        let case = if happens(random, 0.7) { 0.02 } else { 0.6 };
        let (distance, focal) = pose.optics();
        let camera = &camera.defocused(distance, focal);
        let scale = pose.scale();
        let mut source = Light::reduced(original, (size[0] * scale) as usize, (size[1] * scale) as usize);
        for pixel in &mut source.pixels {
            for (value, white) in pixel.iter_mut().zip(self.white) {
                *value = (self.black + (1.0 - self.black) * encode(*value).powf(self.gamma)) * white;
            }
        }
        let per_mm = source.width as f32 / size[0];
        let grid = Grid::new(self.aperture, self.density / 25.4 / scale, camera);
        let mut light = Light::new(width, height);
        let mut places = vec![None; width * height];
        for (index, pixel) in light.pixels.iter_mut().enumerate() {
            let (x, y) = ((index % width) as f32 + 0.5, (index / width) as f32 + 0.5);
            let (fx, fy) = (x / width as f32, y / height as f32);
            let Some([u, v]) = pose.hit(x, y).map(|hit| hit.place) else {
                *pixel = surroundings.at(fx, fy);
                continue;
            };
            if u.abs() > outer[0] / 2.0 || v.abs() > outer[1] / 2.0 {
                *pixel = surroundings.at(fx, fy);
            } else if let Some(skin) = thumbs.iter().find_map(|thumb| thumb.at([u, v])) {
                *pixel = skin;
            } else if u.abs() < size[0] / 2.0 && v.abs() < size[1] / 2.0 {
                let (u, v) = (u + size[0] / 2.0, v + size[1] / 2.0);
                *pixel = source.at(u * per_mm, v * per_mm).map(|value| value * self.brightness);
                places[index] = Some([u * self.density / 25.4, v * self.density / 25.4]);
            } else {
                *pixel = [case; 3];
            }
        }
        light.blur(camera.blur);
        for (index, (pixel, place)) in light.pixels.iter_mut().zip(&places).enumerate() {
            let Some([u, v]) = place else { continue };
            let (fx, fy) = ((index % width) as f32 / width as f32, (index / width) as f32 / height as f32);
            let mirrored = self.glare * self.brightness * soft_box(window, fx, fy);
            let grid = grid.at(*u, *v);
            for (value, lit) in pixel.iter_mut().zip(grid) {
                *value = *value * lit + mirrored;
            }
        }
        light
    }
}

/// A window's mirror image: 1 inside, falling to 0 over a quarter of its size (the mirror image is out of focus).
fn soft_box([x, y, wide, high]: [f32; 4], fx: f32, fy: f32) -> f32 {
    let edge = |at: f32, size: f32| ((at / size).min(1.0 - at / size) * 4.0).clamp(0.0, 1.0);
    edge(fx - x, wide) * edge(fy - y, high)
}

/// The pixel grid as a Fourier series whose terms lens and sensor have damped: `1 + Σ 2 aₙ cos 2πn(u - shift)` on
/// each axis.
///
/// A stripe of duty `d` has the coefficients `sinc(n d)`, relative to its mean. At `f` cycles per camera pixel, the
/// lens (Gaussian) multiplies by `exp(-2 π² σ² f²)` and the square aperture by `sinc(f a)` (Goodman, "Introduction
/// to Fourier Optics"). Terms above half a cycle per pixel are not removed; the sampling turns them into moiré.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    across: [f32; HARMONICS],
    down: [f32; HARMONICS],
}

/// Number of terms of the series. The fourth would be below a hundredth even for sharp optics.
const HARMONICS: usize = 3;

impl Grid {
    /// A grid of `frequency` display pixels per camera pixel.
    pub(super) fn new(aperture: f32, frequency: f32, camera: &CameraParameters) -> Self {
        let damped = |duty: f32| {
            std::array::from_fn(|n| {
                let n = (n + 1) as f32;
                let f = n * frequency;
                let lens = (-2.0 * PI * PI * camera.blur * camera.blur * f * f).exp();
                2.0 * sinc(n * duty) * lens * sinc(f * camera.aperture)
            })
        };
        Self { across: damped(aperture / 3.0), down: damped(aperture) }
    }

    /// Red, green and blue light at a position in display pixels, relative to the mean light.
    pub(super) fn at(&self, u: f32, v: f32) -> Rgb {
        let wave = |terms: &[f32; HARMONICS], at: f32| {
            let at = at - at.floor();
            let sum: f32 = (1_u8..).zip(terms).map(|(n, term)| term * (TAU * f32::from(n) * at).cos()).sum();
            (1.0 + sum).max(0.0)
        };
        if self.across[0].abs() + self.down[0].abs() < 5e-4 {
            return [1.0; 3];
        }
        let row = wave(&self.down, v - 0.5);
        [1.0, 3.0, 5.0].map(|sixth| row * wave(&self.across, u - sixth / 6.0))
    }
}

fn sinc(x: f32) -> f32 {
    if x.abs() < 1e-4 { 1.0 } else { (PI * x).sin() / (PI * x) }
}
