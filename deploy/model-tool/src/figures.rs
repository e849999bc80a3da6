//! The figures of `evaluate verification`.

use faceline_models::calibration::{Calibration, PICTURES_A_PERSON};
use faceline_models::evaluation::{
    Accuracy, BadValues, BootstrapSamples, Coded, Comparison, DiscardCurve, FalseMatchCounts, Interval,
    balanced_accuracy,
};
use serde_json::{Value, json};

use crate::coder;

/// False match rates at which the report has the false non-match rate.
const FALSE_MATCH_RATES: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];
/// Maximum number of pairs of one person. Without it, a few people with hundreds of pictures would dominate the
/// figures.
pub(crate) const PAIRS_A_PERSON: usize = 10;
/// Scores at which the report compares the claimed false acceptance rate with the observed one.
pub(crate) const SCORES: [u32; 6] = [2000, 2500, 3000, 3500, 4000, 4500];
/// The false match rate that sets the threshold while the worst pairs or pictures are discarded.
pub(crate) const DISCARD_FMR: f64 = 1e-4;
/// Share of the pairs that is discarded by each measure alone.
pub(crate) const DISCARDED_BY_MEASURE: f64 = 0.1;
/// Number of points of the discard curve, in steps of one percent.
const DISCARD_PERCENTS: u32 = 40;

/// All figures of an evaluation.
pub(crate) struct Figures {
    pub(crate) people: usize,
    pub(crate) faces: usize,
    pub(crate) without_face: usize,
    pub(crate) comparison: Comparison,
    pub(crate) rates: Vec<Rate>,
    pub(crate) accuracy: Option<Accuracy>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) discard: Vec<Discard>,
    pub(crate) measures: Vec<Measure>,
}

/// False non-match rates at a false match rate.
pub(crate) struct Rate {
    pub(crate) fmr: f64,
    pub(crate) similarity: f64,
    /// For all pairs, and for at most [`PAIRS_A_PERSON`] pairs per person.
    pub(crate) fnmr: [(f64, Option<Interval>); 2],
}

/// The false acceptance rate of a score: claimed by the table, and observed.
pub(crate) struct Claim {
    pub(crate) score: u32,
    pub(crate) similarity: f64,
    pub(crate) claimed: f64,
    /// For all pictures, and for at most [`PICTURES_A_PERSON`] per person, as in the fit of tables.
    pub(crate) observed: [Observed; 2],
}

/// An observed rate.
pub(crate) struct Observed {
    pub(crate) pairs: u64,
    pub(crate) far: f64,
    /// `None` if no pair was observed.
    pub(crate) interval: Option<Interval>,
}

/// False non-match rates after the worst part was discarded.
pub(crate) struct Discard {
    pub(crate) fraction: f64,
    pub(crate) by_pairs: f64,
    pub(crate) by_pictures: f64,
}

/// False non-match rates after the worst tenth by a measure was discarded.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    /// Rates after low, high and extreme values were discarded.
    pub(crate) fnmr: [f64; 3],
}

impl Figures {
    /// Compares all faces. `None` if no person has two faces.
    pub(crate) fn of(coded: &Coded, table: &Calibration) -> Option<Self> {
        let threads = coder::threads();
        let comparison = coded.labelled.compare(threads);
        if comparison.genuine().is_empty() {
            return None;
        }
        let claims_at = SCORES.map(|score| (score, table.similarity(claimed(score).log10())));
        let thresholds = thresholds(&comparison, claims_at.map(|(_, similarity)| similarity));
        let false_matches = coded.labelled.false_match_counts(&thresholds, threads);
        let few = coded.labelled.choose(&coded.labelled.at_most(PICTURES_A_PERSON));
        let few = few.false_match_counts(&thresholds, threads);
        let samples = BootstrapSamples::new(coded.labelled.people());
        Some(Self {
            people: coded.people_with_a_face(),
            faces: coded.labelled.identities().len(),
            without_face: coded.without_face.len(),
            rates: rates(&comparison, &false_matches, &samples),
            accuracy: balanced_accuracy(&coded.labelled),
            claims: claims(&claims_at, [&false_matches, &few], &samples),
            discard: discard(coded, &comparison),
            measures: measures(coded, &comparison),
            comparison,
        })
    }

