//! The replays of an installation, as one gateway uses them.

use std::sync::Arc;

use faceline_gateway_store::sealed::SealedOutbox;
use faceline_shared::object::ObjectStore;
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::Settings;

use super::recipient_keys::RecipientKeys;
use crate::sessions::Sessions;
use crate::signing::Signer;

/// The replays of an installation.
pub struct Replays {
    pub(super) sessions: Arc<Sessions>,
    pub(super) outbox: SealedOutbox,
    /// The store of encrypted media, which is kept as it was received.
    pub(super) media: Arc<dyn ObjectStore>,
    /// The keys for which devices encrypt uploads.
    pub(super) recipients: Arc<RecipientKeys>,
    /// Signs parameters and statuses.
    pub(super) signer: Arc<Signer>,
    /// Seals capture tokens.
    pub(super) tokens: KeyRing,
    pub(super) settings: Settings,
}

impl Replays {
    /// Replays of `sessions`. `tokens` seals capture tokens.
    #[must_use]
    pub fn new(
        sessions: Arc<Sessions>,
        outbox: SealedOutbox,
        media: Arc<dyn ObjectStore>,
        recipients: Arc<RecipientKeys>,
        signer: Arc<Signer>,
        tokens: KeyRing,
        settings: &Settings,
    ) -> Self {
        Self { sessions, outbox, media, recipients, signer, tokens, settings: settings.clone() }
    }

    /// Key of the object of encrypted media.
    pub(super) fn media_key(session: uuid::Uuid, job: faceline_shared::job::JobId) -> String {
        format!("replays/{session}/{job}")
    }
}
