//! The text form of biometric templates, which callers store.
//!
//! A template is an [`Embedding`] with the [`FaceFacts`], sealed with authenticated encryption, as base64url. A
//! stolen template reveals nothing about the face. A changed template, or one of another installation, does not open.
//!
//! The sealed content is the embedding in MessagePack, then the version of the facts (one byte) and the facts in
//! MessagePack. Templates of earlier versions end after the embedding; earlier versions read the embedding and ignore
//! the rest. So old and new gateways, which run side by side during an upgrade, read each other's templates.

use faceline_shared::face::Embedding;
use faceline_shared::seal::{KeyRing, Purpose, SealError};

pub use super::face_facts::FaceFacts;

/// Associated data of every template. It keeps other sealed records from being accepted as templates.
const ASSOCIATED_DATA: &[u8] = b"template:1";
/// The version of the facts that this build writes, and the only one that it reads.
const FACTS_VERSION: u8 = 1;
/// Maximum number of characters of a template that is decoded. A template with an embedding of 512 half floats has
/// about 2,400.
const MAX_CHARACTERS: usize = 64 * 1024;

/// The reason why a template is refused or not written.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not base64, was not sealed by a key of this installation, or was changed.
    #[error("the template is broken or comes from elsewhere")]
    Forged,
    /// The sealed content is not of the form, or cannot be serialized.
    #[error("the template cannot be encoded or decoded")]
    Codec,
    /// The template could not be sealed.
    #[error(transparent)]
    Seal(SealError),
}

/// A template's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The face's embedding.
    pub embedding: Embedding,
    /// The facts about the face; `None` in templates of versions before, and after, this build's.
    pub facts: Option<FaceFacts>,
}

/// Writes and reads templates. The ring must keep its old keys for as long as callers keep templates.
#[derive(Clone, Debug)]
pub struct TemplateCodec {
    ring: KeyRing,
}

impl TemplateCodec {
    /// A codec that seals with the newest key of `ring`.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }

    /// Seals an embedding, with the facts about its face, into a template.
    ///
    /// # Errors
    /// [`TemplateError::Seal`] if the system has no random numbers, [`TemplateError::Codec`] if the content cannot be
    /// serialized.
    pub fn encode(&self, embedding: &Embedding, facts: Option<&FaceFacts>) -> Result<String, TemplateError> {
        let mut plain = rmp_serde::to_vec(embedding).map_err(|_| TemplateError::Codec)?;
        if let Some(facts) = facts {
            plain.push(FACTS_VERSION);
            plain.extend(rmp_serde::to_vec_named(facts).map_err(|_| TemplateError::Codec)?);
        }
        let sealed =
            self.ring.seal(Purpose::Template, ASSOCIATED_DATA, &plain).map_err(TemplateError::Seal)?;
        Ok(base64_simd::URL_SAFE_NO_PAD.encode_to_string(sealed))
    }

    /// Opens a template.
    ///
    /// # Errors
    /// [`TemplateError::Forged`] for a text that this installation did not make, [`TemplateError::Codec`] if its
    /// content is not of the form.
    pub fn decode(&self, template: &str) -> Result<Template, TemplateError> {
        if template.len() > MAX_CHARACTERS {
            return Err(TemplateError::Forged);
        }
        let sealed = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(template.trim_end_matches('='))
            .map_err(|_| TemplateError::Forged)?;
        let plain =
            self.ring.open(Purpose::Template, ASSOCIATED_DATA, &sealed).map_err(|_| TemplateError::Forged)?;
        // Reading moves the start of the slice past the bytes that were read.
        let mut rest = plain.as_slice();
        let embedding = rmp_serde::from_read(&mut rest).map_err(|_| TemplateError::Codec)?;
        let facts = match rest {
            [FACTS_VERSION, facts @ ..] => {
                Some(rmp_serde::from_slice(facts).map_err(|_| TemplateError::Codec)?)
            }
            // The template is of an earlier version, or of a later one, whose facts may have another meaning.
            _ => None,
        };
        Ok(Template { embedding, facts })
    }
}

#[cfg(test)]
mod tests {
    use faceline_shared::face::{Eyes, ImageType, PixelBox};
    use faceline_shared::seal::KeyRingFile;

    use super::*;

    fn embedding() -> Embedding {
        let vector: Vec<f32> = (0..512_i16).map(|i| f32::from(i - 256) / 6000.0).collect();
        Embedding::new("FL1_512", 1, &vector)
    }

