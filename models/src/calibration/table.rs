//! The calibration table: reading, checking and interpolating it.

use serde::{Deserialize, Serialize};

/// The lowest false acceptance rate that [`Calibration::far`] returns.
pub const FAR_FLOOR: f64 = 1e-15;

/// Highest log10 of the rate at similarity 1: identical pictures must score above 10000 (`1500 - 500 * log10(FAR)`).
const LOG10_FAR_OF_IDENTITY: f64 = -17.1;

/// log10 of the rate at similarity 1 in a fitted table.
pub(super) const LOG10_FAR_TAIL: f64 = -18.0;

/// A table that ships with this crate.
struct Shipped {
    name: &'static str,
    /// The embedding's algorithm. The table was measured for no other.
    algorithm: &'static str,
    text: &'static str,
}

/// Tables that ship with this crate.
///
/// The first one holds for the worst of several groups of people, the second one for people drawn at random.
const SHIPPED: [Shipped; 2] = [
    Shipped {
        name: "face-embedding-1",
        algorithm: "FL1_512",
        text: include_str!("../../calibration/face-embedding-1.toml"),
    },
    Shipped {
        name: "face-embedding-1-random-people",
        algorithm: "FL1_512",
        text: include_str!("../../calibration/face-embedding-1-random-people.toml"),
    },
];

/// A monotone table of cosine similarity and log10 of the false acceptance rate, linear between its knots.
///
/// It covers similarities from -1 (rate 1) to 1. Observed knots have a confidence interval. Beyond them the table
/// follows the tail of an extreme-value law for some decades. Its last piece is a straight line, so scores keep growing
/// with similarity.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub(super) name: String,
    /// Similarity and log10 of the rate.
    pub(super) knots: Vec<(f64, f64)>,
    /// For the observed knots: similarity, and the ends of the 95 % confidence interval of log10 of the rate.
    #[serde(default)]
    pub(super) intervals: Vec<(f64, f64, f64)>,
}

/// Reasons why a calibration table cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// No table has this name.
    #[error(
        "there is no calibration table named `{0}`: make it with `faceline-models calibrate`, add it to the manifest under [[calibrations]], and fetch again"
    )]
    Unknown(String),
    /// The shipped table was measured for another algorithm, so its rates would be wrong.
    #[error(
        "the calibration table `{name}` was measured for {measured_for} and not for {algorithm}: make one with `faceline-models calibrate --name NAME`, and add it to the manifest under [[calibrations]]"
    )]
    OtherAlgorithm {
        /// The table.
        name: String,
        /// The algorithm of the installed embedding.
        algorithm: String,
        /// The algorithm for which the table was measured.
        measured_for: &'static str,
    },
    /// The manifest has no embedding, so no table applies.
    #[error("the manifest has no model for the embedding")]
    NoEmbedding,
    /// The text is not TOML in the format of a table.
    #[error("the calibration table is not of the form: {0}")]
    Form(#[from] toml::de::Error),
    /// The table does not have the properties of a calibration.
    #[error("calibration table `{name}`: {reason}")]
    Invalid {
        /// The table.
        name: String,
        /// The property that it lacks.
        reason: &'static str,
    },
    /// No group has enough people for an envelope.
    #[error("no group has {people} people with a face, and an envelope over groups needs one that has")]
    NoGroup {
        /// The minimum number of people.
        people: usize,
    },
    /// There are too few pairs for a table.
    #[error(
        "{impostors} pairs of pictures of different people are too few, or their similarities too much alike: a table needs 100000, which are 450 pictures of as many people"
    )]
    TooFew {
        /// Number of impostor pairs.
        impostors: u64,
    },
}

impl Calibration {
    /// The shipped table of this name, for embeddings of `algorithm`.
    ///
    /// # Errors
    /// No table has this name, or it was measured for another algorithm.
    pub fn shipped(name: &str, algorithm: &str) -> Result<Self, CalibrationError> {
        let table = SHIPPED.iter().find(|table| table.name == name);
        let table = table.ok_or_else(|| CalibrationError::Unknown(name.to_owned()))?;
        if table.algorithm != algorithm {
            return Err(CalibrationError::OtherAlgorithm {
                name: name.to_owned(),
                algorithm: algorithm.to_owned(),
                measured_for: table.algorithm,
            });
        }
        Self::parse(table.text)
    }

