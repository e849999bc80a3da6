//! A gateway that listens on its own port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faceline_gateway::accounts::Accounts;
use faceline_gateway::admission::Admission;
use faceline_gateway::families::VerdictMetrics;
use faceline_gateway::families::biometric::{BestImages, BiometricServices};
use faceline_gateway::families::bws::Bws;
use faceline_gateway::families::face_liveness::FaceLiveness;
use faceline_gateway::http::{Families, GatewayState, Server};
use faceline_gateway::jobs::WorkerClient;
use faceline_gateway::replays::{DeliveryServices, RecipientKeys, ReplayDelivery, Replays};
use faceline_gateway::sessions::{OutboxProcessor, Sessions};
use faceline_gateway::signing::Signer;
use faceline_gateway::usage::{Mover, Usage};
use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::rate::Rates;
use faceline_gateway_store::sealed::UnsealedChange;
use faceline_gateway_store::sessions::{ReplayOutcome, SessionName};
use faceline_shared::admin::{Condition, Readiness};
use faceline_shared::settings::Settings;
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::Metrics;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::client::{post_bytes, post_json};
use crate::stores::Stores;
use crate::workers::Workers;

/// The path of sessions.
pub(crate) const SESSIONS: &str = "/bioserver-app/v2/bio-sessions";

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) workers: Arc<Workers>,
    pub(crate) stores: Stores,
    pub(crate) config: Settings,
    pub(crate) signer: Arc<Signer>,
    pub(crate) metrics: Metrics,
    pub(crate) ready: Condition,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) accounts: Arc<Accounts>,
    beside: [AbortOnDropHandle<()>; 7],
    _folder: TempDir,
}

impl Gateway {
    pub(crate) async fn start(workers: Arc<Workers>) -> Self {
        Self::with(workers, |_| ()).await
    }

    pub(crate) async fn with(workers: Arc<Workers>, change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(Stores::new(), workers, change).await
    }

    /// A gateway with stores that other gateways may use, too.
    pub(crate) async fn over(
        stores: Stores,
        workers: Arc<Workers>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut config = Settings::default();
        config.http.listen = ([127, 0, 0, 1], 0).into();
        let folder = TempDir::new().unwrap();
        config.data_dir = folder.path().to_owned();
        change(&mut config);
        let (readiness, metrics) = (Readiness::new(), Metrics::new());
        let accounts = Arc::new(Accounts::load(&config, &stores.ring(), &metrics).unwrap());
        let ready = readiness.condition("broker");
        ready.set(true);
        let admission = Admission::new(&config, &metrics);
        let rates = Arc::new(Rates::start(&config, &metrics).unwrap());
        let signer = Arc::new(Signer::load(&config, &metrics).unwrap());
        let records = stores.records();
        let sessions = Sessions::new(
            records.sessions,
            records.idempotency,
            stores.sealed_objects(),
            stores.broker.clone(),
            &config,
            &metrics,
        );
        let sessions = Arc::new(sessions.with_client_limits(Arc::clone(&accounts)));
        let replays = Arc::new(Replays::new(
            Arc::clone(&sessions),
            stores.objects(),
            Arc::new(RecipientKeys::load(&config, &metrics).unwrap()),
            stores.ring(),
            &config,
            &metrics,
        ));
        let usage = Usage::start(records.outbox.clone(), &config, &metrics).unwrap();
        let shutdown = CancellationToken::new();
        let faces = BestImages::new(
            &config,
            stores.templates(),
            Arc::clone(&sessions),
            Arc::clone(&signer),
            workers.clone(),
        );
        let delivery = DeliveryServices {
            records: stores.records().sessions,
            outbox: records.outbox.clone(),
            broker: stores.broker.clone(),
            keys: stores.ring(),
            images: stores.sealed_objects(),
            faces: Arc::new(faces),
            accounts: Arc::clone(&accounts),
            instance: "test".into(),
        };
        let delivery = ReplayDelivery::new(&replays, delivery, &config, &metrics).unwrap();
        let [listener, measured] = [(); 2].map(|()| Arc::clone(&sessions));
        let beside = [
            tokio::spawn(Arc::clone(&signer).watch()),
            tokio::spawn(Arc::clone(&accounts).watch()),
            tokio::spawn(async move { listener.listen().await }),
            tokio::spawn(async move { measured.watch_bounds().await }),
            tokio::spawn(delivery.run(shutdown.clone())),
            tokio::spawn(OutboxProcessor::new(&sessions, records.outbox).run(shutdown.clone())),
            tokio::spawn(
                Mover::new(Arc::clone(&usage), stores.sealed_objects(), config.usage.clone())
                    .run(shutdown.clone()),
            ),
        ];
        let client = WorkerClient::new(workers.clone(), Arc::clone(&admission), &config.jobs);
        let verdicts = VerdictMetrics::new(&metrics);
        let families = Families {
            bws: Bws::new(&config, client.clone(), verdicts.clone()),
            face_liveness: FaceLiveness::new(&config, client.clone(), &metrics, verdicts).unwrap(),
            biometric: BiometricServices::new(
                &config,
                client,
                stores.templates(),
                sessions,
                replays,
                Arc::clone(&signer),
            ),
        };
        let state = GatewayState::new(
            config.clone(),
            Arc::clone(&accounts),
            rates,
            admission,
            workers.clone(),
            usage,
            families,
            readiness,
            &metrics,
        );
        let server = Server::bind(state).await.unwrap();
        let address = server.local_addr();
        let serving = tokio::spawn(server.serve(shutdown.clone()));
        Self {
            address,
            workers,
            stores,
            config,
            signer,
            metrics,
            ready,
            shutdown,
            serving,
            accounts,
            beside: beside.map(AbortOnDropHandle::new),
            _folder: folder,
        }
    }

