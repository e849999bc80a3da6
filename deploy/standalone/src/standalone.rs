//! Both roles in one process.

use faceline_gateway::{Gateway, GatewayError};
use faceline_shared::parts::Parts;
use faceline_shared::shutdown::CancellationToken;
use faceline_worker::{MODELS_READY, WorkerError};

use crate::greeting;

/// Why the program ends.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// The gateway's part.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The worker's part.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// Runs gateway and worker until `shutdown`.
///
/// The gateway drains first: what it has accepted still needs the worker.
///
/// # Errors
/// What ended one of the roles; the other one is stopped then.
pub async fn run(parts: Parts, shutdown: CancellationToken) -> Result<(), StandaloneError> {
    let worker_shutdown = CancellationToken::new();
    // Known before either role runs, so that the gateway's conditions alone make nobody believe that all is ready.
    let _ = parts.readiness.condition(MODELS_READY);
    let gateway = Gateway::start(parts.clone()).await?;
    let greeting = tokio::spawn(greeting::when_ready(parts.clone(), gateway.local_addr()));
    let worker = tokio::spawn(faceline_worker::run(parts, worker_shutdown.clone()));
    let worker_ended = async {
        let ended = worker.await;
        shutdown.cancel();
        ended
    };
    let gateway_ended = async {
        gateway.serve(shutdown.clone()).await;
        worker_shutdown.cancel();
    };
    let (worker, ()) = tokio::join!(worker_ended, gateway_ended);
    greeting.abort();
    worker.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    Ok(())
}
