//! The quality of a face: a sum of penalties, one curve per measure.

use super::Measures;

/// Quality of a face without penalties.
const BEST_QUALITY: f32 = 300.0;

/// Lower bound of the quality.
const WORST_QUALITY: f32 = -500.0;

/// The penalty of a measure: its name, and points `(value, penalty)`. Between the points the curve is linear, beyond
/// them it is constant.
type Curve = (&'static str, &'static [(f32, f32)]);

/// The start and the slope of each curve were chosen on the development half of LFW, with the default models. A
/// logistic regression with non-negative ramps was fitted to how near a pair of one person is to failing at FMR 1e-4.
/// Pairs were weighted so that no person dominates by number. The fit was made on each half of the people; where the
/// halves disagreed, the smaller weight was taken. The embedding's length explains most.
///
/// Tiny, dark, burnt-out, blurred, covered and cut faces do not occur in LFW. Their curves were fitted by eye to
/// portraits that were made worse step by step: the quality passes 100 where the embedding begins to move, and 0 before
/// the embedding is lost.
///
/// Another embedding model has other lengths, and needs another last curve.
#[rustfmt::skip]
const CURVES: [Curve; Measures::COUNT] = [
    ("inter_eye_distance", &[(8.0, 450.0), (10.0, 320.0), (14.0, 160.0), (18.0, 80.0), (24.0, 30.0), (36.0, 0.0)]),
    ("yaw", &[(-60.0, 350.0), (-45.0, 150.0), (-30.0, 25.0), (-20.0, 0.0), (20.0, 0.0), (30.0, 25.0), (45.0, 150.0), (60.0, 350.0)]),
    ("pitch", &[(-60.0, 300.0), (-45.0, 130.0), (-35.0, 50.0), (-25.0, 18.0), (-12.0, 0.0), (12.0, 0.0), (25.0, 18.0), (35.0, 50.0), (45.0, 130.0), (60.0, 300.0)]),
    ("roll", &[(-90.0, 150.0), (-60.0, 40.0), (-30.0, 0.0), (30.0, 0.0), (60.0, 40.0), (90.0, 150.0)]),
    ("proportions", &[(0.6, 200.0), (0.75, 30.0), (0.85, 0.0)]),
    ("outside", &[(0.02, 0.0), (0.1, 40.0), (0.25, 150.0), (0.45, 350.0)]),
    ("sharpness", &[(0.255, 400.0), (0.262, 230.0), (0.275, 110.0), (0.29, 40.0), (0.315, 0.0), (0.39, 0.0), (0.45, 40.0), (0.56, 130.0), (0.7, 280.0)]),
    ("luminance", &[(10.0, 350.0), (20.0, 200.0), (35.0, 80.0), (50.0, 20.0), (70.0, 0.0)]),
    ("under_exposure", &[(0.12, 0.0), (0.3, 50.0), (0.6, 150.0), (0.9, 300.0)]),
    ("over_exposure", &[(0.02, 0.0), (0.05, 25.0), (0.2, 80.0), (0.4, 200.0), (0.6, 400.0)]),
    ("dynamic_range", &[(8.0, 400.0), (15.0, 250.0), (25.0, 120.0), (40.0, 30.0), (60.0, 0.0)]),
    ("tonal_richness", &[(-1.4, 330.0), (-1.0, 190.0), (-0.6, 95.0), (-0.25, 0.0)]),
    ("illumination_uniformity", &[(0.1, 40.0), (0.25, 0.0)]),
    ("eye_shade", &[(0.9, 0.0), (1.3, 25.0), (1.7, 70.0), (2.5, 150.0)]),
    ("chin_tint", &[(0.15, 0.0), (0.3, 50.0), (0.5, 120.0)]),
    ("lower_half_cover", &[(0.74, 0.0), (0.78, 60.0), (0.82, 160.0), (0.88, 300.0)]),
    ("mouth_opening", &[(0.1, 0.0), (0.3, 25.0), (0.6, 60.0)]),
    ("detector_score", &[(0.5, 250.0), (0.9, 120.0), (0.99, 50.0), (0.999, 20.0), (0.9999, 0.0)]),
    ("landmark_spread", &[(0.04, 0.0), (0.08, 20.0), (0.15, 60.0), (0.3, 200.0)]),
    ("embedding_length", &[(1.8, 550.0), (2.2, 415.0), (2.6, 270.0), (3.0, 170.0), (3.7, 80.0), (4.4, 0.0)]),
];

