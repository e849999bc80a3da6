//! Comparison of the queues with the settings.

use super::Inspection;
use crate::broker::port::{BrokerError, Depth};
use crate::broker::queue::Queue;
use crate::broker::rabbitmq::connection::with_response_timeout;
use crate::broker::rabbitmq::problem::{is_not_found, is_precondition_failed};
use crate::settings::TopologyMode;

/// The state of a queue.
#[derive(Clone, Debug)]
pub enum QueueState {
    /// It exists, with the arguments that these settings ask for unless they are passive.
    Present(Depth),
    /// It exists with other arguments. Gateways and workers accept that for the queue of dead letters only.
    Differs(Depth, BrokerError),
    /// It does not exist. A gateway or a worker declares it unless the settings are passive.
    Missing,
}

impl Inspection {
    /// The state of `queue`, which is neither declared nor changed. (If somebody deletes the queue within the milliseconds of this
    /// call, it is declared again.)
    ///
    /// # Errors
    /// [`BrokerError::Topology`] if a permission is missing, [`BrokerError::Unreachable`] without an answer.
    pub async fn queue(&self, queue: &Queue) -> Result<QueueState, BrokerError> {
        let declare = async |mode| {
            // The broker closes a channel on which a declaration fails.
            let channel = self.connection.channel().await?;
            self.topology.declare_queue(&channel, queue, mode).await
        };
        let depth = match with_response_timeout(declare(TopologyMode::Passive)).await {
            Ok(found) => {
                Depth { ready: found.message_count().into(), consumers: found.consumer_count().into() }
            }
            Err(error) if is_not_found(&error) => return Ok(QueueState::Missing),
            Err(error) => return Err(self.failed(&error)),
        };
        if self.topology.mode() == TopologyMode::Passive {
            return Ok(QueueState::Present(depth));
        }
        match with_response_timeout(declare(TopologyMode::Declare)).await {
            Ok(_) => Ok(QueueState::Present(depth)),
            Err(error) if is_precondition_failed(&error) => {
                Ok(QueueState::Differs(depth, self.failed(&error)))
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Name of `queue` at the broker, with the prefix.
    #[must_use]
    pub fn name_of(&self, queue: &Queue) -> String {
        self.topology.queue(queue)
    }
}
