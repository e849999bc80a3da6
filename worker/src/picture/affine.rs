//! Affine maps of the plane.

/// `x' = a x + b y + c`, `y' = d x + e y + f`.
///
/// Coordinates are continuous: a picture of width w reaches from 0 to w, and the centre of its first pixel lies at 0.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) a: f32,
    pub(crate) b: f32,
    pub(crate) c: f32,
    pub(crate) d: f32,
    pub(crate) e: f32,
    pub(crate) f: f32,
}

impl Affine {
    pub(crate) const IDENTITY: Self = Self { a: 1.0, b: 0.0, c: 0.0, d: 0.0, e: 1.0, f: 0.0 };

    /// Scales about the origin.
    pub(crate) fn scale(x: f32, y: f32) -> Self {
        Self { a: x, e: y, ..Self::IDENTITY }
    }

    /// Moves the origin to `(x, y)`.
    pub(crate) fn shift(x: f32, y: f32) -> Self {
        Self { c: x, f: y, ..Self::IDENTITY }
    }

    /// Applies this map first, then `next`.
    pub(crate) fn then(&self, next: &Self) -> Self {
        Self {
            a: next.a * self.a + next.b * self.d,
            b: next.a * self.b + next.b * self.e,
            c: next.a * self.c + next.b * self.f + next.c,
            d: next.d * self.a + next.e * self.d,
            e: next.d * self.b + next.e * self.e,
            f: next.d * self.c + next.e * self.f + next.f,
        }
    }

    /// Maps a point.
    pub(crate) fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f]
    }

    /// The inverse map; the identity if there is none.
    pub(crate) fn inverse(&self) -> Self {
        let determinant = self.a * self.e - self.b * self.d;
        if determinant == 0.0 {
            return Self::IDENTITY;
        }
        let (a, b) = (self.e / determinant, -self.b / determinant);
        let (d, e) = (-self.d / determinant, self.a / determinant);
        Self { a, b, c: -(a * self.c + b * self.f), d, e, f: -(d * self.c + e * self.f) }
    }

    /// The rotation, uniform scale and shift that map `from` onto `to` with the least squared error
    /// (Umeyama 1991, in the plane and without reflection).
    pub(crate) fn similarity(from: &[[f32; 2]], to: &[[f32; 2]]) -> Self {
        let n = from.len().min(to.len()) as f32;
        let mean = |points: &[[f32; 2]]| {
            let sum = points.iter().fold([0.0, 0.0], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
            [sum[0] / n, sum[1] / n]
        };
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut variance, mut cosine, mut sine) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (px, py) = (p[0] - from_mean[0], p[1] - from_mean[1]);
            let (qx, qy) = (q[0] - to_mean[0], q[1] - to_mean[1]);
            variance += px * px + py * py;
            cosine += px * qx + py * qy;
            sine += px * qy - py * qx;
        }
        if variance == 0.0 {
            return Self::IDENTITY;
        }
        let (a, d) = (cosine / variance, sine / variance);
        Self {
            a,
            b: -d,
            c: to_mean[0] - a * from_mean[0] + d * from_mean[1],
            d,
            e: a,
            f: to_mean[1] - d * from_mean[0] - a * from_mean[1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(p: [f32; 2], q: [f32; 2]) -> bool {
        (p[0] - q[0]).hypot(p[1] - q[1]) < 1e-4
    }

    #[test]
    fn there_and_back_is_where_one_was() {
        let map = Affine { a: 0.8, b: -0.6, c: 3.0, d: 0.6, e: 0.9, f: -7.0 };
        for point in [[0.0, 0.0], [1.0, 0.0], [-4.0, 9.0]] {
            assert!(close(map.inverse().apply(map.apply(point)), point));
            assert!(close(map.then(&map.inverse()).apply(point), point));
        }
    }

    #[test]
    fn a_similarity_is_recovered_from_its_points() {
        let map = Affine { a: 1.2, b: -0.5, c: 30.0, d: 0.5, e: 1.2, f: -12.0 };
        let from = [[38.0, 51.0], [73.0, 51.0], [56.0, 71.0], [41.0, 92.0], [70.0, 92.0]];
        let to = from.map(|point| map.apply(point));
        let found = Affine::similarity(&from, &to);
        assert!(from.iter().zip(to).all(|(&p, q)| close(found.apply(p), q)), "{found:?}");
    }
}