    /// Reads a table: TOML with `name` and `knots`, which are pairs of similarity and log10 of the rate. `intervals` is
    /// optional: triples of a knot's similarity and the ends of the confidence interval of log10 of its rate.
    ///
    /// # Errors
    /// The text has another format, the table is not monotone or does not cover -1 to 1, or an interval does not
    /// contain the rate of a knot.
    pub fn parse(text: &str) -> Result<Self, CalibrationError> {
        let table: Self = toml::from_str(text)?;
        table.check()?;
        Ok(table)
    }

    /// The table's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// log10 of the false acceptance rate at a cosine similarity, from 0 down to below -17. Unlike [`Self::far`] it has
    /// no floor. NaN counts as a similarity of -1.
    #[must_use]
    pub fn log10_far(&self, similarity: f32) -> f64 {
        let similarity = if similarity.is_nan() { -1.0 } else { f64::from(similarity).clamp(-1.0, 1.0) };
        let end = self.knots.partition_point(|(knot, _)| *knot < similarity).clamp(1, self.knots.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.knots[end - 1], self.knots[end]);
        y0 + (y1 - y0) * (similarity - x0) / (x1 - x0)
    }

    /// The false acceptance rate at a cosine similarity: a fraction in [[`FAR_FLOOR`], 1].
    #[must_use]
    pub fn far(&self, similarity: f32) -> f64 {
        10f64.powf(self.log10_far(similarity)).clamp(FAR_FLOOR, 1.0)
    }

    /// The similarity, in [-1, 1], at which the false acceptance rate has the given log10.
    #[must_use]
    pub fn similarity(&self, log10_far: f64) -> f64 {
        let end = self.knots.partition_point(|(_, knot)| *knot > log10_far).clamp(1, self.knots.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.knots[end - 1], self.knots[end]);
        (x0 + (x1 - x0) * (log10_far - y0) / (y1 - y0)).clamp(-1.0, 1.0)
    }

    /// The knots: similarity and log10 of the rate.
    #[must_use]
    pub fn knots(&self) -> &[(f64, f64)] {
        &self.knots
    }

    /// The observed knots: similarity, and the ends of the 95 % confidence interval of log10 of the rate.
    #[must_use]
    pub fn intervals(&self) -> &[(f64, f64, f64)] {
        &self.intervals
    }

