//! Settling deliveries.

use faceline_shared::broker::{Delivery, Settlement};

/// Settles a delivery.
pub(super) async fn settle(delivery: &Delivery, settlement: Settlement) {
    if let Err(error) = delivery.settle(settlement).await {
        // The broker has the message back and delivers it again; the gateway drops the second answer.
        tracing::warn!(%error, job = %delivery.message.id, ?settlement, "a settlement had no effect");
    }
}
