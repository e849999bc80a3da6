//! Reads a face that the caller sends back: the JSON of an earlier answer, with its template.
//!
//! Answers are signed, so they repeat the facts that the template was sealed with, and not the caller's claims. A
//! member that contradicts the template is refused. Id and name are the caller's own.
//!
//! The comments of [`ReferenceFace`] are texts of the OpenAPI document.

use faceline_shared::face::{Embedding, ImageType};
use serde::Deserialize;
use utoipa::ToSchema;

use super::algorithm::{Algorithm, other_algorithm};
use super::answer::{Landmarks, MatchedFace};
use super::face_facts::FaceFacts;
use super::kept_landmarks::KeptLandmarks;
use super::number_or_text::number_or_text;
use super::request::parse_image_type;
use super::schema::types;
use super::template::{Template, TemplateCodec};
use crate::families::form::MAX_VALUE_BYTES;
use crate::families::json;
use crate::fault::Fault;
use crate::sessions::face::FaceDescription;

/// A face from an earlier answer, unchanged. The service reads these members and ignores others. `digest`,
/// `imageType`, `quality` and `landmarks` are optional, and must not contradict the template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReferenceFace {
    /// The face's id, which the answer to a match repeats.
    #[schema(max_length = 1024)]
    id: Option<String>,
    /// The caller's name for the face.
    #[schema(max_length = 1024)]
    friendly_name: Option<String>,
    /// SHA-256 of the picture's file in hex.
    #[schema(max_length = 1024)]
    digest: Option<String>,
    /// The algorithm that coded the face. The service reads it from the template instead.
    #[schema(max_length = 1024)]
    mode: Option<String>,
    /// The picture's kind; required for a face of a session if its template does not contain it.
    #[schema(value_type = Option<types::ImageType>)]
    image_type: Option<String>,
    /// The quality of the picture, a whole number.
    #[schema(minimum = -1000000, maximum = 1000000, multiple_of = 1)]
    #[serde(default, deserialize_with = "number_or_text")]
    quality: Option<f64>,
    /// The positions of the face and its eyes.
    landmarks: Option<KeptLandmarks>,
    /// A template that this installation made.
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

