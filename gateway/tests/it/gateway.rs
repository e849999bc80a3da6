//! A gateway on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use faceline_gateway::accounts::Accounts;
use faceline_gateway::admission::Admission;
use faceline_gateway::http::{Server, State};
use faceline_gateway::signing::Signer;
use faceline_shared::admin::{Condition, Readiness};
use faceline_shared::config::Config;
use faceline_shared::seal::KeyRing;
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::Metrics;
use faceline_shared::template::TemplateCodec;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::workers::Workers;

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) workers: Arc<Workers>,
    pub(crate) config: Config,
    pub(crate) signer: Arc<Signer>,
    pub(crate) metrics: Metrics,
    pub(crate) ready: Condition,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
    _following: AbortOnDropHandle<()>,
    _folder: TempDir,
}

impl Gateway {
    pub(crate) async fn start(workers: Arc<Workers>) -> Self {
        Self::with(workers, |_| ()).await
    }

    pub(crate) async fn with(workers: Arc<Workers>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.http.listen = ([127, 0, 0, 1], 0).into();
        let folder = TempDir::new().unwrap();
        config.data_dir = folder.path().to_owned();
        change(&mut config);
        let accounts = Accounts::load(&config).unwrap();
        let templates = TemplateCodec::new(KeyRing::generate().unwrap());
        let (readiness, metrics) = (Readiness::new(), Metrics::new());
        let ready = readiness.condition("broker");
        let admission = Admission::new(&config, &metrics);
        let signer = Arc::new(Signer::load(&config).unwrap());
        let following = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&signer).follow()));
        let state = State::new(
            config.clone(),
            accounts,
            admission,
            workers.clone(),
            templates,
            Arc::clone(&signer),
            readiness,
            &metrics,
        );
        let server = Server::bind(state).await.unwrap();
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(server.serve(shutdown.clone()));
        Self {
            address,
            workers,
            config,
            signer,
            metrics,
            ready,
            shutdown,
            serving,
            _following: following,
            _folder: folder,
        }
    }
}
