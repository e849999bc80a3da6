//! Client of RabbitMQ's management API at the address `broker.management_url`, if there is one.

use std::path::Path;
use std::time::{Duration, SystemTime};

use faceline_shared::redact::SecretUrl;
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use serde::Deserialize;

/// Time limit for an answer of the API.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Errors of a request to the API.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManagementError {
    /// The address is not a URL.
    #[error("broker.management_url is not a URL")]
    Url,
    /// The certificates of the authorities cannot be read.
    #[error("broker.tls.ca cannot be used: {0}")]
    Authorities(String),
    /// The API does not answer, or its answer has another format. The message holds no password.
    #[error("the management API does not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// The API refuses the request.
    #[error("the management API answers {0}")]
    Refused(StatusCode),
}

/// A client of the API.
pub(crate) struct Management {
    client: Client,
    base: Url,
}

/// A queue, as the API describes it. Fields are missing until RabbitMQ has measured them; it measures every five
/// seconds.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct QueueStatistics {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) messages_ready: Option<u64>,
    #[serde(default)]
    pub(crate) messages_unacknowledged: Option<u64>,
    #[serde(default)]
    pub(crate) message_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) consumers: Option<u64>,
}

impl Management {
    /// A client of the API at `url`. The server's certificate may come from an authority of the system or from one in
    /// the PEM file `ca`.
    ///
    /// # Errors
    /// [`ManagementError::Url`], [`ManagementError::Authorities`].
    pub(crate) fn new(url: &SecretUrl, ca: Option<&Path>) -> Result<Self, ManagementError> {
        let mut base = Url::parse(url).map_err(|_| ManagementError::Url)?;
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        faceline_shared::tls::install_provider();
        let mut client = Client::builder().timeout(TIMEOUT);
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).map_err(|error| ManagementError::Authorities(error.to_string()))?;
            let authorities = Certificate::from_pem_bundle(&pem);
            client = client.tls_certs_merge(
                authorities.map_err(|error| ManagementError::Authorities(error.to_string()))?,
            );
        }
        let client = client.build().map_err(reqwest::Error::without_url)?;
        Ok(Self { client, base })
    }

    /// All queues of a virtual host.
    ///
    /// # Errors
    /// [`ManagementError`].
    pub(crate) async fn queues(&self, virtual_host: &str) -> Result<Vec<QueueStatistics>, ManagementError> {
        let response = accepted(self.get(&["queues", virtual_host]).await?)?;
        Ok(response.json().await.map_err(reqwest::Error::without_url)?)
    }

    /// Returns whether no node has an alarm, and the clock of the node that answers.
    ///
    /// # Errors
    /// [`ManagementError`].
    pub(crate) async fn has_no_alarm(&self) -> Result<(bool, Option<SystemTime>), ManagementError> {
        let response = self.get(&["health", "checks", "alarms"]).await?;
        let clock = date(&response);
        match response.status() {
            StatusCode::SERVICE_UNAVAILABLE => Ok((false, clock)),
            _ => accepted(response).map(|_| (true, clock)),
        }
    }

    async fn get(&self, path: &[&str]) -> Result<Response, ManagementError> {
        let mut url = self.base.join("api/").map_err(|_| ManagementError::Url)?;
        url.path_segments_mut().map_err(|()| ManagementError::Url)?.pop_if_empty().extend(path);
        Ok(self.client.get(url).send().await.map_err(reqwest::Error::without_url)?)
    }
}

fn accepted(response: Response) -> Result<Response, ManagementError> {
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(ManagementError::Refused(response.status()))
    }
}

/// The server's clock, to the second (RFC 9110, 6.6.1).
pub(crate) fn date(response: &Response) -> Option<SystemTime> {
    httpdate::parse_http_date(response.headers().get("date")?.to_str().ok()?).ok()
}
