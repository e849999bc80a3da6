//! The conformance suite on the embedded broker.

use std::sync::Arc;

use faceline_shared::broker::embedded::{EmbeddedBroker, QueueBounds};
use faceline_shared::broker::{BrokerSettings, SharedBroker};

use super::suite::{Fixture, conformance};

struct Embedded(Arc<EmbeddedBroker>);

impl Fixture for Embedded {
    async fn start(settings: BrokerSettings) -> Self {
        Self(Arc::new(EmbeddedBroker::new(QueueBounds::from(&settings))))
    }

    fn broker(&self) -> SharedBroker {
        Arc::clone(&self.0) as SharedBroker
    }

    fn interrupt(&self) {
        self.0.interrupt();
    }
}

conformance!(super::Embedded);
