//! Shutdown: the first signal starts a drain, the second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
pub use tokio_util::sync::CancellationToken;

/// A token that is cancelled at the first SIGTERM or SIGINT. A second signal ends the process with 130.
///
/// # Errors
/// The system does not allow handlers for these signals.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        let mut wait = async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
        wait().await;
        tracing::info!("shutting down; a second signal ends the process at once");
        shutdown.cancel();
        wait().await;
        #[expect(clippy::disallowed_methods, reason = "the second signal asks for an end without a drain")]
        std::process::exit(130);
    });
    Ok(token)
}