/// The penalty of each measure.
fn penalties(measures: &Measures) -> [(&'static str, f32); Measures::COUNT] {
    let mut penalties = measures.named();
    for ((_, value), (_, knots)) in penalties.iter_mut().zip(CURVES) {
        *value = interpolate(knots, *value);
    }
    penalties
}

/// Quality of a face: [`BEST_QUALITY`] less the penalties of its measures. Above 100: good. Negative: a better picture
/// is needed.
pub(crate) fn quality(measures: &Measures) -> i32 {
    let taken: f32 = penalties(measures).iter().map(|(_, penalty)| penalty).sum();
    (BEST_QUALITY - taken).clamp(WORST_QUALITY, BEST_QUALITY).round() as i32
}

/// The penalty of a value. NaN has the curve's largest penalty.
fn interpolate(knots: &[(f32, f32)], value: f32) -> f32 {
    if value.is_nan() {
        return knots.iter().fold(0.0, |worst, &(_, penalty)| worst.max(penalty));
    }
    let above = knots.partition_point(|&(at, _)| at <= value);
    match (above.checked_sub(1).and_then(|below| knots.get(below)), knots.get(above)) {
        (Some((left, low)), Some((right, high))) => low + (high - low) * (value - left) / (right - left),
        (Some((_, penalty)), None) | (None, Some((_, penalty))) => *penalty,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A portrait as it should be.
    const GOOD: Measures = Measures {
        inter_eye_distance: 120.0,
        yaw: 2.0,
        pitch: -4.0,
        roll: 1.0,
        proportions: 0.95,
        outside: 0.0,
        sharpness: 0.33,
        luminance: 130.0,
        under_exposure: 0.0,
        over_exposure: 0.0,
        dynamic_range: 120.0,
        tonal_richness: 0.1,
        illumination_uniformity: 0.75,
        eye_shade: 0.5,
        chin_tint: 0.03,
        lower_half_cover: 0.0,
        mouth_opening: 0.03,
        detector_score: 1.0,
        landmark_spread: 0.03,
        embedding_length: 4.4,
    };

    #[test]
    fn every_measure_has_its_curve() {
        let names = GOOD.named().map(|(name, _)| name);
        assert_eq!(names, CURVES.map(|(name, _)| name));
        assert_eq!(
            names.join(" "),
            "inter_eye_distance yaw pitch roll proportions outside sharpness luminance under_exposure \
             over_exposure dynamic_range tonal_richness illumination_uniformity eye_shade chin_tint lower_half_cover \
             mouth_opening \
             detector_score landmark_spread embedding_length"
        );
    }

    #[test]
    fn curves_have_one_valley_and_rise_to_its_sides() {
        for (name, knots) in CURVES {
            assert!(knots.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name}");
            let valley =
                knots.iter().position(|&(_, penalty)| penalty == 0.0).expect("a value that costs nothing");
            let (falling, rising) = knots.split_at(valley);
            assert!(falling.windows(2).all(|pair| pair[0].1 > pair[1].1), "{name}");
            assert!(rising.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}");
        }
    }

    #[test]
    fn a_good_portrait_has_the_best_quality_and_each_measure_can_lower_it() {
        assert_eq!(quality(&GOOD), 300);
        let worse: [(&str, Measures); Measures::COUNT] = [
            ("inter_eye_distance", Measures { inter_eye_distance: 20.0, ..GOOD }),
            ("yaw", Measures { yaw: -40.0, ..GOOD }),
            ("pitch", Measures { pitch: 40.0, ..GOOD }),
            ("roll", Measures { roll: 70.0, ..GOOD }),
            ("proportions", Measures { proportions: 0.7, ..GOOD }),
            ("outside", Measures { outside: 0.2, ..GOOD }),
            ("sharpness", Measures { sharpness: 0.27, ..GOOD }),
            ("luminance", Measures { luminance: 30.0, ..GOOD }),
            ("under_exposure", Measures { under_exposure: 0.5, ..GOOD }),
            ("over_exposure", Measures { over_exposure: 0.3, ..GOOD }),
            ("dynamic_range", Measures { dynamic_range: 30.0, ..GOOD }),
            ("tonal_richness", Measures { tonal_richness: -1.0, ..GOOD }),
            ("illumination_uniformity", Measures { illumination_uniformity: 0.1, ..GOOD }),
            ("eye_shade", Measures { eye_shade: 1.6, ..GOOD }),
            ("chin_tint", Measures { chin_tint: 0.4, ..GOOD }),
            ("lower_half_cover", Measures { lower_half_cover: 0.8, ..GOOD }),
            ("mouth_opening", Measures { mouth_opening: 0.4, ..GOOD }),
            ("detector_score", Measures { detector_score: 0.9, ..GOOD }),
            ("landmark_spread", Measures { landmark_spread: 0.2, ..GOOD }),
            ("embedding_length", Measures { embedding_length: 3.0, ..GOOD }),
        ];
        for (name, measures) in worse {
            let guilty = penalties(&measures).into_iter().filter(|(_, penalty)| *penalty > 0.0);
            assert_eq!(guilty.map(|(name, _)| name).collect::<Vec<_>>(), [name]);
            assert!(quality(&measures) < 300 - 20, "{name}: {}", quality(&measures));
        }
    }

    #[test]
    fn what_cannot_be_used_is_negative_for_one_reason_alone() {
        for measures in [
            Measures { inter_eye_distance: 9.0, ..GOOD },
            Measures { yaw: 60.0, ..GOOD },
            Measures { outside: 0.45, ..GOOD },
            Measures { sharpness: 0.25, ..GOOD },
            Measures { luminance: 8.0, ..GOOD },
            Measures { tonal_richness: -1.5, ..GOOD },
            Measures { over_exposure: 0.7, ..GOOD },
            Measures { dynamic_range: 8.0, ..GOOD },
            Measures { embedding_length: 2.3, ..GOOD },
            Measures { embedding_length: f32::NAN, ..GOOD },
        ] {
            assert!(quality(&measures) < 0, "{}: {measures:?}", quality(&measures));
        }
    }

    #[test]
    fn curves_are_straight_between_their_points() {
        const KNOTS: [(f32, f32); 3] = [(1.0, 10.0), (2.0, 0.0), (4.0, 50.0)];
        let cases =
            [(0.0, 10.0), (1.0, 10.0), (1.5, 5.0), (2.0, 0.0), (3.0, 25.0), (9.0, 50.0), (f32::NAN, 50.0)];
        for (value, penalty) in cases {
            assert_eq!(interpolate(&KNOTS, value), penalty, "{value}");
        }
    }
}
