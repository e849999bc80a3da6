//! The body that an operation takes: how it is read, and the name of its schema in openapi.json.

use serde_json::{Value, json};

use crate::families::biometric;
use crate::families::form::Schema;

/// The body of an operation's requests.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Body {
    /// No body. A body that is sent anyway is discarded.
    None,
    /// A multipart form.
    Form(&'static FormBody),
    /// Short JSON without pictures. It may be absent.
    Json {
        /// Name of its schema.
        schema: &'static str,
        /// An example of it.
        example: fn() -> Value,
    },
    /// A multipart form, or short JSON instead of it.
    FormOrJson {
        /// The form.
        form: &'static FormBody,
        /// Name of the JSON's schema.
        json: &'static str,
    },
    /// JSON with pictures in base64.
    JsonWithPictures {
        /// Name of its schema.
        schema: &'static str,
        /// The maximum length.
        limit: BodyLimit,
    },
    /// The video of a replay, a multipart body that is passed on as it arrives.
    Upload,
    /// One gRPC message.
    GrpcMessage,
    /// A body that a gRPC service of another library reads by itself.
    GrpcService,
}

/// The maximum length of a body of JSON with pictures.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum BodyLimit {
    /// This many bytes.
    Bytes(usize),
    /// The length of a body with one picture of the largest permitted size.
    OnePicture,
}

/// A multipart form.
#[derive(Debug)]
pub(in crate::http) struct FormBody {
    /// Name of its schema in openapi.json.
    pub(in crate::http) name: &'static str,
    /// The parts that are read.
    pub(in crate::http) parts: &'static Schema,
    /// The parts that are required.
    pub(in crate::http) required: &'static [&'static str],
    /// The shortest JSON part with which a request can be tried.
    pub(in crate::http) example: fn() -> Value,
}

pub(super) static FACE_FORM: FormBody = FormBody {
    name: "FaceForm",
    parts: &biometric::FACES,
    required: &["image"],
    example: || json!({"imageType": "SELFIE"}),
};

pub(super) static AGE_FORM: FormBody = FormBody {
    name: "AgeForm",
    parts: &biometric::AGES,
    required: &["image"],
    example: || json!({"threshold": 18}),
};

pub(super) static MATCH_IMAGES_FORM: FormBody = FormBody {
    name: "MatchImagesForm",
    parts: &biometric::MATCH_IMAGES,
    required: &["referenceImage", "candidateImage", "referenceImageType", "candidateImageType"],
    example: || json!({}),
};

pub(super) static MATCH_FORM: FormBody = FormBody {
    name: "MatchForm",
    parts: &biometric::MATCH,
    required: &["candidateImage", "candidateImageType", "referenceFace"],
    example: || json!({}),
};

/// All forms.
pub(in crate::http) static FORMS: [&FormBody; 4] = [&FACE_FORM, &AGE_FORM, &MATCH_IMAGES_FORM, &MATCH_FORM];
