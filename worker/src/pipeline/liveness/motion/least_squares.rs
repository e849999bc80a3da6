//! Small systems of normal equations.

/// Normal equations of `N` unknowns, accumulated observation by observation.
pub(super) struct NormalEquations<const N: usize> {
    /// Only the diagonal and the elements below it are used.
    moments: [[f64; N]; N],
    products: [f64; N],
}

impl<const N: usize> NormalEquations<N> {
    /// Starts with the prior that every unknown is zero, with the weights `ridge`.
    pub(super) fn new(ridge: [f64; N]) -> Self {
        let mut moments = [[0.0; N]; N];
        for (i, weight) in ridge.into_iter().enumerate() {
            moments[i][i] = weight;
        }
        Self { moments, products: [0.0; N] }
    }

    /// Adds an observation: `row` times the unknowns is `value`.
    pub(super) fn observe(&mut self, row: &[f32; N], value: f32, weight: f32) {
        for (i, moments) in self.moments.iter_mut().enumerate() {
            let weighted = f64::from(row[i] * weight);
            for (moment, &factor) in moments.iter_mut().zip(&row[..=i]) {
                *moment += weighted * f64::from(factor);
            }
            self.products[i] += weighted * f64::from(value);
        }
    }

    /// The unknowns, by Cholesky decomposition; `None` where the observations do not determine them.
    pub(super) fn solve(mut self) -> Option<[f32; N]> {
        let lower = &mut self.moments;
        for i in 0..N {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
                let rest = lower[i][j] - known;
                if i == j {
                    // NaN must not pass either.
                    if rest.is_nan() || rest <= f64::EPSILON * lower[i][i] {
                        return None;
                    }
                    lower[i][i] = rest.sqrt();
                } else {
                    lower[i][j] = rest / lower[j][j];
                }
            }
        }
        let mut solved = self.products;
        for i in 0..N {
            let known: f64 = (0..i).map(|k| lower[i][k] * solved[k]).sum();
            solved[i] = (solved[i] - known) / lower[i][i];
        }
        for i in (0..N).rev() {
            let known: f64 = (i + 1..N).map(|k| lower[k][i] * solved[k]).sum();
            solved[i] = (solved[i] - known) / lower[i][i];
        }
        Some(solved.map(|value| value as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknowns_are_recovered_and_open_ones_reported() {
        let unknowns = [2.0, -3.0, 0.5];
        let mut normal = NormalEquations::new([0.0; 3]);
        for x in [-1.0_f32, 0.0, 1.0, 3.0] {
            let row = [1.0, x, x * x];
            normal.observe(&row, row.iter().zip(unknowns).map(|(a, b)| a * b).sum(), 1.0 + x.abs());
        }
        let solved = normal.solve().unwrap();
        assert!(solved.iter().zip(unknowns).all(|(a, b)| (a - b).abs() < 1e-4), "{solved:?}");

        let mut open = NormalEquations::new([0.0; 2]);
        open.observe(&[1.0, 2.0], 3.0, 1.0);
        assert!(open.solve().is_none());
        let mut odd = NormalEquations::new([1.0; 2]);
        odd.observe(&[f32::NAN, 2.0], 3.0, 1.0);
        assert!(odd.solve().is_none());
    }
}
