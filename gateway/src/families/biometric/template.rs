//! Biometric templates as callers keep them.
//!
//! A template is base64url of a sealed [`Embedding`]: whoever steals it from a caller learns nothing about the
//! face, and one changed byte, or a template of another installation, is noticed.

use faceline_shared::face::Embedding;
use faceline_shared::seal::{KeyRing, Purpose, SealError};

/// Bound to every template, so that no other sealed record passes for one.
const ASSOCIATED_DATA: &[u8] = b"template:1";
/// A template of 512 half floats has 1,600 characters; nothing of this product comes near this.
const MAX_CHARACTERS: usize = 64 * 1024;

/// Why a template is refused.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// Not base64, not sealed by a key of this installation, or changed.
    #[error("the template is broken or comes from elsewhere")]
    Forged,
    /// The record opens but is no embedding, or cannot be written.
    #[error("the template cannot be encoded or decoded")]
    Codec,
    /// The template could not be sealed.
    #[error(transparent)]
    Seal(SealError),
}

/// Writes and reads templates under a ring whose keys are never dropped.
#[derive(Clone, Debug)]
pub struct TemplateCodec {
    ring: KeyRing,
}

impl TemplateCodec {
    /// A codec over the template ring.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }

    /// The caller's form of an embedding.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn encode(&self, embedding: &Embedding) -> Result<String, TemplateError> {
        let plain = rmp_serde::to_vec(embedding).map_err(|_| TemplateError::Codec)?;
        let sealed =
            self.ring.seal(Purpose::Template, ASSOCIATED_DATA, &plain).map_err(TemplateError::Seal)?;
        Ok(base64_simd::URL_SAFE_NO_PAD.encode_to_string(sealed))
    }

    /// The embedding in a caller's template.
    ///
    /// # Errors
    /// [`TemplateError::Forged`] for everything that this installation did not make.
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
