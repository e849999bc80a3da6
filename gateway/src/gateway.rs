//! Puts a gateway together and runs it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::rate::{RateError, Rates};
use faceline_gateway_store::sealed::SealedStores;
use faceline_gateway_store::{self as store, StoreError, StoreHealth};
use faceline_shared::admin::Condition;
use faceline_shared::broker::Queue;
use faceline_shared::key_agreement::{KeyAgreement, Role};
use faceline_shared::object::{self, ObjectError, SealedObjects};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::Settings;
use faceline_shared::shutdown::CancellationToken;
use prometheus::{IntGauge, IntGaugeVec};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::accounts::{Accounts, AccountsError};
use crate::admission::Admission;
use crate::families::biometric::BiometricServices;
use crate::families::biometric::template::TemplateCodec;
use crate::families::bws::Bws;
use crate::families::face_liveness::FaceLiveness;
use crate::http::{Families, GatewayState, ListenError, Server};
use crate::jobs::{Dispatcher, WorkerClient};
use crate::sessions::{OutboxProcessor, Sessions};
use crate::signing::{Signer, SigningError};
use crate::usage::{Mover, Usage};

/// How often queues and stores are polled, for /metrics and /readyz.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The queues whose depth is measured.
const MEASURED_QUEUES: [Queue; 5] =
    [Queue::Interactive, Queue::Replay, Queue::Quarantine, Queue::Results, Queue::DeadLetters];

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The accounts file cannot be used.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The session store's settings or its file cannot be used. A store that is merely unreachable is waited for.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store's settings cannot be used. A store that is merely unreachable is waited for.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The rate limiter's settings or its counts cannot be used. If its store is merely unreachable, the gateway
    /// counts by itself.
    #[error(transparent)]
    Rates(#[from] RateError),
    /// The keys that sign answers cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The TLS client that fetches pictures from URLs cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The public listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// Runs a gateway until `shutdown`, and then until the requests in progress are answered.
///
/// # Errors
/// Those of [`Gateway::start`].
pub async fn run(services: SharedServices, shutdown: CancellationToken) -> Result<(), GatewayError> {
    Gateway::start(services).await?.serve(shutdown).await;
    Ok(())
}

/// A gateway whose address is bound.
pub struct Gateway {
    server: Server,
    rates: Arc<Rates>,
    outbox: OutboxProcessor,
    mover: Mover,
    listening: Condition,
    /// Tasks that run beside the requests until the gateway is dropped.
    _background: Vec<AbortOnDropHandle<()>>,
}

impl Gateway {
    /// Puts a gateway together and binds its address.
    ///
    /// # Errors
    /// One of [`GatewayError`]: accounts or keys that cannot be read, stores that cannot be opened, an address that
    /// cannot be bound.
    pub async fn start(services: SharedServices) -> Result<Self, GatewayError> {
        let listening = services.readiness.condition("listener");
        let connected = services.readiness.condition("gateway_broker");
        let dependencies = DependencyWatch::new(&services);
        let settings = &services.settings;
        let accounts = Arc::new(Accounts::load(settings, &services.keys.data, &services.metrics)?);
        if !settings.broker.url.is_embedded() {
            warn_of_unshared_files(settings);
        }
        let signer = Arc::new(Signer::load(settings, &services.metrics)?);
        let rates = Arc::new(Rates::start(settings, &services.metrics)?);
        let (stores, objects) = open_stores(&services)?;
        let usage = Usage::new(stores.outbox.clone(), &services.metrics);
        let admission = Admission::new(settings, &services.metrics);
        let instance = Uuid::new_v4().simple().to_string();
        let dispatcher = start_dispatcher(&instance, &services, &admission).await;
        let sessions = Arc::new(Sessions::new(
            stores.sessions,
            stores.idempotency,
            objects.clone(),
            services.broker.clone(),
            settings,
            &services.metrics,
        ));
        let mut background = vec![
            tokio::spawn(follow_connection(dispatcher.watch_connection(), connected)),
            tokio::spawn(dependencies.run(services.clone(), stores.health, objects.clone())),
            tokio::spawn(Arc::clone(&signer).watch()),
            tokio::spawn(Arc::clone(&accounts).watch()),
        ];
        let listener = Arc::clone(&sessions);
        background.push(tokio::spawn(async move { listener.listen().await }));
        let outbox = OutboxProcessor::new(&sessions, stores.outbox);
        let mover = Mover::new(Arc::clone(&usage), objects, settings.usage.clone());
        let dispatcher = Arc::new(dispatcher);
        let workers = WorkerClient::new(dispatcher.clone(), Arc::clone(&admission), settings.jobs.deadline);
        let families = Families {
            bws: Bws::new(settings, workers.clone()),
            face_liveness: FaceLiveness::new(settings, workers.clone(), &services.metrics)?,
            biometric: BiometricServices::new(
                settings,
                workers,
                TemplateCodec::new(services.keys.templates),
                sessions,
                signer,
            ),
        };
        let state = GatewayState::new(
            services.settings,
            accounts,
            Arc::clone(&rates),
            admission,
            dispatcher,
            usage,
            families,
            services.readiness,
            &services.metrics,
        );
        let server = Server::bind(state).await?;
        tracing::info!(address = %server.local_addr(), instance, "public listener is open");
        let background = background.into_iter().map(AbortOnDropHandle::new).collect();
        Ok(Self { server, rates, outbox, mover, listening, _background: background })
    }

    /// The address of the public listener.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves until `shutdown`, and then until the requests in progress are answered.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { server, rates, outbox, mover, listening, _background } = self;
        listening.set(true);
        let become_unready = async {
            shutdown.cancelled().await;
            listening.set(false);
        };
        // The mover stops after the server: answers that are given during the shutdown have usage records, too.
        let all_answered = CancellationToken::new();
        let serve = async {
            server.serve(shutdown.clone()).await;
            all_answered.cancel();
        };
        tokio::join!(serve, mover.run(all_answered.clone()), outbox.run(shutdown.clone()), become_unready);
        rates.end().await;
    }
}

