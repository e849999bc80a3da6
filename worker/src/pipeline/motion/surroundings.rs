//! What lies around a face.

use crate::picture::{Affine, Chip, Kernel, Picture, Sampler};
use crate::pipeline::frame::Frame;
use crate::pipeline::landmarks::Landmarks;

/// Pixels to a side of the square that is looked at.
const SIDE: u32 = 64;

/// How much larger it is than the face's.
const FACTOR: f32 = 3.2;

/// Half the axes of the head in it, and how far above its middle the head lies.
const HEAD: [f32; 2] = [0.16, 0.22];
const RAISED: f32 = 0.03;

/// The body: so far to each side of the middle, and from here on below it.
const BODY: [f32; 2] = [0.3, 0.12];

/// Pixels below which too little is seen of the place.
const LEAST: usize = 200;

/// Steps of each colour.
const BINS: usize = 8;

/// The colours around a face, without those of the head and the body.
pub(super) struct Surroundings {
    /// Relative frequencies, blurred over neighbouring colours.
    colours: Vec<f32>,
}

impl Surroundings {
    /// Looks around the face with these landmarks; `None` where the picture shows little else.
    pub(super) fn of(
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        landmarks: &Landmarks,
    ) -> Option<Self> {
        let mut chip = Chip { width: SIDE, height: SIDE, pixels: Vec::new() };
        let widened = Affine::shift(-0.5, -0.5)
            .then(&Affine::scale(FACTOR, FACTOR))
            .then(&Affine::shift(0.5, 0.5))
            .then(&landmarks.square());
        let to_frame = chip.to_unit().then(&widened);
        sampler.cut(picture, &to_frame.then(&frame.to_upright), 0, Kernel::Linear, &mut chip);
        let (pixels, _) = chip.pixels.as_chunks::<3>();
        let mut seen = 0;
        let mut counts = vec![0.0; BINS.pow(3)];
        for (at, pixel) in (0..).zip(pixels) {
            let place = [at % SIDE, at / SIDE].map(|n| n as f32 + 0.5);
            let [x, y] = to_frame.apply(place);
            let is_inside = x > 0.0 && y > 0.0 && x < frame.width && y < frame.height;
            if is_inside && !is_person(place.map(|value| value / SIDE as f32 - 0.5)) {
                let [r, g, b] = pixel.map(|value| usize::from(value) * BINS / 256);
                counts[(r * BINS + g) * BINS + b] += 1.0;
                seen += 1;
            }
        }
        (seen >= LEAST).then(|| Self { colours: blurred(counts) })
    }

    /// Bhattacharyya's coefficient of both, 0 to 1.
    pub(super) fn likeness(&self, other: &Self) -> f32 {
        self.colours.iter().zip(&other.colours).map(|(a, b)| (a * b).sqrt()).sum()
    }
}

/// Whether head or body lie here, from the square's middle.
fn is_person([x, y]: [f32; 2]) -> bool {
    (x / HEAD[0]).hypot((y + RAISED) / HEAD[1]) <= 1.0 || (x.abs() < BODY[0] && y > BODY[1])
}

/// Spreads each colour over its neighbours: a camera that exposes a little differently moves few colours by more. Then
/// makes the sum one.
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
    use crate::picture::{Limits, Source};
    use crate::pipeline::frame::Turn;

    /// Two walls that meet behind a face of this width, in a square of 400 pixels.
    fn seen(walls: [[u8; 3]; 2], corner: usize, face: f32) -> Option<Surroundings> {
        let mut ppm = b"P6 400 400 255
"
        .to_vec();
        ppm.extend((0..400 * 400).flat_map(|at| walls[usize::from(at % 400 >= corner)]));
        let picture = Source::open(&ppm, &Limits::default()).unwrap().decode(400).unwrap();
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
        Surroundings::of(&mut Sampler::default(), &picture, &Frame::new(&picture, Turn::None), &landmarks)
    }

    #[test]
    fn one_place_is_alike_and_another_is_not() {
        let (grey, green) = ([150, 150, 160], [40, 90, 50]);
        let place = seen([grey, green], 200, 90.0).unwrap();
        let moved = seen([grey.map(|level| level + 2), green.map(|level| level + 2)], 220, 100.0).unwrap();
        assert!(place.likeness(&moved) > 0.9, "{}", place.likeness(&moved));
        assert!((place.likeness(&place) - 1.0).abs() < 1e-3);
        let elsewhere = seen([[210, 190, 160], green], 200, 90.0).unwrap();
        assert!(place.likeness(&elsewhere) < 0.75, "{}", place.likeness(&elsewhere));
    }

    #[test]
    fn a_face_that_fills_the_picture_has_no_surroundings() {
        assert!(seen([[99; 3]; 2], 200, 390.0).is_none());
    }
}
