//! Error rates over labelled pictures: of verification (ISO/IEC 19795-1: FMR and FNMR), of estimated ages, and of
//! presentation attack detection (ISO/IEC 30107-3).

mod age_errors;
mod age_fit;
mod age_index;
mod aim;
mod attack_errors;
mod attack_index;
mod balanced;
mod binomial;
mod bootstrap;
mod challenge;
mod coder;
mod comparison;
mod discard;
mod equal_errors;
mod face_index;
mod false_match_counts;
mod fold;
mod folder;
mod group_rates;
mod groups;
mod histogram;
mod index;
mod labelled;

pub use self::age_errors::{
    AGE_BANDS, AGE_THRESHOLDS, AgeErrors, AgePair, AgeThreshold, MIDDLE_AGES, age_correlation,
};
pub use self::age_fit::fit_age_correction;
pub use self::age_index::AgeIndex;
pub use self::aim::Aim;
pub use self::attack_errors::{AttackErrors, DetPoint, ErrorRate, Responses, is_injected};
pub use self::attack_index::{Medium, Presentation, presentations};
pub use self::balanced::{Accuracy, balanced_accuracy};
pub use self::binomial::{exact_interval, normal_deviate};
pub use self::bootstrap::{BootstrapSamples, Interval};
pub use self::challenge::{CHALLENGE_LIMITS, CHALLENGE_MARGINS, challenge};
pub use self::coder::{Coder, CoderError, Sample};
pub use self::comparison::{Comparison, Genuine, GenuinePairs};
pub use self::discard::{BadValues, DiscardCurve};
pub use self::face_index::FaceIndex;
pub use self::false_match_counts::FalseMatchCounts;
pub use self::fold::{Fold, NoFold};
pub use self::folder::{Coded, EvaluationError, Folder};
pub use self::group_rates::{GroupRates, Observation, group_rates};
pub use self::groups::{Grouping, Groups};
pub use self::histogram::Histogram;
pub use self::index::IndexError;
pub use self::labelled::{Impostor, Labelled, LabelledError};
