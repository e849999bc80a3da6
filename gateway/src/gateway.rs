//! Assembles a gateway and runs it.

use std::net::SocketAddr;
use std::sync::Arc;

use faceline_gateway_store::rate::{RateError, Rates};
use faceline_gateway_store::sealed::SealedStores;
use faceline_gateway_store::{self as store, StoreError};
use faceline_shared::admin::Condition;
use faceline_shared::key_agreement::{KeyAgreement, Role};
use faceline_shared::object::SealedObjects;
use faceline_shared::services::SharedServices;
use faceline_shared::settings::Settings;
use faceline_shared::shutdown::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::accounts::{Accounts, AccountsError};
use crate::admission::{Admission, JobClass};
use crate::dependencies::Dependencies;
use crate::families::VerdictMetrics;
use crate::families::biometric::template::TemplateCodec;
use crate::families::biometric::{BestImages, BiometricServices};
use crate::families::bws::Bws;
use crate::families::face_liveness::FaceLiveness;
use crate::http::{Families, GatewayState, ListenError, Server};
use crate::jobs::{Dispatcher, WorkerClient};
use crate::replays::{DeliveryServices, RecipientKeyError, RecipientKeys, ReplayDelivery, Replays};
use crate::sessions::{OutboxProcessor, Sessions};
use crate::signing::{Signer, SigningError};
use crate::usage::{Mover, Usage};

