//! RabbitMQ nodes that go from test to test: starting one takes 7 s of CPU time, which is more than most tests take that need it.

use super::pool::{Pool, Pooled};
use super::rabbitmq::RabbitMq;

static NODES: Pool<RabbitMq> = Pool::new(|node| !node.is_altered());

/// A RabbitMQ node that goes to the next test of this process when this one drops it, unless this one failed, ended the
/// node, suspended it or changed it by [`RabbitMq::control`].
pub type PooledRabbitMq = Pooled<RabbitMq>;

impl PooledRabbitMq {
    /// A running node without queues.
    ///
    /// # Panics
    /// RabbitMQ is not installed or does not start.
    pub async fn take() -> Self {
        let Some(node) = NODES.take() else {
            return NODES.lend(RabbitMq::start().await);
        };
        node.empty().await;
        node
    }
}
