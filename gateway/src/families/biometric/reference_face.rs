//! Reads a face that the caller kept: the JSON of an earlier answer, with its template.
//!
//! The comments of [`ReferenceFace`] are texts of the OpenAPI document.

use std::fmt::Display;
use std::str::FromStr;

use faceline_shared::face::{Embedding, Eyes};
use serde::{Deserialize, Deserializer, de};
use utoipa::ToSchema;

use super::algorithm::{Algorithm, other_algorithm};
use super::answer::{Landmarks, MatchedFace};
use super::request::parse_image_type;
use super::schema::types;
use super::template::TemplateCodec;
use crate::families::form::MAX_VALUE_BYTES;
use crate::families::json;
use crate::fault::Fault;
use crate::sessions::face::FaceDescription;

/// A face of an earlier answer, as it was given. These members are read; others are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReferenceFace {
    /// The id that it had.
    #[schema(max_length = 1024)]
    id: Option<String>,
    /// The caller's name for it.
    #[schema(max_length = 1024)]
    friendly_name: Option<String>,
    /// SHA-256 of the picture's file.
    #[schema(max_length = 1024)]
    digest: Option<String>,
    /// The algorithm that coded it; what counts is what the template says.
    #[schema(max_length = 1024)]
    mode: Option<String>,
    /// The picture's kind; required for a face of a session.
    #[schema(value_type = types::ImageType)]
    image_type: Option<String>,
    /// A whole number.
    #[schema(minimum = -1000000, maximum = 1000000, multiple_of = 1)]
    #[serde(default, deserialize_with = "number_or_text")]
    quality: Option<f64>,
    /// Where the eyes are.
    landmarks: Option<KeptLandmarks>,
    /// As it was asked for.
    #[serde(default, deserialize_with = "flag_or_text")]
    image_rotation_enabled: Option<bool>,
    /// The template, as this installation made it.
    #[schema(required, min_length = 1)]
    template: Option<String>,
}

/// The body of a request that adds a face to a session: the face itself, or an object whose member `face` is the face.
#[derive(Deserialize)]
struct Body {
    face: Option<ReferenceFace>,
    #[serde(flatten)]
    bare: ReferenceFace,
}

