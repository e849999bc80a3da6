//! Channels to publish on, one for each target.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use lapin::types::ShortString;
use tokio::sync::Mutex;

use super::link::{Link, answer};
use super::links::Links;
use crate::broker::BrokerError;

/// Targets with a channel of their own; beyond that, channels are opened anew.
const MAX_CHANNELS: usize = 128;

/// The channels of the present link. lapin gives a returned message to the next confirm on its channel, whichever
/// that is, so targets do not share channels. Within one target it does no harm: a queue that is gone never comes
/// back under its name, so everything that is on its way there is lost.
pub(super) struct Channels {
    links: Links,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    link: Weak<Link>,
    by_target: HashMap<ShortString, Channel>,
}

impl Channels {
    pub(super) fn new(links: Links) -> Self {
        Self { links, open: Mutex::default() }
    }

    /// The target's channel, and its link, which has to be kept for as long as the channel is used.
    pub(super) async fn get(
        &self,
        target: &ShortString,
        confirm: bool,
    ) -> Result<(Arc<Link>, Channel), BrokerError> {
        loop {
            let link = self.links.now().await?;
            match self.on(&link, target, confirm).await {
                Ok(channel) => return Ok((link, channel)),
                Err(error) => link.fail(&error),
            }
        }
    }

    /// Forgets a target that is gone.
    pub(super) async fn forget(&self, target: &ShortString) {
        self.open.lock().await.by_target.remove(target);
    }

    async fn on(&self, link: &Arc<Link>, target: &ShortString, confirm: bool) -> lapin::Result<Channel> {
        let mut open = self.open.lock().await;
        if !std::ptr::eq(open.link.as_ptr(), Arc::as_ptr(link)) {
            *open = Open { link: Arc::downgrade(link), by_target: HashMap::new() };
        }
        if let Some(channel) = open.by_target.get(target) {
            if channel.status().connected() {
                return Ok(channel.clone());
            }
            open.by_target.remove(target);
        }
        let channel = answer(open_channel(link, confirm)).await?;
        if open.by_target.len() == MAX_CHANNELS {
            // Those in use stay open until their users are done.
            open.by_target.clear();
        }
        open.by_target.insert(target.clone(), channel.clone());
        Ok(channel)
    }
}

async fn open_channel(link: &Link, confirm: bool) -> lapin::Result<Channel> {
    let channel = link.channel().await?;
    if confirm {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
    }
    Ok(channel)
}
