//! Tests of the traces that each effect leaves in the picture.

use std::f32::consts::TAU;

use image::{Rgb, RgbImage};

use super::halftone::Halftone;
use super::screen::Grid;
use super::*;

fn camera() -> CameraParameters {
    CameraParameters {
        blur: 0.4,
        aperture: 1.0,
        ..CameraParameters::draw(&mut SplitMix64::new(3), (640, 480))
    }
}

fn face() -> RgbImage {
    RgbImage::from_fn(300, 200, |x, y| Rgb([200, (x % 256) as u8, (y % 256) as u8]))
}

/// Strength of a frequency, in cycles per sample, relative to the mean.
fn strength(samples: &[f32], frequency: f32) -> f32 {
    let (mut re, mut im) = (0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let (sin, cos) = (TAU * frequency * i as f32).sin_cos();
        re += sample * cos;
        im += sample * sin;
    }
    re.hypot(im) / samples.iter().sum::<f32>()
}

#[test]
fn a_halftone_has_its_peak_at_the_screen_frequency() {
    let halftone = Halftone::new(8.0, 0.6);
    let line: Vec<f32> = (0..800).map(|x| halftone.at(x as f32 / 8.0, 0.1, 0.4)).collect();
    assert!(strength(&line, 1.0 / 8.0) > 0.2, "{}", strength(&line, 1.0 / 8.0));
    assert!(strength(&line, 1.0 / 11.3) < 0.01);
}

#[test]
fn stripes_of_three_colours_stand_side_by_side() {
    let grid = Grid::new(0.9, 0.1, &camera());
    let line: Vec<[f32; 3]> = (0..400).map(|x| grid.at(x as f32 * 0.1, 0.5)).collect();
    for colour in 0..3 {
        let channel: Vec<f32> = line.iter().map(|rgb| rgb[colour]).collect();
        assert!(strength(&channel, 0.1) > 0.3);
    }
    let brightest = |third: f32| {
        let rgb = grid.at(third, 0.5);
        (0..3).max_by(|&a, &b| rgb[a].total_cmp(&rgb[b])).unwrap()
    };
    assert_eq!([1.0 / 6.0, 0.5, 5.0 / 6.0].map(brightest), [0, 1, 2]);
}

#[test]
fn moire_beats_where_the_ratio_of_the_pitches_says() {
    // 0.95 display pixels per camera pixel beat with the sensor at 0.05 cycles per pixel.
    let sampled = |frequency: f32, aperture: f32| {
        let grid = Grid::new(0.9, frequency, &CameraParameters { aperture, blur: 0.35, ..camera() });
        (0..800).map(|x| grid.at(x as f32 * frequency, 0.5)[1]).collect::<Vec<_>>()
    };
    assert!(strength(&sampled(0.95, 0.6), 0.05) > 0.03, "{}", strength(&sampled(0.95, 0.6), 0.05));
    assert!(strength(&sampled(0.95, 0.6), 0.083) < 0.005);
    assert!(strength(&sampled(6.05, 1.0), 0.05) < 0.005, "optics remove what is far beyond the sensor");
}

#[test]
fn paper_has_less_gamut_and_range_than_light() {
    let print = PrintParameters::plain();
    let [white, black, red] = [[1.0; 3], [0.0; 3], [1.0, 0.0, 0.0]].map(|colour| print.reflect_flat(colour));
    assert!(
        white.iter().all(|part| *part < 0.95) && black.iter().all(|part| *part > 0.002),
        "{white:?} {black:?}"
    );
    assert!(white[1] / black[1] < 300.0 && red[0] < 0.85 && red[1] > 0.01, "{red:?}");
}

#[test]
fn a_calibrated_print_keeps_greys_grey() {
    let print = PrintParameters { dot_gain: 0.0, faint: 0.0, tone: [1.0; 3], ..PrintParameters::plain() };
    for grey in [0.1, 0.3, 0.6, 0.9] {
        let shown = print.reflect_flat([grey; 3]);
        assert!(shown.iter().all(|part| (part - grey).abs() < 0.05), "{grey}: {shown:?}");
    }
}

#[test]
fn a_near_object_is_out_of_focus_for_a_camera_of_fixed_focus() {
    let fixed = CameraParameters { focus: Some(600.0), pupil: 1.5, ..camera() };
    assert!((fixed.defocused(600.0, 560.0).blur - fixed.blur).abs() < 1e-6);
    assert!(fixed.defocused(150.0, 560.0).blur > 2.0 * fixed.blur);
    assert_eq!(CameraParameters { focus: None, ..fixed }.defocused(150.0, 560.0).blur, 0.4);
}

#[test]
fn frames_have_the_camera_s_size_and_the_original_s_orientation() {
    let size = |picture: &RgbImage, species| {
        let file = simulate(picture, None, species, (320, 240), 5).unwrap();
        let shown = image::load_from_memory(&file).unwrap();
        (shown.width(), shown.height())
    };
    let high = image::imageops::rotate90(&face());
    for species in [Species::Print, Species::Screen] {
        assert_eq!(size(&face(), species), (320, 240));
        assert_eq!(size(&high, species), (240, 320));
    }
    assert_eq!(size(&face(), Species::Live), (300, 200), "a twin has no more pixels than the original");
}

#[test]
fn a_seed_makes_one_picture() {
    for species in [Species::Print, Species::Screen, Species::Live] {
        let file = |seed| simulate(&face(), None, species, (320, 240), seed).unwrap();
        assert_eq!(file(7), file(7));
        assert_ne!(file(7), file(8));
    }
}

#[test]
fn noise_grows_with_light_and_shrinks_with_the_electrons() {
    let deviation = |electrons: f32, grey: u8| {
        let camera = CameraParameters { electrons, mosaic: false, sharpening: 0.0, quality: 95, ..camera() };
        let picture = RgbImage::from_pixel(64, 64, Rgb([grey; 3]));
        let light = Light::reduced(&picture, 64, 64);
        let file = camera.record(light, &mut SplitMix64::new(1)).unwrap();
        let shown = image::load_from_memory(&file).unwrap().into_luma8();
        let mean = shown.iter().map(|value| f64::from(*value)).sum::<f64>() / 4096.0;
        (shown.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / 4096.0).sqrt()
    };
    assert!(deviation(1_500.0, 128) > 2.0 * deviation(15_000.0, 128));
}
