//! The share of a face that lies outside the picture.

/// Extent of a face from the middle between its eyes, in eye distances: to each side, above and below.
const HALF_WIDTH: f32 = 0.9;
const ABOVE: f32 = 0.6;
const BELOW: f32 = 1.6;

/// Points along each side of the sampling grid.
const GRID_POINTS: u8 = 13;

/// The share of a face, 0 to 1, that lies outside a picture of `width` by `height`. The face is given by its eyes.
pub(super) fn share_outside([left, right]: [[f32; 2]; 2], width: f32, height: f32) -> f32 {
    let centre = [(left[0] + right[0]) / 2.0, (left[1] + right[1]) / 2.0];
    let (across, down) = (right[0] - left[0], right[1] - left[1]);
    let step =
        |index: u8, from: f32, to: f32| from + (to - from) * f32::from(index) / f32::from(GRID_POINTS - 1);
    let points = (0..GRID_POINTS).flat_map(|i| (0..GRID_POINTS).map(move |j| (i, j)));
    let outside = points.filter(|&(i, j)| {
        let (aside, below) = (step(i, -HALF_WIDTH, HALF_WIDTH), step(j, -ABOVE, BELOW));
        let (x, y) = (centre[0] + aside * across - below * down, centre[1] + aside * down + below * across);
        x < 0.0 || y < 0.0 || x > width || y > height
    });
    outside.count() as f32 / f32::from(GRID_POINTS).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_counts() {
        let eyes = |x: f32, y: f32| [[x - 50.0, y], [x + 50.0, y]];
        assert_eq!(share_outside(eyes(200.0, 200.0), 400.0, 400.0), 0.0);
        let half = share_outside(eyes(2.0, 200.0), 400.0, 400.0);
        assert!((half - 0.46).abs() < 0.01, "{half}");
        assert!((share_outside(eyes(398.0, 200.0), 400.0, 400.0) - half).abs() < 1e-6);
        // A chin below the edge by a quarter of the face.
        let chin = share_outside(eyes(200.0, 290.0), 400.0, 400.0);
        assert!((0.2..0.3).contains(&chin), "{chin}");
        // The same, with the head lying on its side.
        let lying = share_outside([[110.0, 150.0], [110.0, 250.0]], 400.0, 400.0);
        assert!((lying - chin).abs() < 0.01, "{lying}");
        assert_eq!(share_outside(eyes(-500.0, 200.0), 400.0, 400.0), 1.0);
    }
}
