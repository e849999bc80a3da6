//! The fields that each operation reads. The OpenAPI document describes requests from these tables, too.

use std::ops::RangeInclusive;

use crate::families::form::{Kind, Schema};

/// Modes that clients of the original service request. This service accepts them, and codes faces with its own
/// algorithm.
pub(crate) const ORIGINAL_MODES: [&str; 4] = ["F5_2_VID75", "F5_1_VID0", "F5_3_VID60", "F6_4_VID60X"];

/// The fields of `POST /bioserver-app/v2/faces`.
pub const FACES: Schema = Schema {
    pictures: &["image"],
    object: Some("face"),
    document: None,
    values: &[
        ("mode", Kind::Text),
        ("imageType", Kind::Text),
        ("friendlyName", Kind::Text),
        ("signatureDisabled", Kind::Flag),
        ("imageRotationEnabled", Kind::Flag),
        ("correlationId", Kind::Text),
        ("evidenceId", Kind::Text),
    ],
};

/// The fields of `POST /bioserver-app/v2/ages`.
pub const AGES: Schema = Schema {
    pictures: &["image"],
    object: Some("age"),
    document: None,
    values: &[
        ("threshold", Kind::Integer),
        ("imageType", Kind::Text),
        ("signatureDisabled", Kind::Flag),
        ("imageRotationEnabled", Kind::Flag),
        ("correlationId", Kind::Text),
        ("evidenceId", Kind::Text),
    ],
};

/// The fields of `POST /bioserver-app/v2/bio-sessions`, a JSON body.
pub const SESSION: Schema = Schema {
    pictures: &[],
    object: None,
    document: None,
    values: &[
        ("correlationId", Kind::Text),
        ("evidenceId", Kind::Text),
        ("imageStorageEnabled", Kind::Flag),
        ("ttlSeconds", Kind::Integer),
        ("callbackURL", Kind::Text),
    ],
};

/// The fields of `init-liveness-parameters`, a JSON body.
pub const PARAMETERS: Schema = Schema {
    pictures: &[],
    object: None,
    document: None,
    values: &[
        ("type", Kind::Text),
        ("securityLevel", Kind::Text),
        ("nbChallenge", Kind::Integer),
        ("imageRetrievalDisabled", Kind::Flag),
        ("id", Kind::Text),
    ],
};

/// The fields of `POST /video-server/init-liveness-session`, a JSON body. `imageStorageEnabled` is not among them,
/// because the session keeps pictures in any case.
pub const WEB_CAPTURE: Schema = Schema {
    pictures: &[],
    object: None,
    document: None,
    values: &[
        ("livenessMode", Kind::Text),
        ("securityLevel", Kind::Text),
        ("numberOfChallenge", Kind::Integer),
        ("correlationId", Kind::Text),
        ("evidenceId", Kind::Text),
        ("ageThreshold", Kind::Integer),
        ("callbackURL", Kind::Text),
    ],
};

/// The ages, in years, that `threshold` may have.
pub const THRESHOLDS: RangeInclusive<i64> = 0..=150;

/// The fields of `POST /bioserver-app/v2/match/images`.
pub const MATCH_IMAGES: Schema = Schema {
    pictures: &["referenceImage", "candidateImage"],
    object: None,
    document: None,
    values: &[
        ("referenceImageType", Kind::Text),
        ("candidateImageType", Kind::Text),
        ("correlationId", Kind::Text),
        ("evidenceId", Kind::Text),
        ("imageRotationEnabled", Kind::Flag),
    ],
};

/// The fields of `POST /bioserver-app/v2/match`.
pub const MATCH: Schema = Schema {
    pictures: &["candidateImage"],
    object: None,
    document: Some("referenceFace"),
    values: &[
        ("candidateImageType", Kind::Text),
        ("correlationId", Kind::Text),
        ("evidenceId", Kind::Text),
        ("imageRotationEnabled", Kind::Flag),
    ],
};
