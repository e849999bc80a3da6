//! The port of rate limiters.

use async_trait::async_trait;
use faceline_shared::secret_file::SecretFileError;

use super::terms::Terms;
use super::verdict::Verdict;

/// Reason why a limiter does not answer.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    /// The address cannot be parsed, or the files for TLS cannot be used.
    #[error("store.url or store.tls is not usable: {0}")]
    Url(String),
    /// The server does not answer, answers too late, or returns something unexpected.
    #[error("the rate limiter's server does not answer: {0}")]
    Unreachable(String),
    /// The file of quota counts cannot be read or written.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file of quota counts does not have the expected form.
    #[error("{0}")]
    Form(String),
}

/// A rate limiter. A request that passes counts against rate and quota; a refused one counts against neither.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Decides whether one more request of `key`, which has the limits `terms`, may pass.
    ///
    /// # Errors
    /// [`RateError::Unreachable`]; the request may have been counted.
    async fn check(&self, key: &str, terms: &Terms) -> Result<Verdict, RateError>;

    /// Registers this process as one that shares the limiter, and returns how many processes have registered in the last
    /// seconds, including this one.
    ///
    /// # Errors
    /// [`RateError::Unreachable`].
    async fn heartbeat(&self) -> Result<u32, RateError>;
}
