//! Attacks for tests: photographs of a picture on a sheet of paper.

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

/// Pseudo-random numbers that are the same in every run (Marsaglia 2003, xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.roll() >> 11) as usize % count
    }

    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.roll() >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn either(&mut self, size: f32) -> f32 {
        if self.roll() >> 63 == 0 { size } else { -size }
    }
}

/// A way to hold the sheet before the camera.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Attack {
    /// Moved, rotated in its plane, nearer or farther.
    Moved,
    /// The same, and tilted by up to 30 degrees about both axes.
    Tilted,
    /// Moved, and bent into a cylinder: an arc of 30 to 150 degrees from edge to edge, about any axis.
    Bent,
    /// Bent and tilted.
    BentAndTilted,
    /// Bent a little, tilted and crumpled.
    Crumpled,
}

impl Attack {
    pub(super) const ALL: [Self; 5] =
        [Self::Moved, Self::Tilted, Self::Bent, Self::BentAndTilted, Self::Crumpled];
}

/// A sheet in front of a camera. The unit of length is the picture's longer side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet {
    /// The direction in which it is bent, and by how much from edge to edge, in radians.
    bend: (f32, f32),
    /// Radians about the upright, the level and the camera's axis.
    rotations: [f32; 3],
    /// Bumps: wave numbers to both sides, phase, height.
    bumps: [[f32; 4]; 3],
    distance: f32,
    zoom: f32,
    shift: [f32; 2],
}

impl Sheet {
    fn new(attack: Attack, dice: &mut Dice) -> Self {
        let tilt = match attack {
            Attack::Moved | Attack::Bent => 0.0,
            Attack::Tilted => 30.0_f32,
            Attack::BentAndTilted | Attack::Crumpled => 21.0,
        };
        let arc = match attack {
            Attack::Moved | Attack::Tilted => 0.0,
            Attack::Bent | Attack::BentAndTilted => 1.0,
            Attack::Crumpled => 0.5,
        };
        let direction = [0.0, 90.0, dice.between(0.0, 180.0)][dice.below(3)].to_radians();
        let bent = dice.between(30.0, 150.0).to_radians();
        let mut angle = |limit: f32| dice.between(-limit, limit).to_radians();
        let rotations = [angle(tilt), angle(tilt), angle(12.0)];
        let height = if attack == Attack::Crumpled { 0.012 } else { 0.0 };
        let mut bump = || {
            [
                dice.between(-12.0, 12.0),
                dice.between(-12.0, 12.0),
                dice.between(0.0, 6.3),
                dice.between(height / 3.0, height),
            ]
        };
        let bumps = [bump(), bump(), bump()];
        Self {
            bend: (direction, arc * dice.either(bent)),
            rotations,
            bumps,
            distance: dice.between(1.2, 4.0),
            zoom: dice.between(0.75, 1.3),
            shift: [dice.between(-0.12, 0.12), dice.between(-0.12, 0.12)],
        }
    }

    /// A flat sheet that faces the camera.
    pub(crate) fn flat() -> Self {
        let (rotations, bumps) = ([0.0; 3], [[0.0; 4]; 3]);
        Self { bend: (0.0, 0.0), rotations, bumps, distance: 2.0, zoom: 0.9, shift: [0.0; 2] }
    }

    /// The same sheet, tilted by these degrees to the picture's right and upwards, and bent by `arc` degrees from edge to
    /// edge in the same direction, moved and nearer or farther.
    pub(crate) fn held(&self, [right, up]: [f32; 2], arc: f32, shift: [f32; 2], zoom: f32) -> Self {
        let bend = (if right == 0.0 { 90.0_f32 } else { 0.0 }.to_radians(), arc.to_radians());
        let rotations = [right.to_radians(), -up.to_radians(), self.rotations[2]];
        Self { bend, rotations, shift, zoom, ..*self }
    }

    /// The sheet on the way to another position, 0 to 1, in the other's bend direction.
    pub(crate) fn towards(&self, other: &Self, part: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * part;
        let direction = if other.bend.1 == 0.0 { self.bend.0 } else { other.bend.0 };
        Self {
            bend: (direction, mix(self.bend.1, other.bend.1)),
            rotations: std::array::from_fn(|i| mix(self.rotations[i], other.rotations[i])),
            zoom: mix(self.zoom, other.zoom),
            shift: std::array::from_fn(|i| mix(self.shift[i], other.shift[i])),
            ..*self
        }
    }

