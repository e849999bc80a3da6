//! Reads the requests of all operations, except for the reference face, which `reference_face.rs` reads.

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::face::ImageType;
use faceline_shared::job::Coding;
use faceline_shared::settings::SessionSettings;
use url::Url;

use super::algorithm::Algorithm;
use super::forms::{ORIGINAL_MODES, SESSION, THRESHOLDS};
use crate::families::form::Form;
use crate::fault::Fault;
use crate::request::record;

/// A picture whose face is to be described.
#[derive(Debug)]
pub(super) struct FaceRequest {
    pub(super) picture: Coding<Bytes>,
    pub(super) friendly_name: Option<String>,
    /// `imageRotationEnabled` as the caller sent it; the answer repeats it.
    pub(super) rotation: Option<bool>,
    /// Whether the answer carries a signature.
    pub(super) signed: bool,
}

/// A picture in which the age of a person is to be estimated.
#[derive(Debug)]
pub(super) struct AgeRequest {
    pub(super) picture: Coding<Bytes>,
    pub(super) threshold: i64,
    /// Whether the answer carries a signature.
    pub(super) signed: bool,
}

/// A session to create.
#[derive(Debug)]
pub(super) struct SessionRequest {
    pub(super) identifiers: CallerIdentifiers,
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
    pub(super) identifiers: CallerIdentifiers,
}

/// A face of an earlier answer and a picture to compare.
#[derive(Debug)]
pub(super) struct MatchRequest<'a> {
    /// The JSON text of the reference face.
    pub(super) reference: &'a str,
    pub(super) candidate: Coding<Bytes>,
    pub(super) rotation: Option<bool>,
    pub(super) identifiers: CallerIdentifiers,
}

/// The identifiers that the caller chose for the request. The answer and the usage record repeat them.
#[derive(Clone, Debug, Default)]
pub(super) struct CallerIdentifiers {
    pub(super) correlation_id: Option<String>,
    pub(super) evidence_id: Option<String>,
}

impl FaceRequest {
    pub(super) fn read(form: &Form, algorithm: &Algorithm) -> Result<Self, Fault> {
        CallerIdentifiers::read(form);
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
        CallerIdentifiers::read(form);
        let threshold = form.required_integer("threshold")?;
        if !THRESHOLDS.contains(&threshold) {
            let (min, max) = THRESHOLDS.into_inner();
            return Err(Fault::Invalid(format!("`threshold` must be {min} to {max}")));
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
    /// Reads a JSON body. An empty body requests a session with all defaults.
    pub(super) fn read(body: Bytes, bounds: &SessionSettings) -> Result<Self, Fault> {
        let form = if body.is_empty() { Form::new(&SESSION) } else { Form::from_json(&SESSION, body)? };
        let identifiers = CallerIdentifiers::read(&form);
        let ttl = match form.integer("ttlSeconds") {
            None => bounds.default_ttl,
            Some(seconds) => ttl(seconds, bounds.max_ttl)?,
        };
        Ok(Self {
            identifiers,
            keeps_pictures: form.flag("imageStorageEnabled").unwrap_or(false),
            ttl,
            callback_url: form.text("callbackURL").map(callback_url).transpose()?,
        })
    }
}

/// Reads the time to live of a session: 1 s to `max`.
fn ttl(seconds: i64, max: Duration) -> Result<Duration, Fault> {
    let max_seconds = max.as_secs();
    match u64::try_from(seconds) {
        Ok(seconds) if (1..=max_seconds).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::Invalid(format!("`ttlSeconds` must be 1 to {max_seconds}"))),
    }
}

/// Checks that the callback URL parses, is `http` or `https`, and has no credentials, which would not be sent. The
/// address guard decides at the time of the call whether the gateway connects to it.
pub(super) fn callback_url(text: &str) -> Result<String, Fault> {
    let invalid = |what: &str| Fault::Invalid(format!("`callbackURL` {what}"));
    let url = Url::parse(text).map_err(|error| invalid(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not have a user or a password"));
    }
    Ok(url.into())
}

fn is_signed(form: &Form) -> bool {
    !form.flag("signatureDisabled").unwrap_or(false)
}

impl MatchImagesRequest {
    pub(super) fn read(form: &Form) -> Result<Self, Fault> {
        let identifiers = CallerIdentifiers::read(form);
        let rotation = form.flag("imageRotationEnabled");
        Ok(Self {
            reference: picture(form, "referenceImage", "referenceImageType", rotation)?,
            candidate: picture(form, "candidateImage", "candidateImageType", rotation)?,
            rotation,
            identifiers,
        })
    }
}

impl<'a> MatchRequest<'a> {
    pub(super) fn read(form: &'a Form) -> Result<Self, Fault> {
        let identifiers = CallerIdentifiers::read(form);
        let rotation = form.flag("imageRotationEnabled");
        Ok(Self {
            reference: form.document("referenceFace")?,
            candidate: picture(form, "candidateImage", "candidateImageType", rotation)?,
            rotation,
            identifiers,
        })
    }
}

impl CallerIdentifiers {
    /// Reads the identifiers, and adds them to the usage record. It is called before anything else of a request is
    /// read, so the records of refused requests have them, too.
    pub(super) fn read(form: &Form) -> Self {
        let text = |name| form.text(name).map(str::to_owned);
        let identifiers = Self { correlation_id: text("correlationId"), evidence_id: text("evidenceId") };
        record::update(|facts| {
            facts.correlation_id.clone_from(&identifiers.correlation_id);
            facts.evidence_id.clone_from(&identifiers.evidence_id);
        });
        identifiers
    }
}

/// Reads the picture of the part `image`, and its type from the value `image_type`.
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

/// Parses a picture's type; `name` is the field that holds it.
pub(super) fn parse_image_type(name: &str, text: &str) -> Result<ImageType, Fault> {
    text.parse().map_err(|error| Fault::Invalid(format!("`{name}` {text:?} is not known: {error}")))
}
