//! Whether the surroundings of a face move together with it, as they do in a picture or on a screen that somebody holds.
//!
//! Two frames between which the face moved are compared around the face: once where the face's own motion would have carried
//! the surroundings, once where they were. A camera that is held in a hand moves both, but then neither agrees as well as a
//! picture does, whose surroundings lie in the plane of the face. Measured on 28 recordings of living people, the surroundings
//! agreed at most 0.02 better with the face's motion than with rest; a print in two hands had 0.33 more, a phone in one hand
//! 0.48, and a monitor before a moved camera -0.01.

use super::track::TrackedFace;
use crate::picture::Affine;
use crate::pipeline::Grey;
use crate::video::ClipFrame;

/// Longer side in pixels of the grey frames.
const LONG_SIDE_PIXELS: usize = 360;

/// Side in pixels of the square that is compared.
const SIDE_PIXELS: usize = 96;
/// Side of the square over that of the face's square.
const SQUARE_FACTOR: f32 = 2.6;

/// Semi-axes of the head, in sides of the face's square, and how far its centre lies above the middle, in sides of the
/// compared square.
const HEAD_SEMI_AXES: [f32; 2] = [0.525, 0.7];
const HEAD_RAISED_BY: f32 = 0.03;
/// The body's half width and its top below the middle, in sides of the compared square.
const BODY: [f32; 2] = [0.42, 0.12];

/// Minimum number of pixels that must show surroundings in both frames.
const MIN_PIXELS: usize = 300;
/// Minimum root mean square displacement of the surroundings by the face's motion, in eye distances.
const MIN_DISPLACEMENT: f32 = 0.25;
/// Minimum number of pairs of frames for a decision.
const MIN_PAIRS: usize = 3;

/// A frame's luma, scaled down.
pub(super) struct GreyFrame {
    width: usize,
    height: usize,
    values: Vec<u8>,
    /// Pixels per pixel of the frame.
    scale: f32,
}

impl GreyFrame {
    /// Means of equal blocks of pixels.
    pub(super) fn new(frame: &ClipFrame) -> Self {
        Self::reduced(frame.luma(), frame.width as usize, frame.height as usize)
    }

    fn reduced(luma: &[u8], width: usize, height: usize) -> Self {
        let step = width.max(height).div_ceil(LONG_SIDE_PIXELS).max(1);
        let (reduced_width, reduced_height) = (width / step, height / step);
        let mut values = Vec::with_capacity(reduced_width * reduced_height);
        for y in 0..reduced_height {
            for x in 0..reduced_width {
                let rows = luma[y * step * width..].chunks(width).take(step);
                let sum: usize = rows
                    .map(|row| row[x * step..][..step].iter().copied().map(usize::from).sum::<usize>())
                    .sum();
                values.push((sum / (step * step)) as u8);
            }
        }
        Self { width: reduced_width, height: reduced_height, values, scale: 1.0 / step as f32 }
    }

    /// The luma at a point of the frame; `None` outside.
    fn at(&self, [x, y]: [f32; 2]) -> Option<f32> {
        let (x, y) = (x * self.scale - 0.5, y * self.scale - 0.5);
        let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 - 1.0 && y < self.height as f32 - 1.0;
        if !inside {
            return None;
        }
        let (left, top) = (x as usize, y as usize);
        let (right, down) = (x - left as f32, y - top as f32);
        let row = |y: usize| {
            let at = y * self.width + left;
            f32::from(self.values[at]) * (1.0 - right) + f32::from(self.values[at + 1]) * right
        };
        Some(row(top) * (1.0 - down) + row(top + 1) * down)
    }

    /// The square under a map of the unit square, with zeros outside of the frame, and where it lies inside.
    fn square(&self, map: &Affine) -> (Grey, Vec<bool>) {
        let points = (0..SIDE_PIXELS * SIDE_PIXELS).map(|at| {
            map.apply([at % SIDE_PIXELS, at / SIDE_PIXELS].map(|n| (n as f32 + 0.5) / SIDE_PIXELS as f32))
        });
        let levels: Vec<Option<f32>> = points.map(|point| self.at(point)).collect();
        let inside = levels.iter().map(Option::is_some).collect();
        let values = levels.into_iter().map(Option::unwrap_or_default).collect();
        (Grey { side: SIDE_PIXELS, values }.contrast(), inside)
    }
}

