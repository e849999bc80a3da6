//! Runs both roles, gateway and worker, in one process.

use faceline_gateway::{Gateway, GatewayError};
use faceline_shared::services::SharedServices;
use faceline_shared::shutdown::CancellationToken;
use faceline_worker::{MODELS_READY, WorkerError};

use crate::greeting;

/// Reasons why the program ends with an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandaloneError {
    /// The gateway could not start.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The worker could not start, or failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// Runs gateway and worker until `shutdown`, or until one of them fails, which stops the other.
///
/// The gateway drains first, because its accepted requests still need the worker.
pub(crate) async fn run(
    services: SharedServices,
    shutdown: CancellationToken,
) -> Result<(), StandaloneError> {
    let worker_shutdown = CancellationToken::new();
    // The worker's condition must be registered before the gateway's conditions can be met. Otherwise the program would
    // briefly report that it is ready while no model is loaded.
    let _ = services.readiness.condition(MODELS_READY);
    let gateway = Gateway::start(services.clone()).await?;
    let greeting = tokio::spawn(greeting::when_ready(services.clone(), gateway.local_addr()));
    let worker = tokio::spawn(faceline_worker::run(services, worker_shutdown.clone()));
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
