//! The encryption of an upload.

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use faceline_shared::replay::jwe;
use faceline_shared::replay::media::{MediaSealer, MediaSecret, sealed_length};
use faceline_shared::replay::metadata::UploadMetadata;
use uuid::Uuid;

use super::Recording;
use super::parameters::Parameters;

/// The two parts of an upload.
#[derive(Clone, Debug)]
pub struct SealedUpload {
    /// The part `metadata`.
    pub metadata: String,
    /// The part `media`.
    pub media: Bytes,
}

/// Encrypts a recording for the replay of `session` with these parameters, under fresh keys.
///
/// # Errors
/// The certificate has no usable key, or the encryption fails.
pub fn seal(session: Uuid, parameters: &Parameters, recording: &Recording) -> anyhow::Result<SealedUpload> {
    let secret = MediaSecret::generate()?;
    let length = usize::try_from(sealed_length(recording.file.len() as u64))?;
    let mut media = Vec::with_capacity(length);
    let mut sealer = MediaSealer::new(&secret, session, &parameters.id)?;
    sealer.seal(&recording.file, &mut media)?;
    sealer.finish(&mut media)?;

    let media_digest = digest(&SHA256, &media).as_ref().try_into().context("SHA-256 has 32 bytes")?;
    let metadata = UploadMetadata {
        id: parameters.id.clone(),
        seed: parameters.seed,
        server_random: parameters.server_random,
        media_key: secret.key,
        nonce_prefix: secret.nonce_prefix,
        media_length: media.len() as u64,
        media_digest,
        content_type: recording.content_type.clone(),
        mirrored: recording.mirrored,
        device_info: recording.device_info.clone(),
        sdk_info: recording.sdk_info.clone(),
        events: recording.events.clone(),
    };
    let metadata = jwe::seal(&metadata.to_json(), &parameters.certificate)?;
    Ok(SealedUpload { metadata, media: media.into() })
}