    /// The figures as JSON. Rates are fractions.
    pub(crate) fn to_json(&self) -> Value {
        let interval = |interval: Option<Interval>| interval.map(|ends| [ends.low, ends.high]);
        let fnmr =
            |(rate, ends): (f64, Option<Interval>)| json!({ "rate": rate, "interval": interval(ends) });
        let observed = |seen: &Observed| json!({ "pairs": seen.pairs, "far": seen.far, "interval": interval(seen.interval) });
        json!({
            "people": self.people,
            "faces": self.faces,
            "pictures_without_face": self.without_face,
            "genuine_pairs": self.comparison.genuine().len(),
            "impostor_pairs": self.comparison.impostors().count(),
            "fnmr_at_fmr": self.rates.iter().map(|rate| json!({
                "fmr": rate.fmr,
                "similarity": rate.similarity,
                "all_pairs": fnmr(rate.fnmr[0]),
                "at_most_10_pairs_a_person": fnmr(rate.fnmr[1]),
            })).collect::<Vec<_>>(),
            "balanced_accuracy": self.accuracy.map(|accuracy| json!({
                "mean": accuracy.mean,
                "standard_error": accuracy.standard_error,
                "pairs": accuracy.pairs,
            })),
            "claimed_far": self.claims.iter().map(|claim| json!({
                "score": claim.score,
                "similarity": claim.similarity,
                "claimed": claim.claimed,
                "all_pictures": observed(&claim.observed[0]),
                "at_most_5_pictures_a_person": observed(&claim.observed[1]),
            })).collect::<Vec<_>>(),
            "discard": {
                "fmr": DISCARD_FMR,
                "curve": self.discard.iter().map(|point| json!({
                    "fraction": point.fraction,
                    "fnmr_by_pairs": point.by_pairs,
                    "fnmr_by_pictures": point.by_pictures,
                })).collect::<Vec<_>>(),
                "measures": self.measures.iter().map(|measure| json!({
                    "name": measure.name,
                    "fraction": DISCARDED_BY_MEASURE,
                    "fnmr_without_low": measure.fnmr[0],
                    "fnmr_without_high": measure.fnmr[1],
                    "fnmr_without_extreme": measure.fnmr[2],
                })).collect::<Vec<_>>(),
            },
        })
    }
}

/// The false acceptance rate that a score claims.
pub(crate) fn claimed(score: u32) -> f64 {
    10f64.powf((1500.0 - f64::from(score)) / 500.0)
}

/// The thresholds of the claims, and a grid over which the threshold of a rate is interpolated.
fn thresholds(comparison: &Comparison, claims_at: [f64; 6]) -> Vec<f64> {
    let grid = (0..=32).map(|step| comparison.impostors().threshold(10f64.powf(-0.25 * f64::from(step))));
    let mut all: Vec<f64> = grid.chain(claims_at).collect();
    all.sort_unstable_by(f64::total_cmp);
    all.dedup();
    all
}

fn rates(comparison: &Comparison, false_matches: &FalseMatchCounts, samples: &BootstrapSamples) -> Vec<Rate> {
    let people = samples.people();
    let kinds = [comparison.genuine_pairs(people), comparison.genuine_pairs_capped(people, PAIRS_A_PERSON)];
    let supported = |fmr: &f64| fmr * comparison.impostors().count() as f64 >= 1.0;
    let rate = |fmr| {
        let similarity = comparison.impostors().threshold(fmr);
        let fnmr = |kind: usize| {
            (kinds[kind].rate_below(similarity), kinds[kind].interval(fmr, false_matches, samples))
        };
        Rate { fmr, similarity, fnmr: [fnmr(0), fnmr(1)] }
    };
    FALSE_MATCH_RATES.into_iter().filter(supported).map(rate).collect()
}

fn claims(
    claims_at: &[(u32, f64)],
    false_matches: [&FalseMatchCounts; 2],
    samples: &BootstrapSamples,
) -> Vec<Claim> {
    let seen = false_matches.map(|false_matches| (false_matches.counts(), false_matches.intervals(samples)));
    let claim = |(score, similarity): &(u32, f64)| {
        let observed = |kind: usize| {
            let place = false_matches[kind].thresholds().partition_point(|threshold| threshold < similarity);
            let pairs = seen[kind].0[place];
            Observed {
                pairs,
                far: pairs as f64 / false_matches[kind].pairs() as f64,
                interval: seen[kind].1[place].map(|ends| ends.map(|log10| 10f64.powf(log10))),
            }
        };
        Claim {
            score: *score,
            similarity: *similarity,
            claimed: claimed(*score),
            observed: [observed(0), observed(1)],
        }
    };
    claims_at.iter().map(claim).collect()
}

fn discard(coded: &Coded, comparison: &Comparison) -> Vec<Discard> {
    let threshold = comparison.impostors().threshold(DISCARD_FMR);
    let quality: Vec<f64> = coded.quality.iter().map(|quality| f64::from(*quality)).collect();
    let by_pairs = DiscardCurve::by_pairs(comparison.genuine(), threshold, &quality);
    let by_pictures = DiscardCurve::by_pictures(comparison.genuine(), threshold, &quality);
    let point = |percent| {
        let fraction = f64::from(percent) / 100.0;
        Discard { fraction, by_pairs: by_pairs.at(fraction), by_pictures: by_pictures.at(fraction) }
    };
    (0..=DISCARD_PERCENTS).map(point).collect()
}

fn measures(coded: &Coded, comparison: &Comparison) -> Vec<Measure> {
    let threshold = comparison.impostors().threshold(DISCARD_FMR);
    let names = coded.measures.first().map(Vec::as_slice).unwrap_or_default();
    let measure = |(index, (name, _)): (usize, &(&'static str, f32))| {
        let values: Option<Vec<f64>> =
            coded.measures.iter().map(|measures| Some(f64::from(measures.get(index)?.1))).collect();
        let values = values?;
        let fnmr = [BadValues::Low, BadValues::High, BadValues::Far].map(|bad| {
            DiscardCurve::by_pairs(comparison.genuine(), threshold, &bad.quality(&values))
                .at(DISCARDED_BY_MEASURE)
        });
        Some(Measure { name, fnmr })
    };
    names.iter().enumerate().filter_map(measure).collect()
}
