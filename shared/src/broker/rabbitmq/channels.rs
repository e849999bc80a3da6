//! The channels for publishing: one per queue or exchange.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use lapin::types::ShortString;
use tokio::sync::Mutex;

use super::connection::{BrokerConnection, with_response_timeout};
use super::supervisor::ConnectionSupervisor;
use crate::broker::port::BrokerError;

/// Maximum number of open channels. Before one more is added, all of them are dropped.
const MAX_CHANNELS: usize = 128;

/// The channels of the present connection.
///
/// lapin attaches a returned message to the next confirm on its channel, whichever message that confirms. So queues do
/// not share channels. Within one queue this does no harm: a lost queue never comes back under its name, so every
/// message to it is returned.
pub(super) struct PublishChannels {
    connections: ConnectionSupervisor,
    open: Mutex<OpenChannels>,
}

#[derive(Default)]
struct OpenChannels {
    connection: Weak<BrokerConnection>,
    by_target: HashMap<ShortString, Channel>,
}

impl PublishChannels {
    pub(super) fn new(connections: ConnectionSupervisor) -> Self {
        Self { connections, open: Mutex::default() }
    }

    /// The channel of `target`, a queue or an exchange, and its connection, which the caller keeps while it uses the
    /// channel.
    ///
    /// # Errors
    /// [`BrokerError`]: there is no connection, or it began to block publishers while a channel was opened.
    pub(super) async fn get(
        &self,
        target: &ShortString,
        confirm: bool,
    ) -> Result<(Arc<BrokerConnection>, Channel), BrokerError> {
        loop {
            let connection = self.connections.current().await?;
            match self.get_on(&connection, target, confirm).await {
                Ok(channel) => return Ok((connection, channel)),
                // The connection works, and a new one would not help.
                Err(_) if connection.is_blocked() => {
                    return Err(BrokerError::Unreachable("it blocks publishers".into()));
                }
                Err(error) => connection.fail(&error),
            }
        }
    }

    /// Drops the channel of a queue that does not exist any more.
    pub(super) async fn forget(&self, target: &ShortString) {
        self.open.lock().await.by_target.remove(target);
    }

    async fn get_on(
        &self,
        connection: &Arc<BrokerConnection>,
        target: &ShortString,
        confirm: bool,
    ) -> lapin::Result<Channel> {
        let mut open = self.open.lock().await;
        if !std::ptr::eq(open.connection.as_ptr(), Arc::as_ptr(connection)) {
            *open = OpenChannels { connection: Arc::downgrade(connection), by_target: HashMap::new() };
        }
        if let Some(channel) = open.by_target.get(target) {
            if channel.status().connected() {
                return Ok(channel.clone());
            }
            open.by_target.remove(target);
        }
        let channel = with_response_timeout(open_channel(connection, confirm)).await?;
        if open.by_target.len() == MAX_CHANNELS {
            // Publishes in progress hold a clone of their channel, which stays open until they are done.
            open.by_target.clear();
        }
        open.by_target.insert(target.clone(), channel.clone());
        Ok(channel)
    }
}

async fn open_channel(connection: &BrokerConnection, confirm: bool) -> lapin::Result<Channel> {
    let channel = connection.channel().await?;
    if confirm {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
    }
    Ok(channel)
}