#[derive(Debug, Deserialize, ToSchema)]
struct KeptLandmarks {
    /// The centres of the eyes; all four numbers, or none counts.
    eyes: Option<KeptEyes>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct KeptEyes {
    #[serde(deserialize_with = "number_or_text")]
    x1: Option<f32>,
    #[serde(deserialize_with = "number_or_text")]
    y1: Option<f32>,
    #[serde(deserialize_with = "number_or_text")]
    x2: Option<f32>,
    #[serde(deserialize_with = "number_or_text")]
    y2: Option<f32>,
}

impl ReferenceFace {
    /// Reads the reference face of a comparison and opens its template.
    pub(super) fn open(
        json: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(MatchedFace, Embedding), Fault> {
        let part = "referenceFace";
        let face: Self = parse(part, json)?;
        face.check(part)?;
        let (_, embedding) = face.template(part, templates, own)?;
        let image_type =
            face.image_type.as_deref().map(|text| parse_image_type("imageType", text)).transpose()?;
        let eyes = face.eyes();
        let described = MatchedFace {
            id: face.id,
            friendly_name: face.friendly_name,
            digest: face.digest,
            mode: own.name.clone(),
            image_type,
            quality: face.quality.map(|quality| quality as i32),
            // The API's samples of direct matches leave this member out.
            image_rotation_enabled: None,
            landmarks: eyes.map(|eyes| Landmarks { eyes }),
        };
        Ok((described, embedding))
    }

    /// Reads a face that is to be added to a session. Returns its description, its template as sent, and the opened embedding.
    pub(super) fn open_for_session(
        json: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(FaceDescription, String, Embedding), Fault> {
        let Body { face, bare } = parse("face", json)?;
        let face = face.unwrap_or(bare);
        face.check("face")?;
        let (template, embedding) = face.template("face", templates, own)?;
        let Some(image_type) = &face.image_type else {
            return Err(Fault::Invalid("`imageType` is missing".into()));
        };
        let image_type = parse_image_type("imageType", image_type)?;
        let (template, eyes) = (template.to_owned(), face.eyes());
        let description = FaceDescription {
            friendly_name: face.friendly_name,
            digest: face.digest,
            image_type,
            quality: face.quality.map(|quality| quality as i32),
            eyes,
            rotation: face.image_rotation_enabled,
        };
        Ok((description, template, embedding))
    }

    /// The template as sent, and the embedding in it. Refuses templates of another installation or algorithm.
    fn template(
        &self,
        part: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(&str, Embedding), Fault> {
        let invalid = |what: String| invalid(part, &what);
        let template = self.template.as_deref().ok_or_else(|| invalid("the face has no template".into()))?;
        let embedding = templates.decode(template).map_err(|error| match self.mode.as_deref() {
            Some(mode) if mode != own.name => invalid(other_algorithm(mode, &own.name)),
            _ => invalid(error.to_string()),
        })?;
        own.require(&embedding).map_err(invalid)?;
        Ok((template, embedding))
    }

    /// Checks the members that answers repeat: texts have bounded lengths, and numbers are ones that JSON can express.
    fn check(&self, part: &str) -> Result<(), Fault> {
        let texts = [
            ("id", &self.id),
            ("friendlyName", &self.friendly_name),
            ("digest", &self.digest),
            ("mode", &self.mode),
            ("imageType", &self.image_type),
        ];
        for (name, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > MAX_VALUE_BYTES) {
                return Err(invalid(part, &format!("`{name}` is longer than {MAX_VALUE_BYTES} bytes")));
            }
        }
        if self.quality.is_some_and(|quality| quality.fract() != 0.0 || quality.abs() > 1e6) {
            return Err(invalid(part, "`quality` must be a whole number"));
        }
        let eyes = self.eyes();
        if eyes.is_some_and(|Eyes { x1, y1, x2, y2 }| [x1, y1, x2, y2].iter().any(|at| !at.is_finite())) {
            return Err(invalid(part, "`eyes` must be numbers"));
        }
        Ok(())
    }

    /// The eyes, where all four coordinates are given.
    fn eyes(&self) -> Option<Eyes> {
        let eyes = self.landmarks.as_ref()?.eyes.as_ref()?;
        Some(Eyes { x1: eyes.x1?, y1: eyes.y1?, x2: eyes.x2?, y2: eyes.y2? })
    }
}

/// The refusal of the face in `part`.
fn invalid(part: &str, what: &str) -> Fault {
    Fault::Invalid(format!("`{part}`: {what}"))
}

/// Parses the JSON in `part`. The error text names the position only: the JSON may hold a template.
fn parse<'a, T: Deserialize<'a>>(part: &str, json: &'a str) -> Result<T, Fault> {
    serde_json::from_str(json)
        .map_err(|error| invalid(part, &format!("this is not a face: {}", json::place(&error))))
}

/// Deserializes a number, or a text that contains one.
fn number_or_text<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Number(T),
        Text(String),
    }

    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.trim().parse().map(Some).map_err(de::Error::custom),
    }
}

