//! Puts a gateway together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::families::biometric::template::TemplateCodec;
use faceline_gateway_store::rate::{RateError, Rates};
use faceline_gateway_store::sealed::SealedStores;
use faceline_gateway_store::{self as store, StoreError, StoreHealth};
use faceline_shared::admin::Condition;
use faceline_shared::broker::Queue;
use faceline_shared::object::{self, ObjectError, SealedObjects};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::Settings;
use faceline_shared::shutdown::CancellationToken;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::accounts::{Accounts, AccountsError};
use crate::admission::Admission;
use crate::families::biometric::BiometricServices;
use crate::families::bws::Bws;
use crate::families::face_liveness::FaceLiveness;
use crate::http::{Families, ListenError, Server, State};
use crate::jobs::Dispatcher;
use crate::jobs::WorkerClient;
use crate::sessions::{OutboxProcessor, Sessions};
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
pub async fn run(services: SharedServices, shutdown: CancellationToken) -> Result<(), GatewayError> {
    Gateway::start(services).await?.serve(shutdown).await;
    Ok(())
}

/// A gateway whose address is taken.
pub struct Gateway {
    server: Server,
    rates: Arc<Rates>,
    outbox: OutboxProcessor,
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
    pub async fn start(services: SharedServices) -> Result<Self, GatewayError> {
        let listening = services.readiness.condition("listener");
        let connected = services.readiness.condition("gateway_broker");
        let conditions = Conditions {
            blobs: services.readiness.condition("gateway_blobs"),
            store: services.readiness.condition("gateway_store"),
        };
        let config = &services.settings;
        let accounts = Arc::new(Accounts::load(config, &services.keys.data, &services.metrics)?);
        if !config.broker.url.is_embedded() {
            warn_of_what_is_not_shared(config);
        }
        let signer = Arc::new(Signer::load(config, &services.metrics)?);
        let rates = Arc::new(Rates::start(config, &services.metrics)?);
        let stores =
            SealedStores::new(store::open(&config.store.url, &config.data_dir)?, services.keys.data.clone());
        let objects =
            SealedObjects::new(object::open(&config.objects, &config.data_dir)?, services.keys.data.clone());

        // A gateway that starts again under an old name would find its reply queue locked by its former self.
        let instance = Uuid::new_v4().simple().to_string();
        let dispatcher = Dispatcher::start(
            &instance,
            services.broker.clone(),
            services.blobs.clone(),
            services.keys.data.clone(),
            services.settings.broker.inline_limit,
            &services.metrics,
        )
        .await;
        let usage = Usage::new(stores.outbox.clone(), &services.metrics);
        let admission = Admission::new(&services.settings, &services.metrics);
        let waits = Arc::clone(&admission);
        let dispatcher = dispatcher.on_wait(move |wait| waits.answered(wait));
        let sessions = Arc::new(Sessions::new(
            stores.sessions,
            stores.idempotency,
            objects.clone(),
            services.broker.clone(),
            config,
            &services.metrics,
        ));
        let listener = Arc::clone(&sessions);
        let watching = [
            tokio::spawn(watch_connection(dispatcher.watch_connection(), connected)),
            tokio::spawn(look(services.clone(), stores.health, objects.clone(), conditions)),
            tokio::spawn(async move { listener.listen().await }),
            tokio::spawn(Arc::clone(&signer).watch()),
            tokio::spawn(Arc::clone(&accounts).watch()),
        ];
        let outbox = OutboxProcessor::new(&sessions, stores.outbox);
        let mover = Mover::new(Arc::clone(&usage), objects, config.usage.clone());
        let submit = Arc::new(dispatcher);
        let workers = WorkerClient::new(submit.clone(), Arc::clone(&admission), config.jobs.deadline);
        let templates = TemplateCodec::new(services.keys.templates);
        let families = Families {
            bws: Bws::new(config, workers.clone()),
            face_liveness: FaceLiveness::new(config, workers.clone(), &services.metrics)?,
            biometric: BiometricServices::new(config, workers, templates, sessions, Arc::clone(&signer)),
        };

        let state = State::new(
            services.settings,
            accounts,
            Arc::clone(&rates),
            admission,
            submit,
            usage,
            families,
            services.readiness,
            &services.metrics,
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
fn warn_of_what_is_not_shared(config: &Settings) {
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
async fn look(
    services: SharedServices,
    store: Arc<dyn StoreHealth>,
    objects: SealedObjects,
    conditions: Conditions,
) {
    let objects_up = services.metrics.gauge("faceline_object_store_up", "Whether the object store answers.");
    let ready = services.metrics.gauges("faceline_queue_ready", "Messages that wait in a queue.", &["queue"]);
    let consumers = services.metrics.gauges("faceline_queue_consumers", "Consumers of a queue.", &["queue"]);
    let mut interval = tokio::time::interval(LOOK);
    loop {
        interval.tick().await;
        for queue in
            [Queue::Interactive, Queue::Replay, Queue::Quarantine, Queue::Results, Queue::DeadLetters]
        {
            if let Ok(depth) = services.broker.depth(&queue).await {
                ready.with_label_values(&[queue.name()]).set(depth.ready as i64);
                consumers.with_label_values(&[queue.name()]).set(depth.consumers as i64);
            }
        }
        conditions.blobs.set(usable("the blob store is not usable", &services.blobs.check().await));
        conditions.store.set(usable("the session store is not usable", &store.check().await));
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
