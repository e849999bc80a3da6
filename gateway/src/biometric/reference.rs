//! A face as a caller kept it: the JSON of an earlier answer.

use std::fmt::Display;
use std::str::FromStr;

use faceline_shared::error::Fault;
use faceline_shared::face::{Embedding, Eyes};
use faceline_shared::template::TemplateCodec;
use serde::{Deserialize, Deserializer, de};

use super::Algorithm;
use super::answer::{Landmarks, MatchedFace};
use super::request::parse_image_type;
use crate::face::FaceDescription;

/// Members of a face that are read; others are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReferenceFace {
    id: Option<String>,
    friendly_name: Option<String>,
    digest: Option<String>,
    mode: Option<String>,
    image_type: Option<String>,
    #[serde(default, deserialize_with = "number_or_text")]
    quality: Option<i32>,
    landmarks: Option<KeptLandmarks>,
    template: Option<String>,
}

/// The body that makes a face of a session: the face, or an object with it as its member `face`.
#[derive(Deserialize)]
struct Body {
    face: Option<ReferenceFace>,
    #[serde(flatten)]
    bare: ReferenceFace,
}

#[derive(Debug, Deserialize)]
struct KeptLandmarks {
    eyes: Option<Eyes>,
}

impl ReferenceFace {
    /// Reads the JSON of a comparison's reference and opens the template in it.
    pub(super) fn open(
        json: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(MatchedFace, Embedding), Fault> {
        let part = "referenceFace";
        let face: Self = parse(part, json)?;
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
            quality: face.quality,
            image_rotation_enabled: None,
            landmarks: eyes.map(|eyes| Landmarks { eyes }),
        };
        Ok((described, embedding))
    }

    /// Reads the JSON of a face for a session: what it says of itself, its template, and what is in that.
    pub(super) fn open_for_session(
        json: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(FaceDescription, String, Embedding), Fault> {
        let Body { face, bare } = parse("face", json)?;
        let face = face.unwrap_or(bare);
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
            quality: face.quality,
            eyes,
            rotation: None,
        };
        Ok((description, template, embedding))
    }

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
        if embedding.algorithm != own.name || embedding.version != own.version {
            let named = |name: &str, version: u32| format!("{name} version {version}");
            return Err(invalid(other_algorithm(
                &named(&embedding.algorithm, embedding.version),
                &named(&own.name, own.version),
            )));
        }
        Ok((template, embedding))
    }

    fn eyes(&self) -> Option<Eyes> {
        self.landmarks.as_ref().and_then(|landmarks| landmarks.eyes)
    }
}

fn invalid(part: &str, what: &str) -> Fault {
    Fault::Invalid(format!("`{part}`: {what}"))
}

fn parse<'a, T: Deserialize<'a>>(part: &str, json: &'a str) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|error| invalid(part, &format!("this is not a face: {error}")))
}

/// Words for a template that cannot be compared.
pub(super) fn other_algorithm(theirs: &str, ours: &str) -> String {
    format!("the template was made by {theirs}, and this service uses {ours}")
}

/// A number, or a text that is one.
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
            String::from_utf8(crate::json::to_vec(&described).unwrap()).unwrap(),
            @r#"{"id":"31214b58-9edc-425b-9436-60dcd94fbc3a","friendlyName":"A name","digest":"ab","mode":"FL1_512","imageType":"SELFIE","quality":306,"landmarks":{"eyes":{"x1":518.71204,"y1":444.68396,"x2":655.408,"y2":446.599}}}"#
        );
    }

    #[test]
    fn only_a_template_is_needed() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let face = json!({"template": template(&templates, "FL1_512", 1), "quality": null, "id": null});
        let (described, _) = ReferenceFace::open(&face.to_string(), &templates, &own()).unwrap();
        assert_eq!(crate::json::to_vec(&described).unwrap(), br#"{"mode":"FL1_512"}"#);
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
