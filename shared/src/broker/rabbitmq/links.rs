//! Keeps one link up: replaces it after its first failure, again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::link::{Link, Target};
use crate::broker::BrokerError;
use crate::retry::Backoff;

/// A link that lasted so long was sound; what ended sooner is likely to end soon again.
const SOUND: Duration = Duration::from_secs(10);

#[derive(Clone)]
enum State {
    /// At the start, or right after a failure.
    Connecting,
    Up(Arc<Link>),
    /// The last attempt failed; more will follow.
    Down(BrokerError),
    Closed,
}

/// The present link, whichever that is.
#[derive(Clone)]
pub(super) struct Links {
    state: watch::Receiver<State>,
}

impl Links {
    /// Starts to connect to `target`, until `closing`.
    pub(super) fn start(target: Target, name: &'static str, closing: CancellationToken) -> Self {
        let (sender, state) = watch::channel(State::Connecting);
        tokio::spawn(async move {
            closing.run_until_cancelled(keep_up(&target, name, &sender)).await;
            if let State::Up(link) = sender.send_replace(State::Closed) {
                link.close().await;
            }
        });
        Self { state }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(link) if !link.has_failed())
    }

    /// The link, once it is known whether there is one.
    pub(super) async fn now(&self) -> Result<Arc<Link>, BrokerError> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| match state {
            State::Connecting => false,
            State::Up(link) => !link.has_failed(),
            State::Down(_) | State::Closed => true,
        });
        match known.await.as_deref() {
            Ok(State::Up(link)) => Ok(Arc::clone(link)),
            Ok(State::Down(error)) => Err(error.clone()),
            Ok(State::Connecting | State::Closed) | Err(_) => Err(BrokerError::Unreachable("closed".into())),
        }
    }

    /// The next link that works, however long that takes; `None` after the end.
    pub(super) async fn next(&self) -> Option<Arc<Link>> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| match state {
            State::Up(link) => !link.has_failed(),
            State::Closed => true,
            State::Connecting | State::Down(_) => false,
        });
        match settled.await.as_deref() {
            Ok(State::Up(link)) => Some(Arc::clone(link)),
            _ => None,
        }
    }

    /// Waits until the last connection is closed.
    pub(super) async fn closed(&self) {
        // The sender goes with the task that closes.
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state.borrow(), State::Closed)
    }
}

async fn keep_up(target: &Target, name: &str, state: &watch::Sender<State>) {
    let mut retries = Backoff::CONNECTION.retries();
    loop {
        match Link::open(target, name).await {
            Ok(link) => {
                tracing::info!(%target, name, "connected to the broker");
                let since = Instant::now();
                let link = Arc::new(link);
                state.send_replace(State::Up(Arc::clone(&link)));
                let reason = link.failed().await;
                tracing::warn!(%target, name, reason, "the broker's connection is replaced");
                state.send_replace(State::Connecting);
                if since.elapsed() >= SOUND {
                    retries.reset();
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(%target, name, %error, "no broker");
                state.send_replace(State::Down(error));
            }
        }
        retries.wait().await;
    }
}