/// Deserializes a boolean, or the text `true` or `false` in upper or lower case.
fn flag_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Flag(bool),
        Text(String),
    }

    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Flag(flag)) => Ok(Some(flag)),
        Some(Either::Text(text)) => {
            text.trim().to_ascii_lowercase().parse().map(Some).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use faceline_shared::seal::KeyRing;
    use serde_json::json;

    use super::*;

    fn own() -> Algorithm {
        Algorithm { name: "FL1_512".into(), version: 1 }
    }

    fn template(templates: &TemplateCodec, algorithm: &str, version: u32) -> String {
        templates.encode(&Embedding::new(algorithm, version, &[0.6, 0.8])).unwrap()
    }

    fn refusal(templates: &TemplateCodec, face: &serde_json::Value) -> String {
        ReferenceFace::open(&face.to_string(), templates, &own()).unwrap_err().to_string()
    }

    #[test]
    fn a_face_of_an_earlier_answer_is_opened_and_repeated() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let face = json!({
            "id": "31214b58-9edc-425b-9436-60dcd94fbc3a", "friendlyName": "A name", "digest": "ab", "mode": "FL1_512",
            "imageType": "SELFIE", "quality": "306",
            "landmarks": {"eyes": {"x1": 518.71204, "y1": 444.68396, "x2": 655.408, "y2": 446.599}},
            "imageRotationEnabled": false, "template": template(&templates, "FL1_512", 1), "templateVersion": 1,
            "created": "2017-11-13T13:28:24.098Z", "expires": "2017-11-13T13:33:24.108Z", "signature": "eyJ"
        });
        let (described, embedding) = ReferenceFace::open(&face.to_string(), &templates, &own()).unwrap();
        assert_eq!(embedding, Embedding::new("FL1_512", 1, &[0.6, 0.8]));
        insta::assert_snapshot!(
            String::from_utf8(crate::families::json::to_vec(&described).unwrap()).unwrap(),
            @r#"{"id":"31214b58-9edc-425b-9436-60dcd94fbc3a","friendlyName":"A name","digest":"ab","mode":"FL1_512","imageType":"SELFIE","quality":306,"landmarks":{"eyes":{"x1":518.71204,"y1":444.68396,"x2":655.408,"y2":446.599}}}"#
        );
    }

    #[test]
    fn only_a_template_is_needed() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let face = json!({"template": template(&templates, "FL1_512", 1), "quality": null, "id": null});
        let (described, _) = ReferenceFace::open(&face.to_string(), &templates, &own()).unwrap();
        assert_eq!(crate::families::json::to_vec(&described).unwrap(), br#"{"mode":"FL1_512"}"#);
    }

    #[test]
    fn a_template_of_another_algorithm_is_refused_and_both_are_named() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let version = refusal(&templates, &json!({"template": template(&templates, "FL1_512", 7)}));
        assert!(version.contains("FL1_512 version 7") && version.contains("FL1_512 version 1"), "{version}");
        let original = refusal(&templates, &json!({"template": "EQAAAMwDAAACA", "mode": "F6_4_VID60X"}));
        assert!(original.contains("F6_4_VID60X") && original.contains("FL1_512"), "{original}");
    }

    #[test]
    fn values_may_be_texts_and_must_be_sound() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let open = |more: serde_json::Value| {
            let mut face = json!({"template": template(&templates, "FL1_512", 1), "imageType": "SELFIE"});
            face.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            ReferenceFace::open_for_session(&face.to_string(), &templates, &own()).map(|(face, ..)| face)
        };
        let face = open(json!({
            "quality": 306.0, "imageRotationEnabled": "False",
            "landmarks": {"eyes": {"x1": "518.5", "y1": 2, "x2": " 3 ", "y2": 4.5}}
        }))
        .unwrap();
        assert_eq!((face.quality, face.rotation), (Some(306), Some(false)));
        assert_eq!(face.eyes, Some(Eyes { x1: 518.5, y1: 2.0, x2: 3.0, y2: 4.5 }));
        for (wrong, expected) in [
            (json!({"quality": 1.5}), "`face`: `quality` must be a whole number"),
            (
                json!({"landmarks": {"eyes": {"x1": 1e39, "y1": 1, "x2": 1, "y2": 1}}}),
                "`face`: `eyes` must be numbers",
            ),
            (json!({"digest": "a".repeat(1025)}), "`face`: `digest` is longer than 1024 bytes"),
        ] {
            assert_eq!(open(wrong).unwrap_err().to_string(), expected);
        }
        // The error must not repeat the caller's text, which may be a template.
        let secret = ReferenceFace::open(r#""a template""#, &templates, &own()).unwrap_err().to_string();
        assert_eq!(secret, "`referenceFace`: this is not a face: not of the form at line 1 column 12");
    }

    #[test]
    fn what_is_no_face_is_refused() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let elsewhere = TemplateCodec::new(KeyRing::generate().unwrap());
        let forged = refusal(&templates, &json!({"template": template(&elsewhere, "FL1_512", 1)}));
        assert_eq!(forged, "`referenceFace`: the template is broken or comes from elsewhere");
        assert_eq!(refusal(&templates, &json!({"id": "a"})), "`referenceFace`: the face has no template");
        let kind = json!({"template": template(&templates, "FL1_512", 1), "imageType": "CAT"});
        assert!(refusal(&templates, &kind).contains("CAT"));
        for text in ["", "[]", "{", "\"face\"", "{\"landmarks\":3}"] {
            let error = ReferenceFace::open(text, &templates, &own()).unwrap_err().to_string();
            assert!(error.starts_with("`referenceFace`: this is not a face"), "{error}");
        }
    }
}
