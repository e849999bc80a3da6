//! Fetches pictures by URL, from hosts that the operator allows, through the SSRF guard.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::{BusyCause, Fault};
use bytes::{Bytes, BytesMut};
use faceline_shared::settings::HostPattern;
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::connect::{ConnectError, Connector, system_tls, tls};
use super::guard::AddressGuard;
use super::metrics::FetchMetrics;
use super::resolve::{Resolve, SystemResolver};

/// Accepted media types besides `image/*`: object stores send them for files of unknown type.
const UNSPECIFIC_TYPES: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

/// Reserves memory for a number of additional bytes, or refuses.
pub type ReserveBytes<'a> = &'a mut (dyn FnMut(usize) -> Result<(), Fault> + Send);

/// Reason why the gateway refuses to fetch a URL.
#[derive(Debug, thiserror::Error)]
pub enum UrlRefusal {
    /// The operator allows no host.
    #[error("URL input is off")]
    Off,
    /// The scheme is neither http nor https.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// The URL contains credentials, which the gateway does not forward.
    #[error("it has a user or a password in it")]
    Credentials,
    /// The host or the port is not allowed.
    #[error("the host is not allowed")]
    Host,
    /// An https URL redirects to an http URL.
    #[error("it is redirected from https to http")]
    Downgrade,
    /// The SSRF guard refuses an address of the host ([`ConnectError::Address`]).
    #[error(transparent)]
    Address(ConnectError),
}

/// Reason why a fetch yields no picture.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailure {
    /// There is no connection.
    #[error(transparent)]
    Connect(ConnectError),
    /// The server closed the connection or does not speak HTTP.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The timeout passed.
    #[error("it did not come in time")]
    TooSlow,
    /// The response's status is not 200.
    #[error("the status is {0}")]
    Status(StatusCode),
    /// A redirect has no valid `Location`.
    #[error("a redirection without a URL")]
    Location,
    /// There are more redirects than allowed.
    #[error("too many redirections")]
    Redirects,
    /// The media type is not that of a picture.
    #[error("the content's type is {0}")]
    Type(String),
    /// The response is compressed, although the request did not accept that.
    #[error("the content is encoded")]
    Encoding,
    /// The URL cannot be expressed as an HTTP request.
    #[error("no request can be made of it: {0}")]
    Request(#[from] http::Error),
}

/// Reason why nothing was fetched, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The text is not a URL.
    #[error("not a URL: {0}")]
    Form(#[from] url::ParseError),
    /// The gateway refuses the URL.
    #[error(transparent)]
    Refused(#[from] UrlRefusal),
    /// The URL yields no picture.
    #[error(transparent)]
    Unusable(#[from] FetchFailure),
    /// The picture exceeds the size limit.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// No memory can be reserved for the picture, or too many fetches are in progress.
    #[error(transparent)]
    Busy(Fault),
}

impl FetchError {
    fn label(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::Refused(_) => "refused",
            Self::Unusable(FetchFailure::TooSlow) => "too_slow",
            Self::Unusable(_) => "unusable",
            Self::TooLarge { .. } => "too_large",
            Self::Busy(_) => "busy",
        }
    }
}

impl From<ConnectError> for FetchError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Address(_) => Self::Refused(UrlRefusal::Address(error)),
            _ => Self::Unusable(FetchFailure::Connect(error)),
        }
    }
}

/// Fetches pictures by URL.
pub struct Fetcher {
    hosts: Vec<HostPattern>,
    connector: Connector,
    /// Maximum size of a picture, in bytes.
    max_bytes: usize,
    timeout: Duration,
    max_redirects: usize,
    /// Bounds the fetches in progress.
    permits: Semaphore,
    metrics: FetchMetrics,
}

impl Fetcher {
    /// A fetcher with the settings of `config` and the system's resolver and certificates.
    ///
    /// # Errors
    /// The cryptography provider supports none of the default TLS versions.
    pub fn new(config: &Settings, metrics: &Metrics) -> Result<Self, rustls::Error> {
        let tls = if config.url_input.hosts.is_empty() { tls(RootCertStore::empty()) } else { system_tls() };
        Ok(Self::over(config, Arc::new(SystemResolver), tls?, metrics))
    }