impl ReferenceFace {
    /// Reads the reference face of a comparison, and opens its template.
    pub(super) fn open(
        json: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(MatchedFace, Embedding), Fault> {
        let face: Self = parse("referenceFace", json)?;
        let (Template { embedding, facts }, _) = face.template("referenceFace", templates, own)?;
        let described = MatchedFace {
            id: face.id,
            friendly_name: face.friendly_name,
            mode: own.name.clone(),
            image_type: facts.as_ref().map(|facts| facts.image_type),
            quality: facts.as_ref().map(|facts| facts.quality),
            // The API's samples of direct matches omit this member.
            image_rotation_enabled: None,
            landmarks: facts.as_ref().map(|facts| Landmarks::new(facts.eyes, facts.face_box)),
            digest: facts.map(|facts| facts.digest),
        };
        Ok((described, embedding))
    }

    /// Reads a face that is to be added to a session. Returns its description, its template as sent, and the opened
    /// embedding.
    pub(super) fn open_for_session(
        json: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(FaceDescription, String, Embedding), Fault> {
        let Body { face, bare } = parse("face", json)?;
        let face = face.unwrap_or(bare);
        let (Template { embedding, facts }, claimed) = face.template("face", templates, own)?;
        let Some(image_type) = facts.as_ref().map(|facts| facts.image_type).or(claimed) else {
            return Err(Fault::Invalid("`imageType` is missing".into()));
        };
        let description = FaceDescription {
            friendly_name: face.friendly_name,
            image_type,
            image_type_is_claimed: facts.is_none(),
            quality: facts.as_ref().map(|facts| facts.quality),
            eyes: facts.as_ref().map(|facts| facts.eyes),
            face_box: facts.as_ref().and_then(|facts| facts.face_box),
            rotation: facts.as_ref().and_then(|facts| facts.rotation),
            digest: facts.map(|facts| facts.digest),
        };
        Ok((description, face.template.unwrap_or_default(), embedding))
    }

    /// Opens the template, and returns it with the picture's kind that the caller claims. Refuses templates of
    /// another installation or algorithm, and claims that are invalid or contradict the template.
    fn template(
        &self,
        part: &str,
        templates: &TemplateCodec,
        own: &Algorithm,
    ) -> Result<(Template, Option<ImageType>), Fault> {
        self.check(part)?;
        let invalid = |what: String| invalid(part, &what);
        let text = self.template.as_deref().ok_or_else(|| invalid("the face has no template".into()))?;
        let template = templates.decode(text).map_err(|error| match self.mode.as_deref() {
            Some(mode) if mode != own.name => invalid(other_algorithm(mode, &own.name)),
            _ => invalid(error.to_string()),
        })?;
        own.require(&template.embedding).map_err(invalid)?;
        let image_type =
            self.image_type.as_deref().map(|text| parse_image_type("imageType", text)).transpose()?;
        let contradiction = template.facts.as_ref().and_then(|facts| self.contradiction(image_type, facts));
        match contradiction {
            None => Ok((template, image_type)),
            Some((member, sealed)) => {
                Err(invalid(format!("`{member}` contradicts the template, which was made with {sealed}")))
            }
        }
    }

    /// Returns the first member that contradicts the facts in the template, with the sealed value. `image_type` is
    /// the claimed one. Absent members contradict nothing.
    fn contradiction(
        &self,
        image_type: Option<ImageType>,
        facts: &FaceFacts,
    ) -> Option<(&'static str, String)> {
        if self.digest.as_ref().is_some_and(|digest| !digest.trim().eq_ignore_ascii_case(&facts.digest)) {
            return Some(("digest", facts.digest.clone()));
        }
        if image_type.is_some_and(|image_type| image_type != facts.image_type) {
            return Some(("imageType", facts.image_type.as_str().to_owned()));
        }
        if self.quality.is_some_and(|quality| quality != f64::from(facts.quality)) {
            return Some(("quality", facts.quality.to_string()));
        }
        let landmarks = self.landmarks.as_ref()?;
        let (member, sealed) = landmarks.contradiction(&facts.eyes, facts.face_box.as_ref())?;
        Some((member, sealed.to_string()))
    }

    /// Checks that texts have bounded lengths, and that numbers are possible in an answer.
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
        if self.landmarks.as_ref().is_some_and(|landmarks| !landmarks.is_finite()) {
            return Err(invalid(part, "`landmarks` must be numbers"));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use faceline_shared::face::{Eyes, PixelBox};
    use faceline_shared::seal::KeyRing;
    use serde_json::json;

    use super::*;

    fn own() -> Algorithm {
        Algorithm { name: "FL1_512".into(), version: 1 }
    }

    /// A template of an earlier version, which has no facts about its face.
    fn bare_template(templates: &TemplateCodec, algorithm: &str, version: u32) -> String {
        templates.encode(&Embedding::new(algorithm, version, &[0.6, 0.8]), None).unwrap()
    }

    fn facts() -> FaceFacts {
        FaceFacts {
            digest: "8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862".into(),
            image_type: ImageType::Selfie,
            quality: 295,
            eyes: Eyes { x1: 518.71204, y1: 444.68396, x2: 655.408, y2: 446.599 },
            face_box: Some(PixelBox { x: 465, y: 149, width: 348, height: 348 }),
            rotation: Some(true),
        }
    }

    fn template(templates: &TemplateCodec) -> String {
        templates.encode(&Embedding::new("FL1_512", 1, &[0.6, 0.8]), Some(&facts())).unwrap()
    }

    fn answer(described: &MatchedFace) -> String {
        String::from_utf8(crate::families::json::to_vec(described).unwrap()).unwrap()
    }

    fn refusal(templates: &TemplateCodec, face: &serde_json::Value) -> String {
        ReferenceFace::open(&face.to_string(), templates, &own()).unwrap_err().to_string()
    }

    #[test]
    fn a_face_of_an_earlier_answer_is_opened_and_repeated() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let face = json!({
            "id": "31214b58-9edc-425b-9436-60dcd94fbc3a", "friendlyName": "A name",
            "digest": "8B11D3B37FCDB71DA6B26D1C601C262A37B4C0F39EDFBD51978CC46ACE122862", "mode": "FL1_512",
            "imageType": "SELFIE", "quality": "295.0",
            "landmarks": {
                "eyes": {"x1": 518.71204, "y1": 444.68396, "x2": 655.408, "y2": 446.599},
                "box": {"x": 465, "y": 149.0, "width": "348", "height": 348}
            },
            "imageRotationEnabled": false, "template": template(&templates), "templateVersion": 1,
            "created": "2017-11-13T13:28:24.098Z", "expires": "2017-11-13T13:33:24.108Z", "signature": "eyJ"
        });
        let (described, embedding) = ReferenceFace::open(&face.to_string(), &templates, &own()).unwrap();
        assert_eq!(embedding, Embedding::new("FL1_512", 1, &[0.6, 0.8]));
        insta::assert_snapshot!(
            answer(&described),
            @r#"{"id":"31214b58-9edc-425b-9436-60dcd94fbc3a","friendlyName":"A name","digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":518.71204,"y1":444.68396,"x2":655.408,"y2":446.599},"box":{"x":465,"y":149,"width":348,"height":348}}}"#
        );
    }

    #[test]
    fn only_a_template_is_needed() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let face = json!({"template": template(&templates), "quality": null, "id": null}).to_string();
        let (described, _) = ReferenceFace::open(&face, &templates, &own()).unwrap();
        insta::assert_snapshot!(
            answer(&described),
            @r#"{"digest":"8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862","mode":"FL1_512","imageType":"SELFIE","quality":295,"landmarks":{"eyes":{"x1":518.71204,"y1":444.68396,"x2":655.408,"y2":446.599},"box":{"x":465,"y":149,"width":348,"height":348}}}"#
        );
        let (described, ..) = ReferenceFace::open_for_session(&face, &templates, &own()).unwrap();
        assert_eq!((described.known_image_type(), described.rotation), (Some(ImageType::Selfie), Some(true)));
    }

    #[test]
    fn a_member_that_contradicts_the_template_is_refused_by_name() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        for (claim, member, sealed) in [
            (json!({"digest": "0".repeat(64)}), "digest", facts().digest.as_str()),
            (json!({"digest": ""}), "digest", facts().digest.as_str()),
            (json!({"imageType": "ID_DOCUMENT"}), "imageType", "SELFIE"),
            (json!({"quality": 299}), "quality", "295"),
            (json!({"quality": "-295"}), "quality", "295"),
            (
                json!({"landmarks": {"eyes": {"x1": 519, "y1": 444.68396}}}),
                "landmarks.eyes.x1",
                "518.7120361328125",
            ),
            (json!({"landmarks": {"box": {"height": 349}}}), "landmarks.box.height", "348"),
        ] {
            let mut face = json!({"template": template(&templates)});
            face.as_object_mut().unwrap().extend(claim.as_object().unwrap().clone());
            let expected =
                |part| format!("`{part}`: `{member}` contradicts the template, which was made with {sealed}");
            assert_eq!(refusal(&templates, &face), expected("referenceFace"));
            let of_session = ReferenceFace::open_for_session(&face.to_string(), &templates, &own());
            assert_eq!(of_session.unwrap_err().to_string(), expected("face"));
        }
    }

