//! Puts a gateway together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faceline_shared::admin::Condition;
use faceline_shared::broker::Queue;
use faceline_shared::parts::Parts;
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::template::TemplateCodec;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::accounts::{Accounts, AccountsError};
use crate::admission::Admission;
use crate::http::{Server, State};
use crate::jobs::Dispatcher;
use crate::signing::{Signer, SigningError};

/// How often queues and stores are looked at, for /metrics and /readyz.
const LOOK: Duration = Duration::from_secs(2);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The accounts file is not usable.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// There are no keys to sign answers with.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The address is not to be had.
    #[error("http.listen {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Runs a gateway until `shutdown`; requests under way are answered then.
///
/// # Errors
/// As [`Gateway::start`].
pub async fn run(parts: Parts, shutdown: CancellationToken) -> Result<(), GatewayError> {
    Gateway::start(parts).await?.serve(shutdown).await;
    Ok(())
}

/// A gateway whose address is taken.
pub struct Gateway {
    server: Server,
    listening: Condition,
    watching: AbortOnDropHandle<()>,
    looking: AbortOnDropHandle<()>,
    following: AbortOnDropHandle<()>,
}

impl Gateway {
    /// Puts a gateway together and takes its address.
    ///
    /// # Errors
    /// Accounts or signing keys that cannot be read, an address that is taken.
    pub async fn start(parts: Parts) -> Result<Self, GatewayError> {
        let listening = parts.readiness.condition("listener");
        let connected = parts.readiness.condition("gateway_broker");
        let blobs = parts.readiness.condition("gateway_blobs");
        let accounts = Accounts::load(&parts.config)?;
        let signer = Arc::new(Signer::load(&parts.config)?);
        let following = tokio::spawn(Arc::clone(&signer).follow());

        // A gateway that starts again under an old name would find its reply queue locked by its former self.
        let instance = Uuid::new_v4().simple().to_string();
        let dispatcher = Dispatcher::start(
            &instance,
            parts.broker.clone(),
            parts.blobs.clone(),
            parts.keys.data.clone(),
            parts.config.broker.inline_limit,
            &parts.metrics,
        )
        .await;
        let admission = Admission::new(&parts.config, &parts.metrics);
        let waits = Arc::clone(&admission);
        let dispatcher = dispatcher.on_wait(move |wait| waits.answered(wait));
        let watching = tokio::spawn(watch_connection(dispatcher.watch_connection(), connected));
        let looking = tokio::spawn(look(parts.clone(), blobs));

        let address = parts.config.http.listen;
        let state = State::new(
            parts.config,
            accounts,
            admission,
            Arc::new(dispatcher),
            TemplateCodec::new(parts.keys.templates),
            signer,
            parts.readiness,
            &parts.metrics,
        );
        let server = Server::bind(state).await.map_err(|source| GatewayError::Listen { address, source })?;
        tracing::info!(address = %server.local_addr(), instance, "public listener is open");
        Ok(Self {
            server,
            listening,
            watching: AbortOnDropHandle::new(watching),
            looking: AbortOnDropHandle::new(looking),
            following: AbortOnDropHandle::new(following),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves until `shutdown`; requests under way are answered then.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { server, listening, watching: _watching, looking: _looking, following: _following } = self;
        listening.set(true);
        let leave = async {
            shutdown.cancelled().await;
            listening.set(false);
        };
        tokio::join!(server.serve(shutdown.clone()), leave);
    }
}

async fn watch_connection(mut reply_to: watch::Receiver<Option<String>>, connected: Condition) {
    loop {
        connected.set(reply_to.borrow_and_update().is_some());
        if reply_to.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps an eye on what this gateway needs and does not own.
async fn look(parts: Parts, blobs: Condition) {
    let ready = parts.metrics.gauges("faceline_queue_ready", "Messages that wait in a queue.", &["queue"]);
    let consumers = parts.metrics.gauges("faceline_queue_consumers", "Consumers of a queue.", &["queue"]);
    let mut interval = tokio::time::interval(LOOK);
    loop {
        interval.tick().await;
        for queue in
            [Queue::Interactive, Queue::Replay, Queue::Quarantine, Queue::Results, Queue::DeadLetters]
        {
            if let Ok(depth) = parts.broker.depth(&queue).await {
                ready.with_label_values(&[queue.name()]).set(depth.ready as i64);
                consumers.with_label_values(&[queue.name()]).set(depth.consumers as i64);
            }
        }
        let check = parts.blobs.check().await;
        if let Err(error) = &check {
            tracing::warn!(%error, "the blob store is not usable");
        }
        blobs.set(check.is_ok());
    }
}
