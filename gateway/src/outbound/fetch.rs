//! Fetches pictures from hosts that the operator has allowed.

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

use super::connect::{system_tls, tls};
use super::metrics::FetchMetrics;
use super::{AddressGuard, ConnectError, Connector, Resolve, SystemResolver};

/// Media types of a picture besides `image/*`: those of a store that does not know what it keeps.
const UNKNOWN_TYPES: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

/// Takes room for so many bytes more, or says that there is none.
pub type Room<'a> = &'a mut (dyn FnMut(usize) -> Result<(), Fault> + Send);

/// Why a URL is not followed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No host is allowed.
    #[error("URL input is off")]
    Off,
    /// Only http and https are spoken.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// Credentials would go to whoever is there.
    #[error("it has a user or a password in it")]
    Credentials,
    /// The host, or the port, is not among those that are allowed.
    #[error("the host is not allowed")]
    Host,
    /// An https URL leads to one without TLS.
    #[error("it is redirected from https to http")]
    Downgrade,
    /// As of [`ConnectError::Address`].
    #[error(transparent)]
    Address(ConnectError),
}

/// Why there is no picture at a URL.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Nobody is there.
    #[error(transparent)]
    Connect(ConnectError),
    /// The other side broke off, or speaks no HTTP.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// It took too long.
    #[error("it did not come in time")]
    TooSlow,
    /// The answer's status is another one than 200.
    #[error("the status is {0}")]
    Status(StatusCode),
    /// A redirection leads nowhere.
    #[error("a redirection without a URL")]
    Location,
    /// One redirection more than is allowed.
    #[error("too many redirections")]
    Redirects,
    /// Something else than a picture.
    #[error("the content's type is {0}")]
    Type(String),
    /// The content is compressed, which nobody asked for.
    #[error("the content is encoded")]
    Encoding,
    /// The URL cannot be asked for.
    #[error("no request can be made of it: {0}")]
    Request(#[from] http::Error),
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The text is no URL.
    #[error("not a URL: {0}")]
    Form(#[from] url::ParseError),
    /// The URL is not followed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no picture.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The picture is longer than it may be.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// There is no room for it, or too much is fetched already.
    #[error(transparent)]
    Busy(Fault),
}

impl FetchError {
    fn label(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::Refused(_) => "refused",
            Self::Unusable(Unusable::TooSlow) => "too_slow",
            Self::Unusable(_) => "unusable",
            Self::TooLarge { .. } => "too_large",
            Self::Busy(_) => "busy",
        }
    }
}

impl From<ConnectError> for FetchError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Address(_) => Self::Refused(Refused::Address(error)),
            _ => Self::Unusable(Unusable::Connect(error)),
        }
    }
}

/// Fetches pictures.
pub struct Fetcher {
    hosts: Vec<HostPattern>,
    connector: Connector,
    limit: usize,
    timeout: Duration,
    max_redirects: usize,
    places: Semaphore,
    metrics: FetchMetrics,
}

impl Fetcher {
    /// A fetcher as `config` has it, with the system's resolver and certificates.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(config: &Settings, metrics: &Metrics) -> Result<Self, rustls::Error> {
        let tls = if config.url_input.hosts.is_empty() { tls(RootCertStore::empty()) } else { system_tls() };
        Ok(Self::over(config, Arc::new(SystemResolver), tls?, metrics))
    }

    /// The same with another resolver and other certificates.
    #[must_use]
    pub fn over(config: &Settings, resolver: Arc<dyn Resolve>, tls: ClientConfig, metrics: &Metrics) -> Self {
        let settings = &config.url_input;
        let guard = AddressGuard::new(settings.private_hosts.clone(), settings.allowed_networks.clone());
        Self {
            hosts: settings.hosts.clone(),
            connector: Connector::new(guard, resolver, tls),
            limit: settings.max_bytes.min(config.limits.picture_bytes),
            timeout: settings.timeout.min(config.jobs.deadline),
            max_redirects: settings.max_redirects,
            places: Semaphore::new(settings.concurrency),
            metrics: FetchMetrics::new(metrics),
        }
    }

    /// The file at a URL, for which `room` has room.
    ///
    /// # Errors
    /// The URL is not followed, nothing that can be used is there, or there is no room.
    pub async fn fetch(&self, url: &str, room: Room<'_>) -> Result<Bytes, FetchError> {
        let started = Instant::now();
        let result = self.fetch_by(url, started + self.timeout, room).await;
        let outcome = result.as_ref().map_or_else(FetchError::label, |_| "ok");
        self.metrics.fetched(started.into_std(), outcome);
        result
    }

    async fn fetch_by(&self, url: &str, deadline: Instant, room: Room<'_>) -> Result<Bytes, FetchError> {
        let url = Url::parse(url)?;
        self.require(&url)?;
        // Refused, never waited for: whoever waited would hold room that others wait for.
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| FetchError::Busy(Fault::busy(BusyCause::InFlight, self.timeout)))?;
        match timeout_at(deadline, self.follow(url, deadline, room)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Unusable(Unusable::TooSlow)),
        }
    }

    /// Follows redirections, each of which is looked at as the first URL was.
    async fn follow(&self, mut url: Url, deadline: Instant, room: Room<'_>) -> Result<Bytes, FetchError> {
        for _ in 0..=self.max_redirects {
            let mut connection = self.connector.connect(&url, deadline).await?;
            let request = request(&url).map_err(Unusable::from)?;
            let response = connection.send(request).await.map_err(Unusable::from)?;
            if !is_redirection(response.status()) {
                return self.read(response, room).await;
            }
            let next = location(response.headers())
                .and_then(|location| url.join(location).ok())
                .ok_or(Unusable::Location)?;
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(Refused::Downgrade.into());
            }
            self.require(&next)?;
            url = next;
        }
        Err(Unusable::Redirects.into())
    }

    /// Whether a URL may be followed, as far as it says itself.
    fn require(&self, url: &Url) -> Result<(), Refused> {
        if self.hosts.is_empty() {
            return Err(Refused::Off);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        if !self.hosts.iter().any(|host| host.matches(url)) {
            return Err(Refused::Host);
        }
        Ok(())
    }

    async fn read(&self, response: Response<Incoming>, room: Room<'_>) -> Result<Bytes, FetchError> {
        if response.status() != StatusCode::OK {
            return Err(Unusable::Status(response.status()).into());
        }
        let headers = response.headers();
        require_picture(headers)?;
        let too_large = || FetchError::TooLarge { limit: self.limit };
        let declared = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if declared.is_some_and(|length| length > self.limit as u64) {
            return Err(too_large());
        }
        let mut body = response.into_body();
        let mut file = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // Trailers say nothing here.
            let Ok(piece) = frame.map_err(Unusable::from)?.into_data() else { continue };
            if file.len() + piece.len() > self.limit {
                return Err(too_large());
            }
            room(piece.len()).map_err(FetchError::Busy)?;
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

fn is_redirection(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(headers: &HeaderMap) -> Option<&str> {
    text(headers, &LOCATION)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn require_picture(headers: &HeaderMap) -> Result<(), Unusable> {
    if text(headers, &CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Unusable::Encoding);
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let value = String::from_utf8_lossy(value.as_bytes());
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind.starts_with("image/") || UNKNOWN_TYPES.contains(&&*kind) {
        return Ok(());
    }
    Err(Unusable::Type(kind))
}