/// Warns where gateways on several machines would not find the same files.
fn warn_of_unshared_files(settings: &Settings) {
    if settings.objects.url.is_none() {
        tracing::warn!(
            "objects.url is not set: gateways on other machines do not find the pictures of this one's sessions"
        );
    }
    if settings.signing.file.is_none() {
        tracing::warn!("signing.file is not set: gateways on other machines sign with keys of their own");
    }
}

/// Opens the session store and the object store. Both are sealed with the data keys.
fn open_stores(services: &SharedServices) -> Result<(SealedStores, SealedObjects), GatewayError> {
    let SharedServices { settings, keys, .. } = services;
    let stores = SealedStores::new(store::open(&settings.store.url, &settings.data_dir)?, keys.data.clone());
    let objects = SealedObjects::new(object::open(&settings.objects, &settings.data_dir)?, keys.data.clone());
    Ok((stores, objects))
}

/// Starts the dispatcher, which reports to the admission how long jobs waited for a worker. `instance` names its
/// reply queue. It is new for each process: after a restart, the broker may still hold the lock of the previous
/// process on its queue.
async fn start_dispatcher(
    instance: &str,
    services: &SharedServices,
    admission: &Arc<Admission>,
) -> Dispatcher {
    let dispatcher = Dispatcher::start_agreeing(
        instance,
        services.broker.clone(),
        services.blobs.clone(),
        services.keys.data.clone(),
        KeyAgreement::start(Role::Gateway, services).await,
        services.settings.broker.inline_limit,
        &services.metrics,
    )
    .await;
    let admission = Arc::clone(admission);
    dispatcher.on_wait(move |wait| admission.record_wait(wait))
}

/// Shows in the readiness whether the dispatcher has a reply queue, that is, whether the broker is connected.
async fn follow_connection(mut reply_to: watch::Receiver<Option<String>>, connected: Condition) {
    loop {
        connected.set(reply_to.borrow_and_update().is_some());
        if reply_to.changed().await.is_err() {
            return;
        }
    }
}

/// Shows the state of queues and stores in readiness and metrics.
struct DependencyWatch {
    blobs_usable: Condition,
    store_usable: Condition,
    /// No condition of the readiness: only sessions that keep pictures need the object store.
    objects_up: IntGauge,
    queue_ready: IntGaugeVec,
    queue_consumers: IntGaugeVec,
}

impl DependencyWatch {
    fn new(services: &SharedServices) -> Self {
        let metrics = &services.metrics;
        Self {
            blobs_usable: services.readiness.condition("gateway_blobs"),
            store_usable: services.readiness.condition("gateway_store"),
            objects_up: metrics
                .gauge("faceline_object_store_up", "Whether the object store answers (1 or 0)."),
            queue_ready: metrics.gauges("faceline_queue_ready", "Messages waiting in a queue.", &["queue"]),
            queue_consumers: metrics.gauges("faceline_queue_consumers", "Consumers of a queue.", &["queue"]),
        }
    }

    async fn run(self, services: SharedServices, store: Arc<dyn StoreHealth>, objects: SealedObjects) {
        let mut interval = tokio::time::interval(POLL_INTERVAL);
        loop {
            interval.tick().await;
            self.measure_queues(&services).await;
            let blobs = services.blobs.check().await;
            self.blobs_usable.set(succeeded("the blob store is not usable", &blobs));
            self.store_usable.set(succeeded("the session store is not usable", &store.check().await));
            self.objects_up.set(succeeded("the object store is not usable", &objects.check().await).into());
        }
    }

    async fn measure_queues(&self, services: &SharedServices) {
        for queue in MEASURED_QUEUES {
            if let Ok(depth) = services.broker.depth(&queue).await {
                self.queue_ready.with_label_values(&[queue.name()]).set(depth.ready as i64);
                self.queue_consumers.with_label_values(&[queue.name()]).set(depth.consumers as i64);
            }
        }
    }
}

/// Whether a check succeeded. Logs `warning` if it did not.
fn succeeded(warning: &'static str, check: &Result<(), impl std::fmt::Display>) -> bool {
    if let Err(error) = check {
        tracing::warn!(%error, "{warning}");
    }
    check.is_ok()
}