    /// Whether the task has ended that publishes jobs of replays, consumes their results and sends callbacks.
    pub(crate) fn delivery_has_ended(&self) -> bool {
        self.beside[4].is_finished()
    }

    /// Whether the task that moves and redelivers usage records has ended.
    pub(crate) fn mover_has_ended(&self) -> bool {
        self.beside.last().is_some_and(AbortOnDropHandle::is_finished)
    }

    /// Creates a session of the demo account.
    pub(crate) async fn session(&self, body: &str) -> Uuid {
        let created = post_json(self.address, SESSIONS, body).await;
        assert_eq!(created.status, 201, "{created:?}");
        let (_, id) = created.header("location").unwrap().split_once("/bio-sessions/").unwrap();
        id.parse().unwrap()
    }

    /// Adds the face in a picture to a session.
    pub(crate) async fn face(&self, session: Uuid, picture: &str) -> Uuid {
        self.face_of_bytes(session, picture.as_bytes()).await
    }

    pub(crate) async fn face_of_bytes(&self, session: Uuid, picture: &[u8]) -> Uuid {
        let path = format!("{SESSIONS}/{session}/faces");
        let parts = [("imageType", &b"SELFIE"[..]), ("image", picture)];
        let created = post_bytes(self.address, &path, &parts).await;
        assert_eq!(created.status, 201, "{created:?}");
        let (_, id) = created.header("location").unwrap().split_once("/faces/").unwrap();
        id.parse().unwrap()
    }

    /// Sets in the store whether a replay of a session is in progress. `revision` is the replay's current one.
    /// Returns whether the change was made.
    pub(crate) async fn set_replay_in_progress(
        &self,
        session: Uuid,
        revision: u64,
        in_progress: bool,
    ) -> bool {
        let change: UnsealedChange<'_, (), ()> = UnsealedChange {
            expected: revision,
            record: &(),
            in_progress,
            upload_within: None,
            lease: Duration::ZERO,
            rows: vec![],
        };
        let sessions = &self.stores.records().sessions;
        let changed = sessions.change_replay(&self.name(session), &change, &ClientBounds::NONE).await;
        matches!(changed, Ok(ReplayOutcome::Changed { .. }))
    }

    /// The full name of a session of the demo account.
    pub(crate) fn name(&self, session: Uuid) -> SessionName {
        SessionName { client: "demo".into(), id: session }
    }

    /// Polls until `is_so`, for conditions without a notification.
    pub(crate) async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let looked = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), looked).await.unwrap();
    }
}
