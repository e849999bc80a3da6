//! Surroundings of a medium in the frame: a wall, furniture and fingers.

use super::between;
use super::light::Rgb;
use crate::SplitMix64;

/// Surroundings, drawn once per picture.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    wall: Rgb,
    slope: [f32; 2],
    boxes: Vec<([f32; 4], Rgb)>,
}

impl Surroundings {
    pub(super) fn draw(random: &mut SplitMix64) -> Self {
        let albedo = |random: &mut SplitMix64, range| {
            let grey = between(random, range);
            [0; 3].map(|_| grey * between(random, (0.8, 1.2)))
        };
        let wall = albedo(random, (0.2, 0.7));
        let slope = [between(random, (-0.4, 0.4)), between(random, (-0.4, 0.4))];
        let boxes = (0..5)
            .map(|_| {
                let [x, y] = [between(random, (-0.2, 0.9)), between(random, (-0.2, 0.9))];
                let size = [between(random, (0.1, 0.5)), between(random, (0.1, 0.6))];
                ([x, y, x + size[0], y + size[1]], albedo(random, (0.03, 0.6)))
            })
            .collect();
        Self { wall, slope, boxes }
    }

    /// The light at a position in the frame, 0 to 1 on both axes.
    pub(super) fn at(&self, x: f32, y: f32) -> Rgb {
        let inside = |area: &[f32; 4]| x > area[0] && y > area[1] && x < area[2] && y < area[3];
        let albedo =
            self.boxes.iter().rev().find(|(area, _)| inside(area)).map_or(self.wall, |(_, rgb)| *rgb);
        let lit = 1.0 + self.slope[0] * (x - 0.5) + self.slope[1] * (y - 0.5);
        albedo.map(|albedo| albedo * lit)
    }
}

/// A thumb over the border of a sheet or a device.
#[derive(Clone, Debug)]
pub(super) struct Thumb {
    /// Tip, and the direction towards the hand, in mm of the sheet.
    tip: [f32; 2],
    towards: f32,
    radius: f32,
    skin: Rgb,
}

impl Thumb {
    /// One thumb on the left and one on the right of a sheet of `size` mm.
    pub(super) fn pair(random: &mut SplitMix64, size: [f32; 2]) -> Vec<Self> {
        // Albedo of skin in red, green, blue: from dark to light (Anderson and Parrish 1981, averaged over the bands).
        let depth = random.unit_f32();
        let skin = [0.15 + 0.4 * depth, 0.07 + 0.25 * depth, 0.05 + 0.18 * depth];
        let y = between(random, (-0.1, 0.4)) * size[1];
        let reach = between(random, (5.0, 22.0));
        [-1.0, 1.0]
            .map(|side| Self { tip: [side * (size[0] / 2.0 - reach), y], towards: side, radius: 9.0, skin })
            .into()
    }

    /// The skin's light at a place of the sheet, if the thumb is there.
    pub(super) fn at(&self, [x, y]: [f32; 2]) -> Option<Rgb> {
        let along = ((x - self.tip[0]) * self.towards).max(0.0);
        let beside =
            (x - self.tip[0] - along * self.towards).hypot(y - self.tip[1] - along * 0.25) / self.radius;
        // A cylinder's Lambert shading.
        (beside < 1.0)
            .then(|| self.skin.map(|albedo| albedo * (0.35 + 0.65 * (1.0 - beside * beside).sqrt())))
    }
}
