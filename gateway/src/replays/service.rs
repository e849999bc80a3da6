//! The replays of an installation, as one gateway uses them.

use std::sync::Arc;

use faceline_shared::object::ObjectStore;
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::{CaptureRules, Settings};
use faceline_shared::telemetry::Metrics;

use super::due::DueSignals;
use super::media::media_key;
use super::recipient_keys::RecipientKeys;
use super::upload::Uploads;
use crate::sessions::Sessions;

/// The replays of an installation.
pub struct Replays {
    pub(super) sessions: Arc<Sessions>,
    /// The store of encrypted media, which is kept as received.
    pub(super) media: Arc<dyn ObjectStore>,
    /// The keys for which devices encrypt uploads.
    pub(super) recipients: Arc<RecipientKeys>,
    /// Seals capture tokens.
    pub(super) tokens: KeyRing,
    pub(super) settings: Settings,
    pub(super) capture: CaptureRules,
    pub(super) uploads: Uploads,
    pub(super) due_signals: Arc<DueSignals>,
}

impl Replays {
    /// Replays of `sessions`. `tokens` seals capture tokens.
    #[must_use]
    pub fn new(
        sessions: Arc<Sessions>,
        media: Arc<dyn ObjectStore>,
        recipients: Arc<RecipientKeys>,
        tokens: KeyRing,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Self {
        let uploads = Uploads::new(settings, metrics);
        let (settings, capture, due_signals) = (settings.clone(), settings.capture_rules(), Arc::default());
        Self { sessions, media, recipients, tokens, settings, capture, uploads, due_signals }
    }

    /// Key of the object of encrypted media.
    pub(super) fn media_key(session: uuid::Uuid, job: faceline_shared::job::JobId) -> String {
        media_key(session, job)
    }

    /// Notifies the workers of the outbox after a row of a replay was written that is due at once.
    pub(super) fn note_due_rows(&self) {
        self.due_signals.note_all();
    }
}
