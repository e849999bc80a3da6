//! The requests of a capture.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use faceline_shared::retry::Backoff;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::parameters::Parameters;
use super::sealed::SealedUpload;
use super::verified::PinnedKeys;

const CAPTURE_TOKEN: &str = "x-capture-token";
/// Attempts of an upload.
const MAX_UPLOADS: u32 = 10;
/// Time between two requests for the status.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A client of the service at one address, with an API key.
#[derive(Clone, Debug)]
pub struct CaptureClient {
    http: Client,
    url: String,
    apikey: String,
}

/// The credential that a request sends.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// The client's API key.
    ApiKey,
    /// A capture token.
    Token(&'a str),
}

/// The answer to an upload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadAnswer {
    /// The HTTP status: 202 for an upload that was accepted, now or before.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: String,
}

impl CaptureClient {
    /// A client of the service at `url` (without a path).
    #[must_use]
    pub fn new(url: &str, apikey: &str) -> Self {
        Self::with_connections(Client::new(), url, apikey)
    }

    /// A client as [`CaptureClient::new`], which uses the connections of `http`.
    pub(crate) fn with_connections(http: Client, url: &str, apikey: &str) -> Self {
        Self { http, url: url.trim_end_matches('/').to_owned(), apikey: apikey.to_owned() }
    }