    /// Position at which the camera sees a point of the sheet; both are relative to the middle.
    fn place(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let rotated = |[a, b]: [f32; 2], angle: f32| {
            let (sine, cosine) = angle.sin_cos();
            [a * cosine - b * sine, a * sine + b * cosine]
        };
        let (direction, arc) = self.bend;
        let [mut along, aside] = rotated([x, y], -direction);
        let mut z = 0.0;
        if arc != 0.0 {
            (along, z) = ((arc * along).sin() / arc, (1.0 - (arc * along).cos()) / arc);
        }
        for [across, down, phase, height] in self.bumps {
            z += height * (across * x + down * y + phase).sin();
        }
        let [x, y] = rotated([along, aside], direction);
        let [yaw, pitch, roll] = self.rotations;
        let [x, z] = rotated([x, z], yaw);
        let [y, z] = rotated([y, z], pitch);
        let [x, y] =
            rotated([x, y].map(|value| self.zoom * value * self.distance / (self.distance + z)), roll);
        [x + self.shift[0], y + self.shift[1]]
    }
}

/// Photographs a sheet that shows `photo`, before `wall`: with noise, another exposure, as a JPEG of quality 60 to 90.
pub(super) fn photograph(photo: &RgbImage, attack: Attack, wall: [u8; 3], dice: &mut Dice) -> RgbImage {
    let sheet = Sheet::new(attack, dice);
    photograph_sheet(photo, &sheet, wall, dice)
}

/// Photographs this sheet in the same way.
pub(crate) fn photograph_sheet(photo: &RgbImage, sheet: &Sheet, wall: [u8; 3], dice: &mut Dice) -> RgbImage {
    const SIDE: f32 = 400.0;
    const STEPS: usize = 4;
    let longer = photo.width().max(photo.height()) as f32;
    let [width, height] = [photo.width(), photo.height()].map(|side| side as f32 / longer);
    let (noise, exposure, offset) =
        (dice.between(2.0, 12.0), dice.between(0.7, 1.25), dice.between(-20.0, 20.0));
    // The way back, by Newton's steps with the derivatives at the middle, each pixel from where its neighbour was.
    let middle = sheet.place([0.0; 2]);
    let derivative = |at: [f32; 2]| {
        let moved = sheet.place(at);
        [(moved[0] - middle[0]) / 1e-2, (moved[1] - middle[1]) / 1e-2]
    };
    let ([a, d], [b, e]) = (derivative([1e-2, 0.0]), derivative([0.0, 1e-2]));
    let determinant = a * e - b * d;
    let mut at = [0.0; 2];
    let seen = RgbImage::from_fn((SIDE * width) as u32, (SIDE * height) as u32, |i, j| {
        let target = [(i as f32 + 0.5) / SIDE - width / 2.0, (j as f32 + 0.5) / SIDE - height / 2.0];
        for _ in 0..if i == 0 { 6 * STEPS } else { STEPS } {
            let found = sheet.place(at);
            let [x, y] = [target[0] - found[0], target[1] - found[1]];
            let step = [(e * x - b * y) / determinant, (a * y - d * x) / determinant];
            at = [0, 1].map(|axis| (at[axis] + 0.8 * step[axis]).clamp(-1.0, 1.0));
        }
        let point = [(at[0] + width / 2.0) * longer - 0.5, (at[1] + height / 2.0) * longer - 0.5];
        let colour = bilinear(photo, point).unwrap_or(wall.map(f32::from));
        let grain = dice.between(-noise, noise);
        Rgb(colour.map(|level| (level * exposure + offset + grain) as u8))
    });
    compressed(&seen, 60 + dice.below(31) as u8)
}

pub(super) fn compressed(picture: &RgbImage, quality: u8) -> RgbImage {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    image::load_from_memory(&bytes).unwrap().into_rgb8()
}

fn bilinear(picture: &RgbImage, [x, y]: [f32; 2]) -> Option<[f32; 3]> {
    let (left, top) = (x.floor(), y.floor());
    let inside = left >= 0.0
        && top >= 0.0
        && left + 1.0 < picture.width() as f32
        && top + 1.0 < picture.height() as f32;
    if !inside {
        return None;
    }
    let pixel = |dx, dy| picture.get_pixel(left as u32 + dx, top as u32 + dy).0.map(f32::from);
    let mix = |p: [f32; 3], q: [f32; 3], part: f32| std::array::from_fn(|i| p[i] + (q[i] - p[i]) * part);
    let above = mix(pixel(0, 0), pixel(1, 0), x - left);
    let below = mix(pixel(0, 1), pixel(1, 1), x - left);
    Some(mix(above, below, y - top))
}
