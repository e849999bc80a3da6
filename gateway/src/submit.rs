//! What the listeners need of the job side.

use async_trait::async_trait;

use crate::jobs::{Order, OrderResult};

/// Brings orders to the workers and their results back.
#[async_trait]
pub trait Submit: Send + Sync {
    /// Gives an order to a worker and waits for its result, at most as long as the order's budget says.
    ///
    /// Dropping the future gives the order up.
    async fn submit(&self, order: Order) -> OrderResult;

    /// Whether there is a way to the workers at the moment.
    fn is_connected(&self) -> bool;
}
