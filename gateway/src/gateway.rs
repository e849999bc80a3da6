//! Puts a gateway together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::families::biometric::template::TemplateCodec;
use faceline_gateway_store::rate::{RateError, Rates};
use faceline_gateway_store::session::{self, SealedSessions, StoreError};
use faceline_shared::admin::Condition;
use faceline_shared::broker::Queue;
use faceline_shared::config::Config;
use faceline_shared::object::{self, ObjectError, SealedObjects};
use faceline_shared::parts::Parts;
use faceline_shared::shutdown::CancellationToken;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::accounts::{Accounts, AccountsError};
use crate::admission::Admission;
use crate::families::biometric::BiometricServices;
use crate::families::bws::Bws;
use crate::families::face_liveness::FaceLiveness;
use crate::http::{Families, GatewayState, ListenError, Server};
use crate::jobs::Dispatcher;
use crate::jobs::WorkerClient;
use crate::sessions::{Outbox, Sessions};
use crate::signing::{Signer, SigningError};
use crate::usage::{Mover, Usage};

/// How often queues and stores are looked at, for /metrics and /readyz.
const LOOK: Duration = Duration::from_secs(2);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The accounts file is not usable.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The session store's settings, or its file. A store that is merely away is waited for.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store's settings. A store that is merely away is waited for.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The limiter's settings, or its counts. One that is merely away is done without.
    #[error(transparent)]
    Rates(#[from] RateError),
    /// No answer could be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// URLs of pictures could not be fetched.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The public listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
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
    rates: Arc<Rates>,
    outbox: Outbox,
    mover: Mover,
    listening: Condition,
    /// What goes on beside requests.
    watching: [AbortOnDropHandle<()>; 5],
}

impl Gateway {
    /// Puts a gateway together and takes its address.
    ///
    /// # Errors
    /// Accounts or keys that cannot be read, stores that cannot be opened, an address that is taken.
    pub async fn start(parts: Parts) -> Result<Self, GatewayError> {
        let listening = parts.readiness.condition("listener");
        let connected = parts.readiness.condition("gateway_broker");
        let conditions = Conditions {
            blobs: parts.readiness.condition("gateway_blobs"),
            store: parts.readiness.condition("gateway_store"),
        };
        let config = &parts.config;
        let accounts = Arc::new(Accounts::load(config, &parts.keys.data, &parts.metrics)?);
        if !config.broker_is_embedded() {
            warn_of_what_is_not_shared(config);
        }
        let signer = Arc::new(Signer::load(config)?);
        let rates = Arc::new(Rates::start(config, &parts.metrics)?);
        let records =
            SealedSessions::new(session::open(&config.store.url, &config.data_dir)?, parts.keys.data.clone());
        let objects =
            SealedObjects::new(object::open(&config.objects, &config.data_dir)?, parts.keys.data.clone());

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
        let usage = Usage::new(records.clone(), &parts.metrics);
        let admission = Admission::new(&parts.config, &parts.metrics);
        let waits = Arc::clone(&admission);
        let dispatcher = dispatcher.on_wait(move |wait| waits.answered(wait));
        let sessions = Arc::new(Sessions::new(
            records.clone(),
            objects.clone(),
            parts.broker.clone(),
            config,
            &parts.metrics,
        ));
        let listener = Arc::clone(&sessions);
        let watching = [
            tokio::spawn(watch_connection(dispatcher.watch_connection(), connected)),
            tokio::spawn(look(parts.clone(), records, objects.clone(), conditions)),
            tokio::spawn(async move { listener.listen().await }),
            tokio::spawn(Arc::clone(&signer).follow()),
            tokio::spawn(Arc::clone(&accounts).follow()),
        ];
        let outbox = Outbox::of(&sessions);
        let mover = usage.mover(objects, &config.usage);
        let submit = Arc::new(dispatcher);
        let workers = WorkerClient::new(submit.clone(), Arc::clone(&admission), config.jobs.deadline);
        let templates = TemplateCodec::new(parts.keys.templates);
        let families = Families {
            bws: Bws::new(config, workers.clone()),
            face_liveness: FaceLiveness::new(config, workers.clone(), &parts.metrics)?,
            biometric: BiometricServices::new(config, workers, templates, sessions, Arc::clone(&signer)),
        };

        let state = GatewayState::new(
            parts.config,
            accounts,
            Arc::clone(&rates),
            admission,
            submit,
            usage,
            families,
            parts.readiness,
            &parts.metrics,
        );
        let server = Server::bind(state).await?;
        tracing::info!(address = %server.local_addr(), instance, "public listener is open");
        Ok(Self { server, rates, outbox, mover, listening, watching: watching.map(AbortOnDropHandle::new) })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves until `shutdown`; requests under way are answered then.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { server, rates, outbox, mover, listening, watching: _watching } = self;
        listening.set(true);
        let leave = async {
            shutdown.cancelled().await;
            listening.set(false);
        };
        // Answers that are given until the very end have records, too.
        let answered = CancellationToken::new();
        let serve = async {
            server.serve(shutdown.clone()).await;
            answered.cancel();
        };
        tokio::join!(serve, mover.run(answered.clone()), outbox.run(shutdown.clone()), leave);
        rates.end().await;
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

/// Gateways on several machines must find the same things.
fn warn_of_what_is_not_shared(config: &Config) {
    if config.objects.url.is_none() {
        tracing::warn!(
            "objects.url is not set: other machines do not find the pictures of this one's sessions"
        );
    }
    if config.signing.file.is_none() {
        tracing::warn!("signing.file is not set: gateways on other machines sign with keys of their own");
    }
}

/// What has to answer for the gateway to be ready.
struct Conditions {
    blobs: Condition,
    store: Condition,
}

/// Keeps an eye on what this gateway needs and does not own.
async fn look(parts: Parts, records: SealedSessions, objects: SealedObjects, conditions: Conditions) {
    let objects_up = parts.metrics.gauge("faceline_object_store_up", "Whether the object store answers.");
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
        conditions.blobs.set(usable("the blob store is not usable", &parts.blobs.check().await));
        conditions.store.set(usable("the session store is not usable", &records.check().await));
        // Only sessions that keep pictures need it, so that its absence is no reason to send callers away.
        objects_up.set(usable("the object store is not usable", &objects.check().await).into());
    }
}

fn usable(what: &'static str, check: &Result<(), impl std::fmt::Display>) -> bool {
    if let Err(error) = check {
        tracing::warn!(%error, "{what}");
    }
    check.is_ok()
}
