//! Answers that a caller receives from the service.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use serde_json::Value;

/// An answer of the service that was received as a whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, if the answer has it as a number of seconds.
    pub retry_after: Option<Duration>,
    /// `Location`.
    pub location: Option<String>,
    /// Whether `Idempotency-Replayed` says that the answer is that of an earlier request.
    pub is_replayed: bool,
    /// The body.
    pub body: Bytes,
}

/// The service that a request is sent to, with the credentials of a client.
#[derive(Clone, Debug)]
pub struct SentTo {
    /// Address of a gateway, without a path: `http://127.0.0.1:8080`.
    pub url: String,
    /// The API key of Biometric Services.
    pub api_key: String,
    /// User and password of Face Liveness.
    pub basic: (String, String),
}

impl SentTo {
    /// A gateway on this machine with the demo account.
    #[must_use]
    pub fn demo(url: &str) -> Self {
        let name = || "demo".to_owned();
        Self { url: url.trim_end_matches('/').to_owned(), api_key: name(), basic: (name(), name()) }
    }
}

/// Whether a request ended without an answer though its connection was open.
#[must_use]
pub fn is_silence(error: &reqwest::Error) -> bool {
    error.is_timeout() && !error.is_connect()
}

impl Answer {
    /// Builds an answer from its parts.
    #[must_use]
    pub fn new(status: u16, headers: &HeaderMap, body: Bytes) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status,
            retry_after: text(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs),
            location: text(LOCATION).map(str::to_owned),
            is_replayed: text(HeaderName::from_static("idempotency-replayed")) == Some("true"),
            body,
        }
    }

    /// Receives the rest of a response.
    ///
    /// # Errors
    /// The connection breaks before the end of the body.
    pub async fn receive(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self::new(status, &headers, response.bytes().await?))
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The error message, from the member that the API family uses (`message` or `error`); empty if there is none.
    #[must_use]
    pub fn message(&self) -> String {
        let body = self.json();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        text("message").or_else(|| text("error")).unwrap_or_default()
    }
}
