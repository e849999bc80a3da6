//! What callers send.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::fault::Fault;
use bytes::Bytes;
use faceline_shared::face::ImageType;
use faceline_shared::settings;
use url::Url;

use super::Algorithm;
use crate::families::form::{Form, Kind, Schema};
use crate::request::record;
use faceline_shared::job::Coding;

/// Modes of the original service that its clients ask for; each is answered with the own algorithm.
pub(crate) const ORIGINAL_MODES: [&str; 4] = ["F5_2_VID75", "F5_1_VID0", "F5_3_VID60", "F6_4_VID60X"];

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
        ("correlationId", Kind::Text),
        ("evidenceId", Kind::Text),
    ],
};

/// `POST /bioserver-app/v2/ages`.
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

/// `POST /bioserver-app/v2/bio-sessions`, as JSON.
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

/// Ages that a threshold may be.
pub const THRESHOLDS: RangeInclusive<i64> = 0..=150;

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
    pub(super) picture: Coding<Bytes>,
    pub(super) friendly_name: Option<String>,
    /// As it was given.
    pub(super) rotation: Option<bool>,
    /// The answer is to be signed.
    pub(super) signed: bool,
}

/// A face whose age is to be estimated.
#[derive(Debug)]
pub(super) struct AgeRequest {
    pub(super) picture: Coding<Bytes>,
    pub(super) threshold: i64,
    /// The answer is to be signed.
    pub(super) signed: bool,
}

/// A session to create.
#[derive(Debug)]
pub(super) struct SessionRequest {
    pub(super) echo: Echo,
    pub(super) keeps_pictures: bool,
    pub(super) ttl: Duration,
    pub(super) callback_url: Option<String>,
}

/// Two pictures to compare.
#[derive(Debug)]
pub(super) struct MatchImagesRequest {
    pub(super) reference: Coding<Bytes>,
    pub(super) candidate: Coding<Bytes>,
    pub(super) rotation: Option<bool>,
    pub(super) echo: Echo,
}

/// A face and a picture to compare.
#[derive(Debug)]
pub(super) struct MatchRequest<'a> {
    /// The JSON text of the face.
    pub(super) reference: &'a str,
    pub(super) candidate: Coding<Bytes>,
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
            signed: is_signed(form),
        })
    }
}

impl AgeRequest {
    pub(super) fn read(form: &Form) -> Result<Self, Fault> {
        let threshold = form.required_integer("threshold")?;
        if !THRESHOLDS.contains(&threshold) {
            let (least, most) = THRESHOLDS.into_inner();
            return Err(Fault::Invalid(format!("`threshold` must be {least} to {most}")));
        }
        let image_type = parse_image_type("imageType", form.text("imageType").unwrap_or("SELFIE"))?;
        if image_type == ImageType::IdDocument {
            return Err(Fault::Invalid("`imageType` must be SELFIE or VIDEO_FRAME here".into()));
        }
        let rotate = form.flag("imageRotationEnabled").unwrap_or(false);
        let picture = Coding { picture: form.picture("image")?, image_type, rotate };
        Ok(Self { picture, threshold, signed: is_signed(form) })
    }
}

impl SessionRequest {
    /// Reads a body, which may be empty.
    pub(super) fn read(body: Bytes, bounds: &settings::SessionSettings) -> Result<Self, Fault> {
        let form = if body.is_empty() { Form::new(&SESSION) } else { Form::from_json(&SESSION, body)? };
        let ttl = match form.integer("ttlSeconds") {
            None => bounds.default_ttl,
            Some(seconds) => ttl(seconds, bounds.max_ttl)?,
        };
        Ok(Self {
            echo: Echo::read(&form),
            keeps_pictures: form.flag("imageStorageEnabled").unwrap_or(false),
            ttl,
            callback_url: form.text("callbackURL").map(callback_url).transpose()?,
        })
    }
}

fn ttl(seconds: i64, most: Duration) -> Result<Duration, Fault> {
    let most = most.as_secs();
    match u64::try_from(seconds) {
        Ok(seconds) if (1..=most).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::Invalid(format!("`ttlSeconds` must be 1 to {most}"))),
    }
}

/// Where it leads is looked at when it is called; here only that it can be called at all.
fn callback_url(text: &str) -> Result<String, Fault> {
    let invalid = |what: &str| Fault::Invalid(format!("`callbackURL` {what}"));
    let url = Url::parse(text).map_err(|error| invalid(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("must begin with http:// or https://"));
    }
    Ok(url.into())
}

fn is_signed(form: &Form) -> bool {
    !form.flag("signatureDisabled").unwrap_or(false)
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
        let echo = Self { correlation_id: text("correlationId"), evidence_id: text("evidenceId") };
        record::update(|facts| {
            facts.correlation_id.clone_from(&echo.correlation_id);
            facts.evidence_id.clone_from(&echo.evidence_id);
        });
        echo
    }
}

fn picture(
    form: &Form,
    image: &'static str,
    image_type: &'static str,
    rotation: Option<bool>,
) -> Result<Coding<Bytes>, Fault> {
    Ok(Coding {
        picture: form.picture(image)?,
        image_type: parse_image_type(image_type, form.required_text(image_type)?)?,
        rotate: rotation.unwrap_or(false),
    })
}

pub(super) fn parse_image_type(name: &str, text: &str) -> Result<ImageType, Fault> {
    text.parse().map_err(|error| Fault::Invalid(format!("`{name}` {text:?} is not known: {error}")))
}