    fn facts() -> FaceFacts {
        FaceFacts {
            digest: "8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862".into(),
            image_type: ImageType::IdDocument,
            quality: -495,
            eyes: Eyes { x1: 1220.5284, y1: 1891.722, x2: 1621.1726, y2: 1873.5762 },
            face_box: Some(PixelBox { x: 900, y: 1500, width: 1000, height: 1200 }),
            rotation: Some(true),
        }
    }

    /// The text that seals `plain`, as a build with other content would write it.
    fn sealed(ring: &KeyRing, plain: &[u8]) -> String {
        let sealed = ring.seal(Purpose::Template, b"template:1", plain).unwrap();
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(sealed)
    }

    #[test]
    fn a_template_comes_back_to_the_bit() {
        let codec = TemplateCodec::new(KeyRing::generate().unwrap());
        let least = FaceFacts { face_box: None, rotation: None, ..facts() };
        for facts in [Some(facts()), Some(least), None] {
            let template = codec.encode(&embedding(), facts.as_ref()).unwrap();
            assert!(template.len() < 2500, "{}", template.len());
            assert_eq!(codec.decode(&template).unwrap(), Template { embedding: embedding(), facts });
        }
    }

    #[test]
    fn one_changed_character_is_noticed() {
        let codec = TemplateCodec::new(KeyRing::generate().unwrap());
        let template = codec.encode(&embedding(), Some(&facts())).unwrap();
        for at in (0..template.len()).step_by(7).chain(template.len() - 300..template.len()) {
            let mut changed = template.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character may have bits that base64 ignores.
            assert!(codec.decode(&changed).is_err() || at == template.len() - 1, "character {at}");
        }
        for length in (0..template.len()).step_by(11) {
            assert!(codec.decode(&template[..length]).is_err(), "{length} characters");
        }
    }

    #[test]
    fn templates_of_earlier_versions_open_and_earlier_versions_open_ours() {
        let ring = KeyRing::generate().unwrap();
        let codec = TemplateCodec::new(ring.clone());
        // Earlier versions seal the embedding alone, and read with this function, which ignores further bytes.
        let earlier = sealed(&ring, &rmp_serde::to_vec(&embedding()).unwrap());
        assert_eq!(codec.decode(&earlier).unwrap(), Template { embedding: embedding(), facts: None });

        let ours = codec.encode(&embedding(), Some(&facts())).unwrap();
        let ours = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(ours).unwrap();
        let plain = ring.open(Purpose::Template, b"template:1", &ours).unwrap();
        assert_eq!(rmp_serde::from_slice::<Embedding>(&plain).unwrap(), embedding());
    }

    #[test]
    fn facts_of_later_versions_are_ignored_and_more_members_are_fine() {
        #[derive(serde::Serialize)]
        struct Later {
            #[serde(flatten)]
            facts: FaceFacts,
            glasses: bool,
        }

        let ring = KeyRing::generate().unwrap();
        let codec = TemplateCodec::new(ring.clone());
        let plain = rmp_serde::to_vec(&embedding()).unwrap();
        let later = sealed(&ring, &[&plain[..], &[2], b"whatever that means"].concat());
        assert_eq!(codec.decode(&later).unwrap(), Template { embedding: embedding(), facts: None });

        let more = rmp_serde::to_vec_named(&Later { facts: facts(), glasses: true }).unwrap();
        let more = sealed(&ring, &[&plain[..], &[1], &more].concat());
        assert_eq!(codec.decode(&more).unwrap().facts, Some(facts()));
        let broken = sealed(&ring, &[&plain[..], &[1], b"no facts"].concat());
        assert!(matches!(codec.decode(&broken), Err(TemplateError::Codec)));
    }

    #[test]
    fn a_template_from_elsewhere_is_refused_and_one_from_before_a_rotation_is_not() {
        let old = KeyRingFile::generate().unwrap();
        let codec = TemplateCodec::new(KeyRing::try_from(&old).unwrap());
        let template = codec.encode(&embedding(), Some(&facts())).unwrap();

        let elsewhere = TemplateCodec::new(KeyRing::generate().unwrap());
        assert!(matches!(elsewhere.decode(&template), Err(TemplateError::Forged)));

        let mut rotated = KeyRingFile::generate().unwrap();
        rotated.keys.extend(old.keys);
        let rotated = TemplateCodec::new(KeyRing::try_from(&rotated).unwrap());
        assert_eq!(rotated.decode(&template).unwrap().embedding, embedding());
    }
}
