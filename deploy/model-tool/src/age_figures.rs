//! The figures of `evaluate age`.

use faceline_models::evaluation::{
    AGE_BANDS, AGE_THRESHOLDS, AgeErrors, AgePair, AgeThreshold, MIDDLE_AGES, age_correlation,
};
use serde_json::{Value, json};

/// All ages.
const ALL_AGES: (u16, u16) = (0, u16::MAX);

/// Figures of a data set.
pub(crate) struct AgeFigures {
    /// Faces that were found, with their ages.
    pub(crate) pairs: Vec<AgePair>,
    /// Number of faces of negative quality, for which the service returns no age.
    pub(crate) unanswered: usize,
    /// Number of pictures without a face.
    pub(crate) without_face: usize,
    pub(crate) all: AgeErrors,
    /// The errors of the faces whose quality is not negative.
    pub(crate) answered: Option<AgeErrors>,
    /// Bands of age: first and last year, and the errors in the band.
    pub(crate) bands: Vec<((u16, u16), AgeErrors)>,
    pub(crate) middle: Option<AgeErrors>,
    pub(crate) correlation: Option<f64>,
    pub(crate) thresholds: Vec<AgeThreshold>,
}

impl AgeFigures {
    /// Computes the figures. Each face has its age with the estimate, and whether its quality is negative. `None`
    /// without a face.
    pub(crate) fn of(faces: &[(AgePair, bool)], without_face: usize) -> Option<Self> {
        let pairs: Vec<AgePair> = faces.iter().map(|(pair, _)| *pair).collect();
        let answered: Vec<AgePair> = faces.iter().filter(|(_, bad)| !bad).map(|(pair, _)| *pair).collect();
        let band = |&years: &(u16, u16)| Some((years, AgeErrors::of(&pairs, years)?));
        Some(Self {
            unanswered: pairs.len() - answered.len(),
            without_face,
            all: AgeErrors::of(&pairs, ALL_AGES)?,
            answered: AgeErrors::of(&answered, ALL_AGES),
            bands: AGE_BANDS.iter().filter_map(band).collect(),
            middle: AgeErrors::of(&pairs, MIDDLE_AGES),
            correlation: age_correlation(&pairs),
            thresholds: AGE_THRESHOLDS.map(|years| AgeThreshold::of(&pairs, years)).into(),
            pairs,
        })
    }

    /// Mean of the bands' mean absolute errors. Each band has the same weight.
    pub(crate) fn mae_over_bands(&self) -> f64 {
        self.bands.iter().map(|(_, errors)| errors.mae).sum::<f64>() / self.bands.len().max(1) as f64
    }

    /// A sentence that names the bands in which estimates are not reliable; `None` if there are none.
    pub(crate) fn distrust(&self) -> Option<String> {
        let bands = self.bands.iter().filter(|(_, errors)| !errors.is_trusted());
        let words: Vec<String> = bands
            .map(|(years, errors)| {
                let offset = match errors.bias {
                    bias if bias.abs() < 2.0 => String::new(),
                    bias => {
                        format!(", {:.0} too {}", bias.abs(), if bias > 0.0 { "old" } else { "young" })
                    }
                };
                format!("{} (off by {:.0} years{offset})", name(*years), errors.mae)
            })
            .collect();
        (!words.is_empty()).then(|| format!("not to be trusted at {}", words.join(", ")))
    }

    /// The figures as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let errors =
            |errors: &AgeErrors| json!({ "faces": errors.count, "mae": errors.mae, "bias": errors.bias });
        let bands = self.bands.iter().map(|(years, band)| {
            json!({ "years": name(*years), "errors": errors(band), "trusted": band.is_trusted() })
        });
        let thresholds = self.thresholds.iter().map(|threshold| {
            json!({
                "years": threshold.years,
                "younger_passed": threshold.younger_passed,
                "older_refused": threshold.older_refused,
            })
        });
        json!({
            "faces": self.pairs.len(),
            "without_face": self.without_face,
            "negative_quality": self.unanswered,
            "all": errors(&self.all),
            "answered": self.answered.as_ref().map(errors),
            "mae_over_bands": self.mae_over_bands(),
            "middle_ages": self.middle.as_ref().map(errors),
            "correlation": self.correlation,
            "bands": bands.collect::<Vec<_>>(),
            "thresholds": thresholds.collect::<Vec<_>>(),
        })
    }
}

/// A band's years, as in `13-17` and `75+`.
pub(crate) fn name((first, last): (u16, u16)) -> String {
    if last == u16::MAX { format!("{first}+") } else { format!("{first}-{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(age: f32, estimate: f32, bad: bool) -> (AgePair, bool) {
        (AgePair { age, estimate }, bad)
    }

    #[test]
    fn bands_count_alike_and_bad_pictures_are_told_apart() {
        let faces =
            [face(2.0, 3.0, false), face(3.0, 4.0, false), face(20.0, 23.0, false), face(80.0, 60.0, true)];
        let figures = AgeFigures::of(&faces, 2).unwrap();
        assert_eq!((figures.pairs.len(), figures.unanswered, figures.without_face), (4, 1, 2));
        assert_eq!(figures.mae_over_bands(), 8.0);
        assert!((figures.all.mae - 6.25).abs() < 1e-9);
        assert!((figures.answered.unwrap().mae - 5.0 / 3.0).abs() < 1e-9);
        assert_eq!(figures.middle.unwrap().mae, 3.0);
        assert_eq!(figures.distrust().unwrap(), "not to be trusted at 75+ (off by 20 years, 20 too young)");
        assert_eq!(figures.to_json()["bands"][2]["trusted"], false);
        let good = AgeFigures::of(&faces[..3], 0).unwrap();
        assert_eq!(good.distrust(), None);
        assert!(AgeFigures::of(&[], 3).is_none());
    }
}
