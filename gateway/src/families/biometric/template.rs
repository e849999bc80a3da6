//! The text form of biometric templates, which callers keep.
//!
//! A template is an [`Embedding`] sealed with authenticated encryption, as base64url. A stolen template reveals nothing about the face.
//! A changed template, or one of another installation, does not open.

use faceline_shared::face::Embedding;
use faceline_shared::seal::{KeyRing, Purpose, SealError};

/// Associated data of every template. It keeps other sealed records from being accepted as templates.
const ASSOCIATED_DATA: &[u8] = b"template:1";
/// The longest template that is decoded. A template of 512 half floats has 1,600 characters.
const MAX_CHARACTERS: usize = 64 * 1024;

/// The reason why a template is refused or not written.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not base64, was not sealed by a key of this installation, or was changed.
    #[error("the template is broken or comes from elsewhere")]
    Forged,
    /// The sealed content is not an embedding, or the embedding cannot be serialized.
    #[error("the template cannot be encoded or decoded")]
    Codec,
    /// The template could not be sealed.
    #[error(transparent)]
    Seal(SealError),
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

    /// Seals an embedding into a template.
    ///
    /// # Errors
    /// [`TemplateError::Seal`] where the system has no random numbers, [`TemplateError::Codec`] where the embedding cannot be serialized.
    pub fn encode(&self, embedding: &Embedding) -> Result<String, TemplateError> {
        let plain = rmp_serde::to_vec(embedding).map_err(|_| TemplateError::Codec)?;
        let sealed =
            self.ring.seal(Purpose::Template, ASSOCIATED_DATA, &plain).map_err(TemplateError::Seal)?;
        Ok(base64_simd::URL_SAFE_NO_PAD.encode_to_string(sealed))
    }

    /// Opens a template.
    ///
    /// # Errors
    /// [`TemplateError::Forged`] for a text that this installation did not make, [`TemplateError::Codec`] where its content is not an
    /// embedding.
    pub fn decode(&self, template: &str) -> Result<Embedding, TemplateError> {
        if template.len() > MAX_CHARACTERS {
            return Err(TemplateError::Forged);
        }
        let sealed = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(template.trim_end_matches('='))
            .map_err(|_| TemplateError::Forged)?;
        let plain =
            self.ring.open(Purpose::Template, ASSOCIATED_DATA, &sealed).map_err(|_| TemplateError::Forged)?;
        rmp_serde::from_slice(&plain).map_err(|_| TemplateError::Codec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceline_shared::seal::KeyRingFile;

    fn embedding() -> Embedding {
        let vector: Vec<f32> = (0..512_i16).map(|i| f32::from(i - 256) / 6000.0).collect();
        Embedding::new("A", 1, &vector)
    }

    #[test]
    fn a_template_comes_back_to_the_bit() {
        let codec = TemplateCodec::new(KeyRing::generate().unwrap());
        let template = codec.encode(&embedding()).unwrap();
        assert_eq!(codec.decode(&template).unwrap(), embedding());
        assert!(template.len() < 2500, "{}", template.len());
    }

    #[test]
    fn one_changed_character_is_noticed() {
        let codec = TemplateCodec::new(KeyRing::generate().unwrap());
        let template = codec.encode(&embedding()).unwrap();
        for at in (0..template.len()).step_by(7) {
            let mut changed = template.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(codec.decode(&changed).is_err(), "character {at}");
        }
    }

    #[test]
    fn a_template_from_elsewhere_is_refused_and_one_from_before_a_rotation_is_not() {
        let old = KeyRingFile::generate().unwrap();
        let codec = TemplateCodec::new(KeyRing::try_from(&old).unwrap());
        let template = codec.encode(&embedding()).unwrap();

        let elsewhere = TemplateCodec::new(KeyRing::generate().unwrap());
        assert!(matches!(elsewhere.decode(&template), Err(TemplateError::Forged)));

        let mut rotated = KeyRingFile::generate().unwrap();
        rotated.keys.extend(old.keys);
        let rotated = TemplateCodec::new(KeyRing::try_from(&rotated).unwrap());
        assert_eq!(rotated.decode(&template).unwrap(), embedding());
    }
}
