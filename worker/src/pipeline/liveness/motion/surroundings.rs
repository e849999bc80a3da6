//! The colours around a face, which show whether two pictures were taken in the same place.

use crate::picture::{Affine, Chip, Kernel, Sampler};
use crate::pipeline::geometry::{FramedPicture, Landmarks};

/// Side in pixels of the square that is sampled.
const SIDE_PIXELS: u32 = 64;

/// Side of the square over that of the face's square.
const SQUARE_FACTOR: f32 = 3.2;

/// Semi-axes of the head, in sides of the square.
const HEAD_SEMI_AXES: [f32; 2] = [0.16, 0.22];
/// Height of the head's centre above the square's middle, in sides of the square.
const HEAD_RAISED_BY: f32 = 0.03;

/// The body's half width and its top below the square's middle, in sides of the square.
const BODY: [f32; 2] = [0.3, 0.12];

/// Minimum number of pixels of the square that must show surroundings.
const MIN_PIXELS: usize = 200;

/// Bins of the histogram per channel.
const BINS: usize = 8;

/// The colours around a face, without those of the head and the body.
pub(super) struct Surroundings {
    /// Relative frequencies, blurred over neighbouring colours.
    colours: Vec<f32>,
}

impl Surroundings {
    /// Samples the surroundings of the face with these landmarks; `None` where the picture shows little of them.
    pub(super) fn cut(
        sampler: &mut Sampler,
        framed: &FramedPicture<'_>,
        landmarks: &Landmarks,
    ) -> Option<Self> {
        let frame = &framed.frame;
        let mut chip = Chip { width: SIDE_PIXELS, height: SIDE_PIXELS, pixels: Vec::new() };
        let widened = Affine::shift(-0.5, -0.5)
            .then(&Affine::scale(SQUARE_FACTOR, SQUARE_FACTOR))
            .then(&Affine::shift(0.5, 0.5))
            .then(&landmarks.square());
        let to_frame = chip.to_unit().then(&widened);
        sampler.cut(framed.picture, &to_frame.then(&frame.to_upright), 0, Kernel::Linear, &mut chip);
        let (pixels, _) = chip.pixels.as_chunks::<3>();
        let mut seen = 0;
        let mut counts = vec![0.0; BINS.pow(3)];
        for (at, pixel) in (0..).zip(pixels) {
            let point = [at % SIDE_PIXELS, at / SIDE_PIXELS].map(|n| n as f32 + 0.5);
            let [x, y] = to_frame.apply(point);
            let is_inside = x > 0.0 && y > 0.0 && x < frame.width && y < frame.height;
            if is_inside && !is_person(point.map(|value| value / SIDE_PIXELS as f32 - 0.5)) {
                let [r, g, b] = pixel.map(|value| usize::from(value) * BINS / 256);
                counts[(r * BINS + g) * BINS + b] += 1.0;
                seen += 1;
            }
        }
        (seen >= MIN_PIXELS).then(|| Self { colours: blurred(counts) })
    }

    /// Bhattacharyya coefficient of both histograms, 0 to 1.
    pub(super) fn similarity(&self, other: &Self) -> f32 {
        self.colours.iter().zip(&other.colours).map(|(a, b)| (a * b).sqrt()).sum()
    }
}

/// Whether a point, relative to the square's middle, lies on the head or the body.
fn is_person([x, y]: [f32; 2]) -> bool {
    (x / HEAD_SEMI_AXES[0]).hypot((y + HEAD_RAISED_BY) / HEAD_SEMI_AXES[1]) <= 1.0
        || (x.abs() < BODY[0] && y > BODY[1])
}

/// Spreads each colour over its neighbours, then normalises the sum to 1. A slightly different exposure moves few
/// colours by more than one bin.
fn blurred(mut counts: Vec<f32>) -> Vec<f32> {
    for stride in [1, BINS, BINS * BINS] {
        let value = |at: usize, step: isize| {
            let bin = (at / stride % BINS).checked_add_signed(step).filter(|bin| *bin < BINS);
            bin.map_or(0.0, |_| counts[at.wrapping_add_signed(step * stride as isize)])
        };
        counts = (0..counts.len())
            .map(|at| value(at, -1) / 4.0 + value(at, 0) / 2.0 + value(at, 1) / 4.0)
            .collect();
    }
    let total: f32 = counts.iter().sum();
    counts.into_iter().map(|count| count / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{PictureLimits, Source};
    use crate::pipeline::geometry::Rotation;

    /// Two walls that meet behind a face of this width, in a square of 400 pixels.
    fn seen(walls: [[u8; 3]; 2], corner: usize, face: f32) -> Option<Surroundings> {
        let mut ppm = b"P6 400 400 255
"
        .to_vec();
        ppm.extend((0..400 * 400).flat_map(|at| walls[usize::from(at % 400 >= corner)]));
        let picture = Source::open(&ppm, &PictureLimits::default()).unwrap().decode(400).unwrap();
        let landmarks = Landmarks(std::array::from_fn(|i| {
            // The anchors that place the face; all others lie in its middle.
            let [x, y] = match i {
                36..=41 => [-0.21, -0.1],
                42..=47 => [0.21, -0.1],
                48 | 60 => [-0.18, 0.39],
                54 | 64 => [0.18, 0.39],
                0 => [-0.5, -0.15],
                16 => [0.5, -0.15],
                8 => [0.0, 0.76],
                27 => [0.0, -0.11],
                _ => [0.0, 0.16],
            };
            [200.0 + face * x, 200.0 + face * y]
        }));
        let framed = FramedPicture::new(&picture, Rotation::None);
        Surroundings::cut(&mut Sampler::default(), &framed, &landmarks)
    }

    #[test]
    fn one_place_is_alike_and_another_is_not() {
        let (grey, green) = ([150, 150, 160], [40, 90, 50]);
        let place = seen([grey, green], 200, 90.0).unwrap();
        let moved = seen([grey.map(|level| level + 2), green.map(|level| level + 2)], 220, 100.0).unwrap();
        assert!(place.similarity(&moved) > 0.9, "{}", place.similarity(&moved));
        assert!((place.similarity(&place) - 1.0).abs() < 1e-3);
        let elsewhere = seen([[210, 190, 160], green], 200, 90.0).unwrap();
        assert!(place.similarity(&elsewhere) < 0.75, "{}", place.similarity(&elsewhere));
    }

    #[test]
    fn a_face_that_fills_the_picture_has_no_surroundings() {
        assert!(seen([[99; 3]; 2], 200, 390.0).is_none());
    }
}
