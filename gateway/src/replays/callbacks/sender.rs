//! Sends one callback through the SSRF guard, without redirects and without a proxy. The guard allows private
//! addresses only if they are configured.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use faceline_shared::settings::CallbackSettings;
use faceline_shared::telemetry::TraceContext;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};
use uuid::Uuid;

use crate::accounts::ClientCallbacks;
use crate::outbound::{AddressGuard, ConnectError, Connector};
use crate::replays::rows::Callback;

/// Headers of Standard Webhooks.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Maximum number of bytes of an answer's body that are read. The body is not used, but a receiver that is still
/// writing may treat a closed connection as an error.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Reason why a callback is not delivered. It is retried.
#[derive(Debug, thiserror::Error)]
pub(in crate::replays) enum CallbackFailure {
    /// The session's callback URL cannot be parsed.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// The host is not among those of the client's accounts.
    #[error("the host is not allowed for this client")]
    Host,
    /// The URL cannot be expressed as an HTTP request.
    #[error("no request can be made of the URL: {0}")]
    Request(#[from] http::Error),
    /// There is no connection. [`ConnectError::Address`] is the guard's refusal.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The receiver closed the connection or does not speak HTTP.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The receiver did not answer in time.
    #[error("no answer in time")]
    TooSlow,
    /// The answer's status is not 2xx.
    #[error("the status is {0}")]
    Status(StatusCode),
}

impl CallbackFailure {
    /// The label in metrics.
    pub(in crate::replays) fn label(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Request(_) => "url",
            Self::Host => "host",
            Self::Connect(ConnectError::Address(_)) => "address",
            Self::Connect(ConnectError::Tls(_) | ConnectError::Name(_)) => "tls",
            Self::Connect(_) | Self::Http(_) => "unreachable",
            Self::TooSlow => "timeout",
            Self::Status(status) if status.is_redirection() => "redirect",
            Self::Status(_) => "status",
        }
    }
}

/// Sends callbacks.
pub(in crate::replays) struct CallbackSender {
    connector: Connector,
    timeout: Duration,
}

impl CallbackSender {
    /// A sender with the system's resolver and certificates.
    ///
    /// # Errors
    /// The cryptography provider supports none of the default TLS versions.
    pub(in crate::replays) fn new(settings: &CallbackSettings) -> Result<Self, rustls::Error> {
        let guard = AddressGuard::new(settings.private_hosts.clone(), settings.allowed_networks.clone());
        Ok(Self { connector: Connector::with_system_trust(guard)?, timeout: settings.timeout })
    }

    /// Sends a callback once, within `trace`. `id` is the same at each attempt. Returns the status.
    ///
    /// # Errors
    /// [`CallbackFailure`] unless the receiver answers in time with a status of 2xx.
    pub(super) async fn send(
        &self,
        id: Uuid,
        callback: &Callback,
        client: &ClientCallbacks,
        trace: &TraceContext,
    ) -> Result<StatusCode, CallbackFailure> {
        let url = Url::parse(&callback.url)?;
        // The accounts may have changed since the session was created.
        if !client.allow(&url) {
            return Err(CallbackFailure::Host);
        }
        let request = request(id, &url, callback, client, trace)?;
        let deadline = Instant::now() + self.timeout;
        let exchange = async {
            let mut connection = self.connector.connect(&url, deadline).await?;
            let response = connection.send(request).await?;
            let status = response.status();
            drain(response).await;
            Ok(status)
        };
        match timeout_at(deadline, exchange).await {
            Ok(Ok(status)) if status.is_success() => Ok(status),
            Ok(Ok(status)) => Err(CallbackFailure::Status(status)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(CallbackFailure::TooSlow),
        }
    }
}

fn request(
    id: Uuid,
    url: &Url,
    callback: &Callback,
    client: &ClientCallbacks,
    trace: &TraceContext,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let body = format!(r#"{{"sessionId":"{}"}}"#, callback.session);
    let id = id.to_string();
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut request = Request::post(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, concat!("faceline/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len())
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close")
        .header(WEBHOOK_ID, &id)
        .header(WEBHOOK_TIMESTAMP, timestamp);
    if let Some(signatures) = client.signatures(&id, timestamp, body.as_bytes()) {
        request = request.header(WEBHOOK_SIGNATURE, signatures);
    }
    // A receiver that continues the trace uses this span as the parent. A trace that is not recorded has no span.
    if trace.is_sampled() {
        request = request.header("traceparent", trace.to_string());
        if let Some(state) = trace.tracestate() {
            request = request.header("tracestate", state);
        }
    }
    request.body(Full::new(body.into()))
}

/// Reads the answer's body, up to a bound, and discards it. The status counts, even if reading the body fails.
async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MAX_ANSWER_BYTES {
            return;
        }
    }
}
