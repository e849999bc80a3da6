//! The point at which a camera's pixel meets a flat or cylindrically bent sheet: an exact intersection of the pinhole
//! camera's ray.

use super::between;
use crate::SplitMix64;

/// A sheet in front of a pinhole camera. Lengths are in millimetres; the sheet's origin is its middle.
#[derive(Clone, Debug)]
pub(super) struct Pose {
    /// Rows: the sheet's axes (across the bending axis, along it, normal) in the camera's axes.
    axes: [[f32; 3]; 3],
    origin: [f32; 3],
    /// The direction across the bending axis, in the sheet's plane: cosine and sine.
    bend: [f32; 2],
    /// 1 / radius of the cylinder, 1/mm; 0 is flat.
    curvature: f32,
    focal: f32,
    centre: [f32; 2],
}

/// A place on the sheet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// Millimetres from the middle, to the right and down, along the sheet's surface.
    pub(super) place: [f32; 2],
    /// The unit normal in the camera's axes.
    pub(super) normal: [f32; 3],
}

impl Pose {
    /// A sheet of `width` by `height` mm that spans `fill` of the frame's tighter side. It is tilted by up to `tilt`
    /// radians about each of its axes, and rotated in its plane by up to a third of that. It is bent by `sag` mm over
    /// half its width.
    pub(super) fn draw(
        random: &mut SplitMix64,
        frame: (usize, usize),
        size: [f32; 2],
        fill: f32,
        tilt: f32,
        sag: f32,
    ) -> Self {
        let (width, height) = (frame.0 as f32, frame.1 as f32);
        // A horizontal field of view of 60 to 75 degrees: webcams and selfie cameras.
        let half_view = between(random, (30.0, 37.5)).to_radians();
        let focal = width.max(height) / 2.0 / half_view.tan();
        let scale = fill * (width / size[0]).min(height / size[1]);
        let [a, b, c] = [1.0, 1.0, 0.33].map(|part| between(random, (-tilt, tilt)) * part);
        let bend = between(random, (-0.5, 0.5)).sin_cos();
        let bend = [bend.1, bend.0];
        let (half, sag) = (size[0] / 2.0, sag * if random.unit_f32() < 0.5 { -1.0 } else { 1.0 });
        let curvature = 2.0 * sag / (half * half + sag * sag);
        let (sa, ca, sb, cb, sc, cc) = (a.sin(), a.cos(), b.sin(), b.cos(), c.sin(), c.cos());
        let right = [cc * cb, sc * cb, -sb];
        let down = [-sc * ca + cc * sb * sa, cc * ca + sc * sb * sa, cb * sa];
        let normal = cross(right, down);
        let across = combine(right, bend[0], down, bend[1]);
        let along = combine(right, -bend[1], down, bend[0]);
        let distance = focal / scale;
        let free = [(width - size[0] * scale).abs() / 2.0, (height - size[1] * scale).abs() / 2.0];
        let shift = free.map(|free| between(random, (-free, free)) * 0.5 / scale);
        Self {
            axes: [across, along, normal],
            origin: [shift[0], shift[1], distance],
            bend,
            curvature,
            focal,
            centre: [width / 2.0, height / 2.0],
        }
    }

    /// A flat sheet that faces the camera, with its middle in the middle of the frame; `scale` in pixels per
    /// millimetre.
    #[cfg(test)]
    pub(super) fn straight(frame: (usize, usize), scale: f32) -> Self {
        Self {
            axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            origin: [0.0, 0.0, frame.0 as f32 / scale],
            bend: [1.0, 0.0],
            curvature: 0.0,
            focal: frame.0 as f32,
            centre: [frame.0 as f32 / 2.0, frame.1 as f32 / 2.0],
        }
    }

    /// The same sheet with another curvature, 1/mm.
    #[cfg(test)]
    pub(super) fn bent(mut self, curvature: f32) -> Self {
        self.curvature = curvature;
        self
    }

    /// Pixels per millimetre at the sheet's middle.
    pub(super) fn scale(&self) -> f32 {
        self.focal / self.origin[2]
    }

    /// Distance of the sheet's middle, mm, and focal length, pixels.
    pub(super) fn optics(&self) -> (f32, f32) {
        (self.origin[2], self.focal)
    }

    /// The point on the sheet's surface that the pixel at `x`, `y` sees. `None` if its ray misses the cylinder.
    pub(super) fn hit(&self, x: f32, y: f32) -> Option<Hit> {
        let ray = [(x - self.centre[0]) / self.focal, (y - self.centre[1]) / self.focal, 1.0];
        let d = self.axes.map(|axis| dot(axis, ray));
        let o = self.axes.map(|axis| -dot(axis, self.origin));
        // The cylinder through the sheet's middle: k (u² + w²) = 2 w. This form stays exact for k = 0.
        let k = self.curvature;
        let a = k * (d[0] * d[0] + d[2] * d[2]);
        let b = k * (o[0] * d[0] + o[2] * d[2]) - d[2];
        let c = k * (o[0] * o[0] + o[2] * o[2]) - 2.0 * o[2];
        let root = (b * b - a * c).max(-1.0);
        if root < 0.0 {
            return None;
        }
        let far = b + b.signum() * root.sqrt();
        if far.abs() < 1e-12 {
            return None;
        }
        let at = -c / far;
        let (u, v, w) = (o[0] + at * d[0], o[1] + at * d[1], o[2] + at * d[2]);
        if at <= 0.0 || k * w > 1.0 {
            return None;
        }
        let arc = if k.abs() < 1e-7 { u } else { (k * u / (1.0 - k * w)).atan() / k };
        let place = [arc * self.bend[0] - v * self.bend[1], arc * self.bend[1] + v * self.bend[0]];
        Some(Hit { place, normal: combine(self.axes[0], k * u, self.axes[2], k * w - 1.0) })
    }
}

pub(super) fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn unit(a: [f32; 3]) -> [f32; 3] {
    let length = dot(a, a).sqrt();
    a.map(|part| part / length)
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn combine(a: [f32; 3], by: f32, b: [f32; 3], and: f32) -> [f32; 3] {
    [0, 1, 2].map(|i| a[i] * by + b[i] * and)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_sheet_maps_by_its_scale() {
        let pose = Pose::straight((640, 480), 2.0);
        let [x, y] = pose.hit(420.0, 200.0).unwrap().place;
        assert!((x - 50.0).abs() < 1e-3 && (y + 20.0).abs() < 1e-3, "{x} {y}");
    }

    #[test]
    fn bending_moves_the_border_and_keeps_the_middle() {
        let (flat, bent) = (Pose::straight((640, 480), 2.0), Pose::straight((640, 480), 2.0).bent(0.004));
        let middle = bent.hit(320.0, 240.0).unwrap().place;
        assert!(middle[0].abs() < 1e-3 && middle[1].abs() < 1e-3);
        // Along the surface, the pixel at 500 is farther from the middle than on a flat sheet; up and down it changes
        // less.
        let (from, to) = (flat.hit(500.0, 240.0).unwrap().place[0], bent.hit(500.0, 240.0).unwrap().place[0]);
        assert!(to - from > 1.0 && to - from < 20.0, "{from} {to}");
        let tilted = bent.hit(500.0, 240.0).unwrap().normal;
        assert!(tilted[0].abs() > 0.2 && (dot(tilted, tilted) - 1.0).abs() < 1e-3, "{tilted:?}");
        assert!(
            Pose::straight((640, 480), 2.0).bent(0.04).hit(630.0, 240.0).is_none(),
            "beside the cylinder"
        );
    }
}