    /// The same client with a time limit for each answer. The default is no limit, because a device may have a slow
    /// connection.
    ///
    /// # Panics
    /// The TLS library cannot be set up.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let http = Client::builder().timeout(timeout).build().expect("a client");
        Self { http, ..self.clone() }
    }

    /// The same with a `traceparent` in all requests.
    ///
    /// # Panics
    /// `traceparent` is no valid value of a header.
    #[must_use]
    pub fn within(&self, traceparent: &str) -> Self {
        let value = HeaderValue::from_str(traceparent).expect("a header");
        let headers = HeaderMap::from_iter([(HeaderName::from_static("traceparent"), value)]);
        let http = Client::builder().default_headers(headers).build().expect("a client");
        Self { http, ..self.clone() }
    }

    /// Reads the keys that the service publishes now. A device must not trust keys because they are published; this is
    /// for tests, and for operators who pin them.
    ///
    /// # Errors
    /// The service does not publish them.
    pub async fn published_keys(&self) -> anyhow::Result<PinnedKeys> {
        let answer = self.http.get(format!("{}/.well-known/jwks.json", self.url)).send().await?;
        PinnedKeys::parse(&answer.error_for_status()?.bytes().await?)
    }

    /// Creates a session.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn create_session(&self, body: &Value) -> anyhow::Result<Uuid> {
        let request = self.http.post(format!("{}/bioserver-app/v2/bio-sessions", self.url)).json(body);
        let answer = expect(StatusCode::CREATED, self.send(request, Credential::ApiKey).await?).await?;
        let location = answer.headers().get(header::LOCATION).context("no Location")?.to_str()?;
        let (_, id) = location.split_once("/bio-sessions/").context("another Location")?;
        Ok(id.parse()?)
    }

    /// Sets the parameters of a replay (`init-liveness-parameters`).
    ///
    /// # Errors
    /// The request is refused, or the answer is not signed by one of `keys`.
    pub async fn set_parameters(
        &self,
        session: Uuid,
        body: &Value,
        keys: &PinnedKeys,
    ) -> anyhow::Result<Parameters> {
        let answer = self.set_parameters_request(session, body).send().await?;
        read_parameters(expect(StatusCode::OK, answer).await?, keys).await
    }

    /// The request of [`CaptureClient::set_parameters`], for callers that need the answer as it is.
    pub(crate) fn set_parameters_request(&self, session: Uuid, body: &Value) -> RequestBuilder {
        let request = self.http.post(self.path("v2", session, "init-liveness-parameters")).json(body);
        self.with_credential(request, Credential::ApiKey)
    }

    /// Reads the parameters of a replay again, as a device does that got session and token from its provider.
    ///
    /// # Errors
    /// The request is refused, or the answer is not signed by one of `keys`.
    pub async fn parameters(
        &self,
        session: Uuid,
        credential: Credential<'_>,
        keys: &PinnedKeys,
    ) -> anyhow::Result<Parameters> {
        let request = self.http.get(self.path("v2", session, "liveness-parameters"));
        let answer = expect(StatusCode::OK, self.send(request, credential).await?).await?;
        read_parameters(answer, keys).await
    }

    /// Sends an upload once.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn upload(
        &self,
        session: Uuid,
        upload: &SealedUpload,
        credential: Credential<'_>,
    ) -> anyhow::Result<UploadAnswer> {
        let media = Part::stream(upload.media.clone()).mime_str("application/octet-stream")?;
        let form = Form::new().text("metadata", upload.metadata.clone()).part("media", media);
        let request = self.http.post(self.path("v2", session, "replay-liveness")).multipart(form);
        let answer = self.send(request, credential).await?;
        let seconds =
            answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let (status, retry_after) = (answer.status().as_u16(), seconds.map(Duration::from_secs));
        Ok(UploadAnswer { status, retry_after, body: answer.text().await? })
    }

    /// Sends an upload, and repeats it where it may succeed later: after a broken connection, a refusal with
    /// `Retry-After`, 408, and 5xx. Its credential is the capture token of the parameters, or the API key without one.
    ///
    /// # Errors
    /// The upload is refused for good, or not accepted in ten attempts.
    pub async fn upload_until_accepted(
        &self,
        session: Uuid,
        upload: &SealedUpload,
        parameters: &Parameters,
    ) -> anyhow::Result<()> {
        let credential = parameters.capture_token.as_deref().map_or(Credential::ApiKey, Credential::Token);
        let mut last = None;
        for attempt in 1..=MAX_UPLOADS {
            let backoff = Backoff::CONNECTION.delay(attempt);
            let pause = match self.upload(session, upload, credential).await {
                Ok(UploadAnswer { status: 202, .. }) => return Ok(()),
                Ok(answer) => {
                    let is_final = answer.retry_after.is_none() && !matches!(answer.status, 408 | 500..);
                    anyhow::ensure!(!is_final, "the upload is refused: {} {}", answer.status, answer.body);
                    let pause = answer.retry_after.unwrap_or(backoff);
                    last = Some(anyhow::anyhow!("{} {}", answer.status, answer.body));
                    pause
                }
                Err(error) => {
                    last = Some(error);
                    backoff
                }
            };
            sleep(pause).await;
        }
        Err(last.context("no attempt")?.context("the upload is not accepted"))
    }

    /// The status of the replay (v3).
    ///
    /// # Errors
    /// The request is refused, or the answer is not signed by one of `keys`.
    pub async fn status(&self, session: Uuid, keys: &PinnedKeys) -> anyhow::Result<Value> {
        let request = self.http.get(self.path("v3", session, "replay-liveness-metadata"));
        let answer = expect(StatusCode::OK, self.send(request, Credential::ApiKey).await?).await?;
        Ok(serde_json::from_slice(&keys.verified(&answer.text().await?)?)?)
    }

    /// Waits until the replay has ended, and returns its status.
    ///
    /// # Errors
    /// A request is refused, an answer is not signed by one of `keys`, or the replay has not ended after `timeout`.
    pub async fn wait_for_end(
        &self,
        session: Uuid,
        keys: &PinnedKeys,
        timeout: Duration,
    ) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            let status = self.status(session, keys).await?;
            if !matches!(status["status"].as_str(), Some("INITIALIZED" | "IN_PROGRESS")) {
                return Ok(status);
            }
            anyhow::ensure!(started.elapsed() < timeout, "the replay has not ended in time: {status}");
            sleep(POLL_INTERVAL).await;
        }
    }

    fn path(&self, version: &str, session: Uuid, operation: &str) -> String {
        format!("{}/bioserver-app/{version}/bio-sessions/{session}/{operation}", self.url)
    }

    async fn send(&self, request: RequestBuilder, credential: Credential<'_>) -> anyhow::Result<Response> {
        Ok(self.with_credential(request, credential).send().await?)
    }

    fn with_credential(&self, request: RequestBuilder, credential: Credential<'_>) -> RequestBuilder {
        match credential {
            Credential::ApiKey => request.header("apikey", &self.apikey),
            Credential::Token(token) => request.header(CAPTURE_TOKEN, token),
        }
    }
}

async fn read_parameters(answer: Response, keys: &PinnedKeys) -> anyhow::Result<Parameters> {
    let token = answer.headers().get(CAPTURE_TOKEN).and_then(|value| value.to_str().ok());
    let token = token.map(str::to_owned);
    let text = answer.text().await?;
    Parameters::parse(&keys.verified(&text)?, token)
}

/// The answer, if it has the expected status.
async fn expect(status: StatusCode, answer: Response) -> anyhow::Result<Response> {
    if answer.status() == status {
        return Ok(answer);
    }
    let (status, path) = (answer.status(), answer.url().path().to_owned());
    let body: Bytes = answer.bytes().await?;
    anyhow::bail!("{path}: {status}: {}", String::from_utf8_lossy(&body))
}