    /// Like [`Fetcher::new`], with another resolver and other certificates.
    #[must_use]
    pub fn over(config: &Settings, resolver: Arc<dyn Resolve>, tls: ClientConfig, metrics: &Metrics) -> Self {
        let settings = &config.url_input;
        let guard = AddressGuard::new(settings.private_hosts.clone(), settings.allowed_networks.clone());
        Self {
            hosts: settings.hosts.clone(),
            connector: Connector::new(guard, resolver, tls),
            max_bytes: settings.max_bytes.min(config.limits.picture_bytes),
            timeout: settings.timeout.min(config.jobs.deadline),
            max_redirects: settings.max_redirects,
            permits: Semaphore::new(settings.concurrency),
            metrics: FetchMetrics::new(metrics),
        }
    }

    /// Fetches the file at `url`. Calls `reserve` before each piece is kept in memory.
    ///
    /// # Errors
    /// See the variants of [`FetchError`].
    pub async fn fetch(&self, url: &str, reserve: ReserveBytes<'_>) -> Result<Bytes, FetchError> {
        let started = Instant::now();
        let result = self.fetch_by(url, started + self.timeout, reserve).await;
        let outcome = result.as_ref().map_or_else(FetchError::label, |_| "ok");
        self.metrics.fetched(started.into_std(), outcome);
        result
    }

    async fn fetch_by(
        &self,
        url: &str,
        deadline: Instant,
        reserve: ReserveBytes<'_>,
    ) -> Result<Bytes, FetchError> {
        let url = Url::parse(url)?;
        self.check_url(&url)?;
        // Refuses instead of waiting: a waiting request would hold memory that others wait for (deadlock).
        let _permit = self
            .permits
            .try_acquire()
            .map_err(|_| FetchError::Busy(Fault::busy(BusyCause::InFlight, self.timeout)))?;
        match timeout_at(deadline, self.follow(url, deadline, reserve)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Unusable(FetchFailure::TooSlow)),
        }
    }

    /// Requests the URL and follows redirects. Each redirect passes the same checks as the first URL.
    async fn follow(
        &self,
        mut url: Url,
        deadline: Instant,
        reserve: ReserveBytes<'_>,
    ) -> Result<Bytes, FetchError> {
        for _ in 0..=self.max_redirects {
            let mut connection = self.connector.connect(&url, deadline).await?;
            let request = request(&url).map_err(FetchFailure::from)?;
            let response = connection.send(request).await.map_err(FetchFailure::from)?;
            if !is_redirect(response.status()) {
                return self.read(response, reserve).await;
            }
            let next = location(response.headers())
                .and_then(|location| url.join(location).ok())
                .ok_or(FetchFailure::Location)?;
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(UrlRefusal::Downgrade.into());
            }
            self.check_url(&next)?;
            url = next;
        }
        Err(FetchFailure::Redirects.into())
    }

    /// Checks scheme, credentials and host of a URL. The connector checks its addresses.
    fn check_url(&self, url: &Url) -> Result<(), UrlRefusal> {
        if self.hosts.is_empty() {
            return Err(UrlRefusal::Off);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlRefusal::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefusal::Credentials);
        }
        if !self.hosts.iter().any(|host| host.matches(url)) {
            return Err(UrlRefusal::Host);
        }
        Ok(())
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        reserve: ReserveBytes<'_>,
    ) -> Result<Bytes, FetchError> {
        if response.status() != StatusCode::OK {
            return Err(FetchFailure::Status(response.status()).into());
        }
        let headers = response.headers();
        check_picture_headers(headers)?;
        let too_large = || FetchError::TooLarge { limit: self.max_bytes };
        let declared = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if declared.is_some_and(|length| length > self.max_bytes as u64) {
            return Err(too_large());
        }
        let mut body = response.into_body();
        let mut file = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // Ignores trailers.
            let Ok(piece) = frame.map_err(FetchFailure::from)?.into_data() else { continue };
            if file.len() + piece.len() > self.max_bytes {
                return Err(too_large());
            }
            reserve(piece.len()).map_err(FetchError::Busy)?;
            file.extend_from_slice(&piece);
        }
        Ok(file.freeze())
    }
}

fn request(url: &Url) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, concat!("faceline/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "image/*")
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close")
        .body(Full::default())
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(headers: &HeaderMap) -> Option<&str> {
    text(headers, &LOCATION)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn check_picture_headers(headers: &HeaderMap) -> Result<(), FetchFailure> {
    if text(headers, &CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(FetchFailure::Encoding);
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let value = String::from_utf8_lossy(value.as_bytes());
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind.starts_with("image/") || UNSPECIFIC_TYPES.contains(&&*kind) {
        return Ok(());
    }
    Err(FetchFailure::Type(kind))
}
