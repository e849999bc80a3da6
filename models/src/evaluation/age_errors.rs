//! Errors of estimated ages.

/// Age bands of the report, each by its first and last year. The last band has no end.
pub const AGE_BANDS: [(u16, u16); 10] =
    [(0, 5), (6, 12), (13, 17), (18, 24), (25, 29), (30, 39), (40, 49), (50, 59), (60, 74), (75, u16::MAX)];

/// The range of ages that most callers ask about: first and last year.
pub const MIDDLE_AGES: (u16, u16) = (13, 39);

/// Age limits that callers compare an estimate with, in years.
pub const AGE_THRESHOLDS: [u16; 5] = [13, 16, 18, 21, 25];

/// A mean absolute error above this number of years, or a bias above half of it, makes estimates unusable.
const TRUSTED: f64 = 8.0;

/// A true and an estimated age, in years.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgePair {
    /// The true age, by the data set's label.
    pub age: f32,
    /// The estimated age.
    pub estimate: f32,
}

/// The errors of a group of faces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgeErrors {
    /// Number of faces.
    pub count: usize,
    /// Mean of the absolute errors.
    pub mae: f64,
    /// Mean of the errors, positive where the estimates are too high.
    pub bias: f64,
    /// Mean of the true ages.
    pub age: f64,
}

/// Division of people by an age limit and their estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgeThreshold {
    /// The limit in years.
    pub years: u16,
    /// Share of the people below the limit whose estimate is at or above it. `None` without people below the limit.
    pub younger_passed: Option<f64>,
    /// Share of the people at or above the limit whose estimate is below it. `None` without such people.
    pub older_refused: Option<f64>,
}

impl AgeErrors {
    /// The errors for people from age `first` to the end of year `last`. `None` if there are no such people.
    #[must_use]
    pub fn of(pairs: &[AgePair], (first, last): (u16, u16)) -> Option<Self> {
        let years = f32::from(first)..f32::from(last) + 1.0;
        let group: Vec<&AgePair> = pairs.iter().filter(|pair| years.contains(&pair.age)).collect();
        let mean = |value: fn(&AgePair) -> f64| {
            group.iter().map(|pair| value(pair)).sum::<f64>() / group.len() as f64
        };
        (!group.is_empty()).then(|| Self {
            count: group.len(),
            mae: mean(|pair| pair.error().abs()),
            bias: mean(AgePair::error),
            age: mean(|pair| f64::from(pair.age)),
        })
    }

    /// Whether estimates in this group are good enough to be used.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.mae <= TRUSTED && self.bias.abs() <= TRUSTED / 2.0
    }
}

impl AgePair {
    fn error(&self) -> f64 {
        f64::from(self.estimate) - f64::from(self.age)
    }
}

impl AgeThreshold {
    /// Computes both shares for the limit `years`.
    #[must_use]
    pub fn of(pairs: &[AgePair], years: u16) -> Self {
        let at = f32::from(years);
        let part = |of: &dyn Fn(&AgePair) -> bool, wrong: &dyn Fn(&AgePair) -> bool| {
            let group: Vec<&AgePair> = pairs.iter().filter(|pair| of(pair)).collect();
            let wrong = group.iter().filter(|pair| wrong(pair)).count();
            (!group.is_empty()).then(|| wrong as f64 / group.len() as f64)
        };
        Self {
            years,
            younger_passed: part(&|pair| pair.age < at, &|pair| pair.estimate >= at),
            older_refused: part(&|pair| pair.age >= at, &|pair| pair.estimate < at),
        }
    }
}

/// Pearson's correlation of age and estimate; `None` where all ages or all estimates are equal.
#[must_use]
pub fn age_correlation(pairs: &[AgePair]) -> Option<f64> {
    let count = pairs.len() as f64;
    let mean =
        |value: fn(&AgePair) -> f32| pairs.iter().map(|pair| f64::from(value(pair))).sum::<f64>() / count;
    let (ages, estimates) = (mean(|pair| pair.age), mean(|pair| pair.estimate));
    let (mut both, mut own, mut their) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let (x, y) = (f64::from(pair.age) - ages, f64::from(pair.estimate) - estimates);
        both += x * y;
        own += x * x;
        their += y * y;
    }
    let norm = f64::sqrt(own * their);
    (norm > 0.0).then(|| both / norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(f32, f32)]) -> Vec<AgePair> {
        list.iter().map(|&(age, estimate)| AgePair { age, estimate }).collect()
    }

    #[test]
    fn errors_are_those_of_a_band() {
        let pairs = pairs(&[(12.9, 50.0), (13.0, 15.0), (17.0, 11.0), (17.5, 18.5), (18.0, 90.0)]);
        let band = AgeErrors::of(&pairs, (13, 17)).unwrap();
        assert_eq!((band.count, band.mae, band.bias), (3, 3.0, -1.0));
        assert!((band.age - 47.5 / 3.0).abs() < 1e-6);
        assert_eq!(AgeErrors::of(&pairs, (25, 29)), None);
        assert_eq!(AgeErrors::of(&pairs, (0, u16::MAX)).unwrap().count, 5);
    }

    #[test]
    fn bands_leave_no_year_out() {
        assert_eq!((AGE_BANDS[0].0, AGE_BANDS[9].1), (0, u16::MAX));
        assert!(AGE_BANDS.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    }

    #[test]
    fn large_errors_and_offsets_are_not_trusted() {
        let trusted = |list: &[(f32, f32)]| AgeErrors::of(&pairs(list), (0, 99)).unwrap().is_trusted();
        assert!(trusted(&[(20.0, 27.0), (20.0, 13.0)]));
        assert!(!trusted(&[(20.0, 29.0), (20.0, 11.0)]), "far off");
        assert!(!trusted(&[(20.0, 25.0), (20.0, 25.0)]), "all too old");
    }

    #[test]
    fn a_threshold_has_two_kinds_of_errors() {
        let pairs = pairs(&[(17.9, 18.0), (10.0, 9.0), (5.0, 5.0), (4.0, 3.0), (18.0, 17.9), (40.0, 18.0)]);
        let threshold = AgeThreshold::of(&pairs, 18);
        assert_eq!((threshold.younger_passed, threshold.older_refused), (Some(0.25), Some(0.5)));
        assert_eq!(AgeThreshold::of(&pairs, 60).older_refused, None);
    }

    #[test]
    fn correlation_is_that_of_pearson() {
        let rising = pairs(&[(1.0, 10.0), (2.0, 20.0), (3.0, 30.0)]);
        assert!((age_correlation(&rising).unwrap() - 1.0).abs() < 1e-9);
        let mixed = pairs(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)]);
        assert!((age_correlation(&mixed).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(age_correlation(&pairs(&[(1.0, 5.0), (2.0, 5.0)])), None);
        assert_eq!(age_correlation(&[]), None);
    }
}
