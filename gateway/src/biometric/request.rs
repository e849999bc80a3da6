//! What callers send.

use bytes::Bytes;
use faceline_shared::error::Fault;
use faceline_shared::face::ImageType;

use super::Algorithm;
use crate::form::{Form, Kind, Schema};
use crate::jobs::SubmittedPicture;

/// Modes of the original service that its clients ask for; each is answered with the own algorithm.
const ORIGINAL_MODES: [&str; 4] = ["F5_2_VID75", "F5_1_VID0", "F5_3_VID60", "F6_4_VID60X"];

/// `POST /bioserver-app/v2/faces`.
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
    ],
};

/// `POST /bioserver-app/v2/match/images`.
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

/// `POST /bioserver-app/v2/match`.
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

/// A face to describe.
#[derive(Debug)]
pub(super) struct FaceRequest {
    pub(super) picture: SubmittedPicture,
    pub(super) friendly_name: Option<String>,
    /// As it was given.
    pub(super) rotation: Option<bool>,
}

/// Two pictures to compare.
#[derive(Debug)]
pub(super) struct MatchImagesRequest {
    pub(super) reference: SubmittedPicture,
    pub(super) candidate: SubmittedPicture,
    pub(super) rotation: Option<bool>,
    pub(super) echo: Echo,
}

/// A face and a picture to compare.
#[derive(Debug)]
pub(super) struct MatchRequest<'a> {
    /// The JSON text of the face.
    pub(super) reference: &'a str,
    pub(super) candidate: SubmittedPicture,
    pub(super) rotation: Option<bool>,
    pub(super) echo: Echo,
}

/// The caller's own identifiers.
#[derive(Clone, Debug, Default)]
pub(super) struct Echo {
    pub(super) correlation_id: Option<String>,
    pub(super) evidence_id: Option<String>,
}

impl FaceRequest {
    pub(super) fn read(form: &Form, algorithm: &Algorithm) -> Result<Self, Fault> {
        if let Some(mode) = form.text("mode")
            && mode != algorithm.name
            && !ORIGINAL_MODES.contains(&mode)
        {
            return Err(Fault::Invalid(format!(
                "`mode` {mode:?} is not known: allowed values are {} and {}",
                ORIGINAL_MODES.join(", "),
                algorithm.name
            )));
        }
        let rotation = form.flag("imageRotationEnabled");
        Ok(Self {
            picture: picture(form, "image", "imageType", rotation)?,
            friendly_name: form.text("friendlyName").map(str::to_owned),
            rotation,
        })
    }
}

impl MatchImagesRequest {
    pub(super) fn read(form: &Form) -> Result<Self, Fault> {
        let rotation = form.flag("imageRotationEnabled");
        Ok(Self {
            reference: picture(form, "referenceImage", "referenceImageType", rotation)?,
            candidate: picture(form, "candidateImage", "candidateImageType", rotation)?,
            rotation,
            echo: Echo::read(form),
        })
    }
}

impl<'a> MatchRequest<'a> {
    pub(super) fn read(form: &'a Form) -> Result<Self, Fault> {
        let rotation = form.flag("imageRotationEnabled");
        Ok(Self {
            reference: form.document("referenceFace")?,
            candidate: picture(form, "candidateImage", "candidateImageType", rotation)?,
            rotation,
            echo: Echo::read(form),
        })
    }
}

impl Echo {
    fn read(form: &Form) -> Self {
        let text = |name| form.text(name).map(str::to_owned);
        Self { correlation_id: text("correlationId"), evidence_id: text("evidenceId") }
    }
}

fn picture(
    form: &Form,
    image: &'static str,
    image_type: &'static str,
    rotation: Option<bool>,
) -> Result<SubmittedPicture, Fault> {
    let bytes: Bytes = form.picture(image)?;
    Ok(SubmittedPicture {
        bytes,
        image_type: parse_image_type(image_type, form.required_text(image_type)?)?,
        rotate: rotation.unwrap_or(false),
    })
}

pub(super) fn parse_image_type(name: &str, text: &str) -> Result<ImageType, Fault> {
    text.parse().map_err(|error| Fault::Invalid(format!("`{name}` {text:?} is not known: {error}")))
}
