//! Simulated presentation attacks: a camera's recording of a print, or of a screen, that shows a given picture.
//!
//! The medium is rendered band-limited: the lens and the sensor's aperture filter the periodic structure of a halftone
//! or of a pixel grid before the sensor samples it. The filter is computed analytically, on the Fourier series or the
//! unit cell of the structure. So only the moiré remains that a real sensor would record, and the rendering's own
//! sampling adds no detail. `docs/simulated-attacks.md` has the parameters.

mod camera;
mod framing;
mod geometry;
mod halftone;
mod light;
mod print;
mod scene;
mod screen;

use image::RgbImage;

pub use self::camera::{CameraParameters, RESOLUTIONS};
pub use self::framing::FaceArea;
use self::light::Light;
pub use self::print::PrintParameters;
pub use self::screen::{Device, ScreenParameters};
use crate::SplitMix64;

/// A kind of simulated presentation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Species {
    /// A print held in front of the camera.
    Print,
    /// A phone, tablet or monitor held in front of the camera.
    Screen,
    /// The original through the same camera without a medium: a bona fide presentation.
    Live,
}

impl Species {
    /// The label in `index.csv`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Print => "simulated-print",
            Self::Screen => "simulated-screen",
            Self::Live => "live",
        }
    }
}

/// Simulates the camera's recording of `original`, as a JPEG file. The medium and the camera are drawn from `seed`. All
/// species of a seed and a resolution share the camera. `resolution` is width and height in pixels; the shorter side
/// becomes the width if the original is higher than wide. A medium shows a portrait of `face`, or the whole original if
/// `face` is `None`.
///
/// A bona fide presentation keeps the original's aspect ratio and has at most its number of pixels, because no camera
/// adds detail.
///
/// # Errors
/// The error of the JPEG encoder. None is expected for pictures of up to 65,535 pixels a side.
pub fn simulate(
    original: &RgbImage,
    face: Option<FaceArea>,
    species: Species,
    resolution: (u32, u32),
    seed: u64,
) -> Result<Vec<u8>, image::ImageError> {
    let camera = CameraParameters::draw(&mut SplitMix64::new(seed), resolution);
    let mut random = SplitMix64::new(seed ^ 0xa5a5_5a5a_0f0f_f0f0);
    let (width, height) = frame(original, species, resolution);
    let portrait = || {
        let mut framing = SplitMix64::new(seed ^ 0x0f0f_5a5a_a5a5_f0f0);
        face.map_or_else(|| original.clone(), |face| framing::portrait(original, face, &mut framing))
    };
    let scene = match species {
        Species::Print => {
            PrintParameters::draw(&mut random).present(&portrait(), width, height, &camera, &mut random)
        }
        Species::Screen => {
            ScreenParameters::draw(&mut random).present(&portrait(), width, height, &camera, &mut random)
        }
        Species::Live => {
            let mut scene = Light::reduced(original, width, height).resized(width, height);
            scene.blur(camera.blur);
            scene
        }
    };
    camera.record(scene, &mut random)
}

/// Width and height of the camera's frame.
fn frame(original: &RgbImage, species: Species, (wide, high): (u32, u32)) -> (usize, usize) {
    let (width, height) = original.dimensions();
    if species == Species::Live {
        let (w, h) = (f64::from(width), f64::from(height));
        let scale = (f64::from(wide) * f64::from(high) / (w * h)).sqrt().min(1.0);
        return ((w * scale).round().max(1.0) as usize, (h * scale).round().max(1.0) as usize);
    }
    if height > width { (high as usize, wide as usize) } else { (wide as usize, high as usize) }
}

/// A number between the ends of a range.
fn between(random: &mut SplitMix64, (low, high): (f32, f32)) -> f32 {
    low + (high - low) * random.unit_f32()
}

/// True with a probability.
fn happens(random: &mut SplitMix64, probability: f32) -> bool {
    random.unit_f32() < probability
}

#[cfg(test)]
mod tests;