/// Motion of the surroundings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BackgroundMotion {
    /// Gain in the correlation of the surroundings if they are carried along with the face instead of being at rest;
    /// the median over pairs of frames, -2 to 2.
    pub(super) gain: f32,
}

/// Compares the surroundings of a face in all pairs of frames between which it moved; `None` where there are too few.
pub(super) fn background_motion(faces: &[(&TrackedFace, &GreyFrame)]) -> Option<BackgroundMotion> {
    let mut gains = Vec::new();
    for (i, before) in faces.iter().enumerate() {
        gains.extend(faces[i + 1..].iter().filter_map(|after| gain(before, after)));
    }
    if gains.len() < MIN_PAIRS {
        return None;
    }
    gains.sort_by(f32::total_cmp);
    Some(BackgroundMotion { gain: gains[gains.len() / 2] })
}

fn gain(
    &(before, before_frame): &(&TrackedFace, &GreyFrame),
    &(after, after_frame): &(&TrackedFace, &GreyFrame),
) -> Option<f32> {
    // In the coordinates of the clip's frames.
    let anchors = |face: &TrackedFace| {
        face.landmarks.anchors().map(|point| face.candidate.frame.to_upright.apply(point))
    };
    let motion = Affine::similarity(&anchors(before), &anchors(after));
    let square = Affine::shift(-0.5, -0.5)
        .then(&Affine::scale(SQUARE_FACTOR, SQUARE_FACTOR))
        .then(&Affine::shift(0.5, 0.5))
        .then(&before.landmarks.square())
        .then(&before.candidate.frame.to_upright);
    let carried = square.then(&motion);
    let (reference, seen) = before_frame.square(&square);
    let (resting, rests_inside) = after_frame.square(&square);
    let (moved, moves_inside) = after_frame.square(&carried);
    let pixels: Vec<usize> = (0..SIDE_PIXELS * SIDE_PIXELS)
        .filter(|&at| seen[at] && rests_inside[at] && moves_inside[at] && !is_person(at))
        .collect();
    if pixels.len() < MIN_PIXELS {
        return None;
    }
    let displacement = pixels.iter().map(|&at| {
        let point = [at % SIDE_PIXELS, at / SIDE_PIXELS].map(|n| (n as f32 + 0.5) / SIDE_PIXELS as f32);
        let (from, to) = (square.apply(point), carried.apply(point));
        (to[0] - from[0]).powi(2) + (to[1] - from[1]).powi(2)
    });
    let displacement = (displacement.sum::<f32>() / pixels.len() as f32).sqrt();
    if displacement < MIN_DISPLACEMENT * before.eye_distance() {
        return None;
    }
    Some(correlation(&reference, &moved, &pixels) - correlation(&reference, &resting, &pixels))
}

/// Whether a pixel of the compared square lies on the head or the body.
fn is_person(at: usize) -> bool {
    let [x, y] = [at % SIDE_PIXELS, at / SIDE_PIXELS].map(|n| (n as f32 + 0.5) / SIDE_PIXELS as f32 - 0.5);
    let [half_width, half_height] = HEAD_SEMI_AXES.map(|axis| axis / SQUARE_FACTOR);
    (x / half_width).hypot((y + HEAD_RAISED_BY) / half_height) < 1.0 || (x.abs() < BODY[0] && y > BODY[1])
}

/// Pearson's correlation; 0 where there is no contrast.
fn correlation(one: &Grey, other: &Grey, pixels: &[usize]) -> f32 {
    let n = pixels.len() as f32;
    let mean = |grey: &Grey| pixels.iter().map(|&at| grey.values[at]).sum::<f32>() / n;
    let (one_mean, other_mean) = (mean(one), mean(other));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for &at in pixels {
        let (x, y) = (one.values[at] - one_mean, other.values[at] - other_mean);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    xy / (xx * yy).sqrt().max(1e-4 * n)
}