    #[test]
    fn what_an_earlier_template_does_not_say_is_left_out() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let face = json!({
            "id": "a", "friendlyName": "A name", "digest": "0".repeat(64), "imageType": "SELFIE", "quality": 299,
            "landmarks": {"eyes": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}, "imageRotationEnabled": true,
            "template": bare_template(&templates, "FL1_512", 1)
        })
        .to_string();
        let (described, _) = ReferenceFace::open(&face, &templates, &own()).unwrap();
        assert_eq!(answer(&described), r#"{"id":"a","friendlyName":"A name","mode":"FL1_512"}"#);
        let (described, ..) = ReferenceFace::open_for_session(&face, &templates, &own()).unwrap();
        let described = MatchedFace::kept(uuid::Uuid::nil(), &described, &own());
        assert_eq!(
            answer(&described),
            r#"{"id":"00000000-0000-0000-0000-000000000000","friendlyName":"A name","mode":"FL1_512"}"#
        );
    }

    #[test]
    fn a_template_of_another_algorithm_is_refused_and_both_are_named() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let version = refusal(&templates, &json!({"template": bare_template(&templates, "FL1_512", 7)}));
        assert!(version.contains("FL1_512 version 7") && version.contains("FL1_512 version 1"), "{version}");
        let original = refusal(&templates, &json!({"template": "EQAAAMwDAAACA", "mode": "F6_4_VID60X"}));
        assert!(original.contains("F6_4_VID60X") && original.contains("FL1_512"), "{original}");
    }

    #[test]
    fn members_must_be_sound() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        for template in [template(&templates), bare_template(&templates, "FL1_512", 1)] {
            for (wrong, expected) in [
                (json!({"quality": 1.5}), "`referenceFace`: `quality` must be a whole number"),
                (
                    json!({"landmarks": {"eyes": {"x1": "inf"}}}),
                    "`referenceFace`: `landmarks` must be numbers",
                ),
                (json!({"digest": "a".repeat(1025)}), "`referenceFace`: `digest` is longer than 1024 bytes"),
            ] {
                let mut face = json!({"template": template});
                face.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
                assert_eq!(refusal(&templates, &face), expected);
            }
        }
        // The error must not repeat the caller's text, which may be a template.
        let secret = ReferenceFace::open(r#""a template""#, &templates, &own()).unwrap_err().to_string();
        assert_eq!(secret, "`referenceFace`: this is not a face: not of the form at line 1 column 12");
    }

    #[test]
    fn what_is_no_face_is_refused() {
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let elsewhere = TemplateCodec::new(KeyRing::generate().unwrap());
        let forged = refusal(&templates, &json!({"template": template(&elsewhere)}));
        assert_eq!(forged, "`referenceFace`: the template is broken or comes from elsewhere");
        assert_eq!(refusal(&templates, &json!({"id": "a"})), "`referenceFace`: the face has no template");
        for template in [template(&templates), bare_template(&templates, "FL1_512", 1)] {
            let kind = json!({"template": template, "imageType": "CAT"});
            assert!(refusal(&templates, &kind).contains("CAT"));
        }
        let unknown = json!({"template": bare_template(&templates, "FL1_512", 1)}).to_string();
        let unknown = ReferenceFace::open_for_session(&unknown, &templates, &own());
        assert_eq!(unknown.unwrap_err().to_string(), "`imageType` is missing");
        for text in ["", "[]", "{", "\"face\"", "{\"landmarks\":3}"] {
            let error = ReferenceFace::open(text, &templates, &own()).unwrap_err().to_string();
            assert!(error.starts_with("`referenceFace`: this is not a face"), "{error}");
        }
    }
}