/// The reason why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The accounts file cannot be used.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The session store's settings or its file cannot be used. If it is merely unreachable, the gateway waits for it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rate limiter's settings or its counts cannot be used. If its store is merely unreachable, the gateway
    /// counts by itself.
    #[error(transparent)]
    Rates(#[from] RateError),
    /// The thread that writes deferred usage records cannot be started.
    #[error("no thread for usage records: {0}")]
    UsageThread(std::io::Error),
    /// The keys that sign answers cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The keys for uploads of replays cannot be used.
    #[error(transparent)]
    RecipientKeys(#[from] RecipientKeyError),
    /// The TLS client that fetches pictures from URLs and calls service providers cannot be set up.
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
    delivery: ReplayDelivery,
    mover: Mover,
    listening: Condition,
    /// Tasks that run beside the requests until the gateway is dropped.
    _background: Vec<AbortOnDropHandle<()>>,
}

impl Gateway {
    /// Assembles a gateway and binds its address.
    ///
    /// # Errors
    /// One of [`GatewayError`]: accounts or keys that cannot be read, stores that cannot be opened, an address that
    /// cannot be bound.
    pub async fn start(services: SharedServices) -> Result<Self, GatewayError> {
        let listening = services.readiness.condition("listener");
        let dependencies = Dependencies::new(&services);
        let settings = &services.settings;
        let accounts = Arc::new(Accounts::load(settings, &services.keys.data, &services.metrics)?);
        if !settings.broker.url.is_embedded() {
            warn_of_unshared_files(settings);
        }
        let signer = Arc::new(Signer::load(settings, &services.metrics)?);
        let rates = Arc::new(Rates::start(settings, &services.metrics)?);
        let (stores, objects) = open_stores(&services)?;
        let usage = Usage::start(stores.outbox.clone(), settings, &services.metrics)
            .map_err(GatewayError::UsageThread)?;
        let admission = Admission::new(settings, &services.metrics);
        let instance = Uuid::new_v4().simple().to_string();
        let dispatcher = start_dispatcher(&instance, &services, &admission).await;
        let records = stores.sessions;
        let sessions = Sessions::new(
            records.clone(),
            stores.idempotency,
            objects.clone(),
            services.broker.clone(),
            settings,
            &services.metrics,
        );
        let sessions = Arc::new(sessions.with_client_limits(Arc::clone(&accounts)));
        let mut background = vec![
            tokio::spawn(dependencies.watch(
                services.clone(),
                stores.health,
                objects.clone(),
                dispatcher.watch_connection(),
            )),
            tokio::spawn(Arc::clone(&signer).watch()),
            tokio::spawn(Arc::clone(&accounts).watch()),
        ];
        let listener = Arc::clone(&sessions);
        background.push(tokio::spawn(async move { listener.listen().await }));
        background.push(tokio::spawn(Arc::clone(&admission).update_metrics()));
        let measured = Arc::clone(&sessions);
        background.push(tokio::spawn(async move { measured.watch_bounds().await }));
        let recipients = Arc::new(RecipientKeys::load(settings, &services.metrics)?);
        background.push(tokio::spawn(Arc::clone(&recipients).watch()));
        let replays = Arc::new(Replays::new(
            Arc::clone(&sessions),
            Arc::clone(&services.objects),
            recipients,
            services.keys.data.clone(),
            settings,
            &services.metrics,
        ));
        let dispatcher = Arc::new(dispatcher);
        let templates = TemplateCodec::new(services.keys.templates.clone());
        let faces = BestImages::new(
            settings,
            templates.clone(),
            Arc::clone(&sessions),
            Arc::clone(&signer),
            dispatcher.clone(),
        );
        let delivery = DeliveryServices {
            records,
            outbox: stores.outbox.clone(),
            broker: services.broker.clone(),
            keys: services.keys.data.clone(),
            images: objects.clone(),
            faces: Arc::new(faces),
            accounts: Arc::clone(&accounts),
            instance: instance.clone(),
        };
        let delivery = ReplayDelivery::new(&replays, delivery, settings, &services.metrics)?;
        let outbox = OutboxProcessor::new(&sessions, stores.outbox);
        let mover = Mover::new(Arc::clone(&usage), objects, settings.usage.clone());
        let workers = WorkerClient::new(dispatcher.clone(), Arc::clone(&admission), &settings.jobs);
        let verdicts = VerdictMetrics::new(&services.metrics);
        let families = Families {
            bws: Bws::new(settings, workers.clone(), verdicts.clone()),
            face_liveness: FaceLiveness::new(settings, workers.clone(), &services.metrics, verdicts)?,
            biometric: BiometricServices::new(settings, workers, templates, sessions, replays, signer),
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
        let seconds = server.max_shutdown().as_secs();
        tracing::info!(seconds, "requests are answered for at most this long after a signal to stop");
        let background = background.into_iter().map(AbortOnDropHandle::new).collect();
        Ok(Self { server, rates, outbox, delivery, mover, listening, _background: background })
    }

    /// The address of the public listener.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves until `shutdown`, and then until the requests in progress are answered.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { server, rates, outbox, delivery, mover, listening, _background } = self;
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
        tokio::join!(
            serve,
            mover.run(all_answered.clone()),
            outbox.run(shutdown.clone()),
            delivery.run(shutdown.clone()),
            become_unready
        );
        rates.end().await;
    }
}

/// Warns if gateways on several machines would not find the same files.
fn warn_of_unshared_files(settings: &Settings) {
    if settings.objects.url.is_none() {
        tracing::warn!(
            "objects.url is not set: gateways on other machines do not find the pictures of this one's sessions"
        );
    }
    if settings.signing.file.is_none() {
        tracing::warn!("signing.file is not set: gateways on other machines sign with keys of their own");
    }
    if settings.replay.keys_file.is_none() {
        tracing::warn!(
            "replay.keys_file is not set: gateways on other machines do not open uploads for this one's keys"
        );
    }
}

/// Opens the session store and the object store. Both are sealed with the data keys.
fn open_stores(services: &SharedServices) -> Result<(SealedStores, SealedObjects), GatewayError> {
    let SharedServices { settings, keys, objects, .. } = services;
    let stores = SealedStores::new(store::open(&settings.store, &settings.data_dir)?, keys.data.clone());
    let objects = SealedObjects::new(Arc::clone(objects), keys.data.clone());
    Ok((stores, objects))
}

/// Starts the dispatcher. It reports to the admission control how long each job waited for a worker and how long the
/// worker took. `instance` names its reply queue, and is new for each process: after a restart, the broker may still
/// hold the lock of the previous process on its queue.
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
    dispatcher.on_answer(move |queue, wait, service| {
        admission.record_answer(JobClass::of_queue(queue), wait, service);
    })
}