    /// The table as TOML, with one line for each knot.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = format!("name = {}\nknots = [\n", toml::Value::from(self.name.as_str()));
        for (similarity, log10_far) in &self.knots {
            text += &format!("    [{similarity:?}, {log10_far:?}],\n");
        }
        text += "]\nintervals = [\n";
        for (similarity, low, high) in &self.intervals {
            text += &format!("    [{similarity:?}, {low:?}, {high:?}],\n");
        }
        text + "]\n"
    }

    pub(crate) fn check(&self) -> Result<(), CalibrationError> {
        let invalid = |reason| Err(CalibrationError::Invalid { name: self.name.clone(), reason });
        let ascending = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1;
        match (self.knots.first(), self.knots.last()) {
            (Some((-1.0, 0.0)), Some((1.0, last))) if *last <= LOG10_FAR_OF_IDENTITY && last.is_finite() => {}
            _ => return invalid("it must lead from (-1, 0) to (1, -17.1) or below"),
        }
        if !self.knots.windows(2).all(ascending) {
            return invalid("similarities must rise and rates must fall from knot to knot");
        }
        let about_a_knot = |(similarity, low, high): &(f64, f64, f64)| {
            self.knots.iter().any(|(knot, rate)| knot == similarity && (*low..=*high).contains(rate))
        };
        if !self.intervals.iter().all(about_a_knot) {
            return invalid("each interval must be about the rate of a knot");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    fn table(knots: &str) -> Result<Calibration, CalibrationError> {
        Calibration::parse(&format!("name = \"t\"\nknots = {knots}"))
    }

    #[test]
    fn the_rate_is_linear_in_log10_between_knots() {
        let table = table("[[-1.0, 0.0], [0.0, -1.0], [0.5, -5.0], [1.0, -18.0]]").unwrap();
        assert_eq!(table.log10_far(-1.0), 0.0);
        assert_eq!(table.log10_far(0.0), -1.0);
        assert_eq!(table.log10_far(0.25), -3.0);
        assert!((table.far(0.25) - 1e-3).abs() < 1e-15);
        assert_eq!(table.log10_far(1.0), -18.0);
        assert_eq!((table.far(1.0), table.far(f32::NAN)), (FAR_FLOOR, 1.0));
        assert_eq!((table.log10_far(1.1), table.log10_far(-1.1)), (-18.0, 0.0));
    }

    #[test]
    fn what_is_no_calibration_is_refused() {
        for knots in [
            "[]",
            "[[1.0, -18.0]]",
            "[[-1.0, 0.0], [1.0, -17.0]]",
            "[[-0.9, 0.0], [1.0, -18.0]]",
            "[[-1.0, 0.0], [0.5, -3.0], [0.4, -4.0], [1.0, -18.0]]",
            "[[-1.0, 0.0], [0.4, -4.0], [0.5, -4.0], [1.0, -18.0]]",
            "[[-1.0, 0.0], [nan, -4.0], [1.0, -18.0]]",
            "[[-1.0, 0.0], [1.0, -inf]]",
        ] {
            assert!(matches!(table(knots), Err(CalibrationError::Invalid { .. })), "{knots}");
        }
        assert!(matches!(table("[[-1.0]]"), Err(CalibrationError::Form(_))));
        assert!(matches!(Calibration::shipped("none", "FL1_512"), Err(CalibrationError::Unknown(_))));
        let other = Calibration::shipped("face-embedding-1", "OWN_512").unwrap_err();
        assert!(other.to_string().contains("measured for FL1_512 and not for OWN_512"), "{other}");
    }

    #[test]
    fn the_shipped_tables_put_identity_above_a_score_of_10000() {
        for Shipped { name, algorithm, .. } in SHIPPED {
            let table = Calibration::shipped(name, algorithm).unwrap();
            assert_eq!(table.name(), name);
            assert!(1500.0 - 500.0 * table.log10_far(0.999_999) > 10_000.0);
            assert_eq!(table.far(0.999_999), FAR_FLOOR);
        }
    }

    #[test]
    fn similarity_is_the_inverse() {
        let table = table("[[-1.0, 0.0], [0.0, -1.0], [0.5, -5.0], [1.0, -18.0]]").unwrap();
        for (similarity, log10_far) in [(-1.0, 0.0), (0.0, -1.0), (0.25, -3.0), (1.0, -18.0)] {
            assert_eq!(table.similarity(log10_far), similarity);
        }
        assert_eq!((table.similarity(1.0), table.similarity(-20.0)), (-1.0, 1.0));
    }

    #[test]
    fn intervals_are_about_knots() {
        let with = |intervals: &str| {
            let knots = "[[-1.0, 0.0], [0.5, -5.0], [1.0, -18.0]]";
            Calibration::parse(&format!("name = \"a b\"\nknots = {knots}\nintervals = {intervals}"))
        };
        let table = with("[[0.5, -5.2, -4.9]]").unwrap();
        assert_eq!(table.intervals(), [(0.5, -5.2, -4.9)]);
        assert_eq!(Calibration::parse(&table.to_toml()).unwrap(), table);
        for wrong in
            ["[[0.4, -5.2, -4.9]]", "[[0.5, -4.9, -5.2]]", "[[0.5, -6.0, -5.2]]", "[[0.5, nan, nan]]"]
        {
            assert!(matches!(with(wrong), Err(CalibrationError::Invalid { .. })), "{wrong}");
        }
    }

    #[test]
    fn the_shipped_table_never_claims_less_than_that_of_people_drawn_at_random() {
        let [worst, random] = SHIPPED.map(|table| Calibration::shipped(table.name, table.algorithm).unwrap());
        for step in -100..=100 {
            let similarity = step as f32 / 100.0;
            assert!(worst.log10_far(similarity) >= random.log10_far(similarity) - 1e-3, "{similarity}");
        }
        // The threshold of 1e-3 rises by about a tenth, since people of one origin resemble each other more.
        assert!(worst.similarity(-3.0) - random.similarity(-3.0) > 0.08);
    }

    proptest! {
        #[test]
        fn the_rate_never_rises_and_never_jumps(a in -1f32..1.0, step in 0f32..1e-3) {
            let table = Calibration::shipped("face-embedding-1", "FL1_512").unwrap();
            let (from, to) = (table.log10_far(a), table.log10_far((a + step).min(1.0)));
            prop_assert!(to <= from);
            prop_assert!(from - to <= 80.0 * f64::from(step) + 1e-5);
            prop_assert!((FAR_FLOOR..=1.0).contains(&table.far(a)));
        }
    }
}
