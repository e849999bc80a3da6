//! Settings: embedded defaults, then a TOML file, then `FACELINE_SECTION__KEY` from the environment, then flags.
//!
//! Everything is typed, unknown keys are errors, and the whole is validated before anything starts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::broker::BrokerSettings;
use crate::host::HostPattern;
use crate::liveness::SecurityLevel;
use crate::network::Network;
use crate::redact::without_password;

/// Exit code of a program whose settings are wrong (`EX_USAGE` of sysexits.h).
pub const EXIT_BAD_CONFIG: u8 = 64;

/// All settings of all programs; one file serves gateway, worker and standalone.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder for what has to survive a restart: keys, embedded stores.
    pub data_dir: PathBuf,
    /// The public listener.
    pub http: Http,
    /// The operators' listener.
    pub admin: Admin,
    /// The broker.
    pub broker: BrokerSettings,
    /// Where sessions are kept.
    pub store: Store,
    /// Bounds of sessions.
    pub sessions: Sessions,
    /// Pictures on their way to a worker.
    pub blobs: Blobs,
    /// Pictures and videos that are kept.
    pub objects: Objects,
    /// Models and ONNX Runtime.
    pub models: Models,
    /// Keys for everything that is sealed.
    pub keys: Keys,
    /// Keys that sign answers.
    pub signing: Signing,
    /// Who may call.
    pub accounts: Accounts,
    /// What callers are billed by.
    pub usage: Usage,
    /// What counts as a face.
    pub face: Face,
    /// What is wrong with a live picture.
    pub findings: Findings,
    /// What counts as live.
    pub liveness: Liveness,
    /// Pictures that callers name instead of sending them.
    pub url_input: UrlInput,
    /// Bounds on what callers may ask for.
    pub limits: Limits,
    /// Time limits of jobs.
    pub jobs: Jobs,
    /// How models are run.
    pub inference: Inference,
    /// When a job is refused because of others.
    pub admission: Admission,
    /// What is logged, and how.
    pub log: Log,
}

/// The public listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// Connections at the same time, as far as the process may have files open. For one more, the connection that
    /// has been idle longest is closed; where all are busy, it waits for the first that is not.
    pub max_connections: usize,
    /// A connection that has not sent its request's headers by then is closed.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// A connection on which no request is under way is closed after this, whether its caller is silent, sends
    /// HTTP/2 pings, or does not read its answers. (HTTP/1.1 waits no longer than `header_timeout` for the next
    /// request.)
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// A body that makes no progress for so long is given up.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Size of a request's headers, in bytes.
    pub max_header_bytes: usize,
    /// HTTP/2 requests at the same time on one connection.
    pub max_streams: u32,
    /// A connection that is older than this (give or take a tenth) takes no more requests, so that callers open new ones
    /// and find gateways that have come since. What is under way on it is answered.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// Origins (`https://app.example`) whose pages may call from a browser; none where nothing is set.
    pub cors_origins: Vec<String>,
    /// The listener speaks TLS where this is set.
    pub tls: Option<Tls>,
    /// Whether the description of the API is served, and a page on which it can be tried; where nothing is set, on a
    /// loopback listener only.
    pub docs: Option<bool>,
}

impl Http {
    /// Whether the description of the API is served.
    #[must_use]
    pub fn has_docs(&self) -> bool {
        self.docs.unwrap_or_else(|| self.listen.ip().is_loopback())
    }
}

/// Certificate of the public listener. Both files are read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file of the certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file of its key: PKCS #8, PKCS #1 or SEC1, not encrypted.
    pub key: PathBuf,
}

/// The operators' listener: /livez, /readyz, /metrics.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port; 127.0.0.1:9090, or 9091 for a worker, where nothing is set.
    pub listen: Option<SocketAddr>,
}

/// Where sessions are kept.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `embedded:` or `redis://…`.
    pub url: String,
}

/// Bounds of sessions.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Time to live of a session whose caller names none.
    #[serde(with = "humantime_serde")]
    pub default_ttl: Duration,
    /// The longest that a caller may name.
    #[serde(with = "humantime_serde")]
    pub max_ttl: Duration,
    /// Faces that a session may have.
    pub most_faces: usize,
}

/// Where pictures wait for a worker.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// `embedded:` or `redis://…`; as `store.url` where nothing is set.
    pub url: Option<String>,
}

/// Where pictures and videos are kept.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objects {
    /// `file:///…` or `s3://bucket/folder`; the folder `objects` of `data_dir` where nothing is set.
    pub url: Option<String>,
    /// Region of the bucket; that of the environment, or us-east-1, where nothing is set.
    pub region: Option<String>,
    /// Where S3 is, for servers that are not Amazon's. Only `http://…` is spoken to without TLS.
    pub endpoint: Option<String>,
    /// With `secret_access_key`; the usual credentials of the environment, the container or the machine where neither
    /// is set.
    pub access_key_id: Option<String>,
    /// With `access_key_id`.
    pub secret_access_key: Option<String>,
}

/// Models and ONNX Runtime.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Folder that `faceline-models fetch` fills.
    pub dir: PathBuf,
}

/// Keys for everything that is sealed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The key file that all gateways and workers share; `keys.toml` in `data_dir`, made at the first start,
    /// where nothing is set.
    pub file: Option<PathBuf>,
}

/// How answers are signed (JWS, RFC 7515).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signing {
    /// The key file that all gateways share; `signing.toml` in `data_dir`, made at the first start, where nothing is
    /// set.
    pub file: Option<PathBuf>,
    /// What a signature is made with.
    pub algorithm: SigningAlgorithm,
}

/// Names of RFC 7518, 3.1.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl SigningAlgorithm {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// Who may call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// The accounts file; the demo account, on a loopback listener only, where nothing is set.
    pub file: Option<PathBuf>,
}

/// What callers are billed by.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// How long records are kept, in whole days.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// How often records are moved to the object store. Until then an export does not have them.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
}

/// What counts as a face.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Face {
    /// Name of the algorithm that the workers run: the `mode` of answers. A worker whose models are others does
    /// not start.
    pub algorithm: String,
    /// Version of the templates that it makes.
    pub template_version: u32,
    /// A second face counts from this part of the largest one's eye distance on.
    pub second_face_ratio: f32,
    /// The same in a photo that live pictures are compared with: documents show a small ghost of their portrait.
    pub second_portrait_ratio: f32,
}

/// From where on a live picture is not judged. Lengths of a face are given in distances of its eyes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Findings {
    /// Cropped: brows, cheeks or mouth come nearer to the picture's border than this; negative where they may lie beyond.
    pub cropped_margin: f32,
    /// Cropped: the detector's box ends at the lower border and is less high over its width; 1.4 is the usual face's.
    pub cropped_aspect: f32,
    /// Close to the border: as for `cropped_margin`.
    pub least_margin: f32,
    /// Too close: the eyes are further apart than this part of the picture's shorter side.
    pub most_eye_part: f32,
    /// Too small: the eyes are fewer pixels apart.
    pub least_eye_distance: f32,
    /// Too small: the eyes are nearer to each other than this part of the picture's longer side.
    pub least_eye_part: f32,
    /// Turned away: more degrees to a side.
    pub most_yaw: f32,
    /// Turned away: more degrees up or down.
    pub most_pitch: f32,
    /// Covered: the likeness, up to 1, of the face and of the same face whose lower half was painted over, and twice what
    /// landmarks stray, are together above this (masks).
    pub most_cover: f32,
    /// Covered: the natural logarithm of the cheeks' brightness over the eyes' is above this (dark glasses).
    pub most_eye_shade: f32,
    /// Covered: the quality, from -500 to 300, is below this although nothing else is wrong.
    pub least_quality: f32,
    /// Too dark: the mean luma, 0 to 255, is below this.
    pub least_luminance: f32,
    /// Too bright: the mean luma is above this.
    pub most_luminance: f32,
    /// Too bright: a larger share of the face, 0 to 1, is white.
    pub most_white: f32,
    /// Without contrast: luma's 5th and 95th percentile are fewer levels apart.
    pub least_contrast: f32,
    /// Blurred: fine gradients over coarse ones are below this; 0.25 is a blur, 0.33 the usual face.
    pub least_sharpness: f32,
}

/// What counts as live.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Liveness {
    /// How sure BWS is before it says live. Callers of Face Liveness get the score and judge by themselves.
    pub security_level: SecurityLevel,
}

/// Pictures that callers name by a URL, and the gateway fetches. Off until hosts are allowed.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UrlInput {
    /// Where pictures may be: `pictures.example`, `*.pictures.example`, `pictures.example:8443`.
    pub hosts: Vec<HostPattern>,
    /// Of these, hosts whose addresses may be private ones (RFC 1918, 4193 and 6598).
    pub private_hosts: Vec<HostPattern>,
    /// Addresses that may be called whatever they are, as networks.
    pub allowed_networks: Vec<Network>,
    /// Size of a picture, in bytes, where `limits.picture_bytes` is not smaller.
    pub max_bytes: usize,
    /// A picture is there by then, with all redirections; `jobs.deadline` holds besides.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Redirections that are followed for one picture.
    pub max_redirects: usize,
    /// Pictures that a gateway fetches at the same time.
    pub concurrency: usize,
}

/// Bounds on what callers may ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Size of one picture's file, in bytes.
    pub picture_bytes: usize,
    /// Width times height of a picture.
    pub picture_pixels: u64,
    /// Time that decoding one picture may take.
    #[serde(with = "humantime_serde")]
    pub decode_time: Duration,
    /// Bodies and blobs that a gateway holds at the same time, in bytes.
    pub inflight_bytes: usize,
    /// Jobs that a gateway has at the broker at the same time.
    pub inflight_jobs: usize,
    /// Part of `inflight_jobs` and `inflight_bytes` that one client may take.
    pub client_share: f64,
    /// Requests a second of a key that has no rate of its own.
    pub requests_per_second: u32,
    /// Requests that such a key may send at once.
    pub burst: u32,
    /// Time that Redis has to say whether a key's rate lets a request in; after that each gateway decides for itself until
    /// Redis is back.
    #[serde(with = "humantime_serde")]
    pub rate_check_time: Duration,
    /// Wrong credentials a minute that are looked at from one address (of IPv6, one /64).
    pub failed_logins: u32,
}

/// Time limits of jobs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// A caller who waits has an answer by then.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// A worker finishes what it has started for so long after it was told to stop.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

/// How models are run.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inference {
    /// `cpu`, `cuda:N` or `tensorrt:N`.
    pub device: String,
    /// Threads that run models; as many as there are cores where it is 0.
    pub sessions: usize,
}

/// When a job is refused because of others.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admission {
    /// Time in the queue above which fewer jobs are let in.
    #[serde(with = "humantime_serde")]
    pub target_wait: Duration,
    /// Nobody is told to come again later than this; in whole seconds. Callers who find no room until then are not
    /// expected when they come: what is promised must be done by then.
    #[serde(with = "humantime_serde")]
    pub longest_retry_after: Duration,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Form of the lines.
    pub format: LogFormat,
    /// Directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: user_folder("XDG_DATA_HOME", ".local/share").join("faceline"),
            http: Http::default(),
            admin: Admin::default(),
            broker: BrokerSettings::default(),
            store: Store::default(),
            sessions: Sessions::default(),
            blobs: Blobs::default(),
            objects: Objects::default(),
            models: Models::default(),
            keys: Keys::default(),
            signing: Signing::default(),
            accounts: Accounts::default(),
            usage: Usage::default(),
            face: Face::default(),
            findings: Findings::default(),
            liveness: Liveness::default(),
            url_input: UrlInput::default(),
            limits: Limits::default(),
            jobs: Jobs::default(),
            inference: Inference::default(),
            admission: Admission::default(),
            log: Log::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(15),
            max_header_bytes: 16 * 1024,
            max_streams: 256,
            max_connection_age: Duration::from_mins(10),
            cors_origins: vec![],
            tls: None,
            docs: None,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "embedded:".into() }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { default_ttl: Duration::from_mins(30), max_ttl: Duration::from_hours(24), most_faces: 250 }
    }
}

impl Default for Models {
    fn default() -> Self {
        Self { dir: user_folder("XDG_CACHE_HOME", ".cache").join("faceline/models") }
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self { retention: Duration::from_hours(400 * 24), interval: Duration::from_secs(30) }
    }
}

impl Default for Face {
    fn default() -> Self {
        Self {
            algorithm: "FL1_512".into(),
            template_version: 1,
            second_face_ratio: 0.5,
            second_portrait_ratio: 0.75,
        }
    }
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            cropped_margin: -0.1,
            cropped_aspect: 1.05,
            least_margin: 0.1,
            most_eye_part: 0.4,
            least_eye_distance: 16.0,
            least_eye_part: 0.015,
            most_yaw: 41.0,
            most_pitch: 42.0,
            most_cover: 0.84,
            most_eye_shade: 1.9,
            least_quality: -300.0,
            least_luminance: 45.0,
            most_luminance: 225.0,
            most_white: 0.4,
            least_contrast: 35.0,
            least_sharpness: 0.284,
        }
    }
}

impl Default for UrlInput {
    fn default() -> Self {
        Self {
            hosts: vec![],
            private_hosts: vec![],
            allowed_networks: vec![],
            max_bytes: 32 << 20,
            timeout: Duration::from_secs(5),
            max_redirects: 3,
            concurrency: 16,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            picture_bytes: 32 << 20,
            picture_pixels: 50_000_000,
            decode_time: Duration::from_secs(5),
            inflight_bytes: 512 << 20,
            inflight_jobs: 256,
            client_share: 0.5,
            requests_per_second: 1000,
            burst: 1000,
            rate_check_time: Duration::from_millis(100),
            failed_logins: 20,
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), drain: Duration::from_secs(25) }
    }
}

impl Default for Inference {
    fn default() -> Self {
        Self { device: "cpu".into(), sessions: 0 }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self { target_wait: Duration::from_millis(500), longest_retry_after: Duration::from_secs(30) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info,lapin=error".into() }
    }
}

/// Addresses may hold passwords, which no log is to show.
macro_rules! debug_without_password {
    ($($section:ident => $url:expr),* $(,)?) => {$(
        impl std::fmt::Debug for $section {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let url: fn(&Self) -> Option<&str> = $url;
                formatter
                    .debug_struct(stringify!($section))
                    .field("url", &url(self).map(without_password))
                    .finish()
            }
        }
    )*};
}

debug_without_password! {
    Store => |store| Some(&store.url),
    Blobs => |blobs| blobs.url.as_deref(),
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, region, endpoint, access_key_id, secret_access_key } = self;
        formatter
            .debug_struct("Objects")
            .field("url", &url.as_deref().map(without_password))
            .field("region", region)
            .field("endpoint", &endpoint.as_deref().map(without_password))
            .field("access_key_id", &access_key_id.as_ref().map(|_| "…"))
            .field("secret_access_key", &secret_access_key.as_ref().map(|_| "…"))
            .finish()
    }
}

/// Why a program does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value has the wrong form, or a key is not known.
    #[error("{0}")]
    Form(Box<figment::Error>),
    /// The file is not there.
    #[error("there is no settings file {0}")]
    NoFile(PathBuf),
    /// A flag is not `section.key=value`.
    #[error("`--set {0}`: expected section.key=value")]
    Flag(String),
    /// Values that do not go together.
    #[error("{0}")]
    Invalid(String),
}

/// Where settings come from besides the defaults.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Sources {
    /// Settings file (TOML)
    #[arg(long = "config", value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// A single setting, such as http.listen=127.0.0.1:8080; wins over file and environment
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", global = true)]
    pub flags: Vec<String>,
}

impl Config {
    /// Reads and validates the settings of this process.
    ///
    /// # Errors
    /// The first thing that is wrong, in words for the operator.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::from_figment(sources, Env::prefixed("FACELINE_").split("__"))
    }

    fn from_figment(sources: &Sources, environment: impl figment::Provider) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(file) = &sources.file {
            if !file.is_file() {
                return Err(ConfigError::NoFile(file.clone()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment.merge(environment);
        for flag in &sources.flags {
            let (key, value) = flag.split_once('=').ok_or_else(|| ConfigError::Flag(flag.clone()))?;
            // The same reading of values as in the environment: a number, a boolean, or else a text.
            let value: figment::value::Value = value.parse().unwrap_or_else(|_| value.into());
            figment = figment.merge((key, value));
        }
        let config: Self = figment.extract().map_err(|error| ConfigError::Form(Box::new(error)))?;
        config.validate()?;
        Ok(config)
    }

    /// The blob store's address.
    #[must_use]
    pub fn blobs_url(&self) -> &str {
        self.blobs.url.as_deref().unwrap_or(&self.store.url)
    }

    /// Whether the broker lives in this process.
    #[must_use]
    pub fn broker_is_embedded(&self) -> bool {
        self.broker.url.starts_with("embedded:")
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |text: String| Err(ConfigError::Invalid(text));
        if let Some(wrong) = self.http.cors_origins.iter().find(|origin| !is_origin(origin)) {
            return invalid(format!(
                "http.cors_origins: `{wrong}` is no origin; expected scheme, host and maybe port, as in https://app.example"
            ));
        }
        for (key, url) in [("store.url", self.store.url.as_str()), ("blobs.url", self.blobs_url())] {
            if url.starts_with("embedded:") {
                if !self.broker_is_embedded() {
                    return invalid(format!(
                        "{key} is `embedded:` while broker.url leads to other processes, which would not see it; \
                         use redis://…"
                    ));
                }
            } else if !url.starts_with("redis://") && !url.starts_with("rediss://") {
                return invalid(format!("{key} must be `embedded:` or redis://…"));
            }
        }
        if !self.broker_is_embedded()
            && !self.broker.url.starts_with("amqp://")
            && !self.broker.url.starts_with("amqps://")
        {
            return invalid("broker.url must be `embedded:`, amqp://… or amqps://…".into());
        }
        self.objects.validate()?;
        let demo = self.accounts.file.is_none();
        if demo && !self.http.listen.ip().is_loopback() {
            return invalid(format!(
                "http.listen {} can be reached from other machines, and without accounts.file everybody may use \
                 the demo account; name an accounts file or listen on 127.0.0.1",
                self.http.listen
            ));
        }
        if !(self.limits.client_share > 0.0 && self.limits.client_share <= 1.0) {
            return invalid("limits.client_share must be above 0 and at most 1".into());
        }
        if self.limits.inflight_bytes < self.limits.picture_bytes {
            return invalid(
                "limits.inflight_bytes must hold at least one picture (limits.picture_bytes)".into(),
            );
        }
        if self.admission.target_wait.is_zero() || self.admission.longest_retry_after < Duration::from_secs(1)
        {
            return invalid(
                "admission.target_wait must be above 0 and admission.longest_retry_after at least a second"
                    .into(),
            );
        }
        if self.limits.rate_check_time.is_zero() {
            return invalid("limits.rate_check_time must be above 0".into());
        }
        let sessions = &self.sessions;
        if sessions.default_ttl < Duration::from_secs(1) || sessions.max_ttl < sessions.default_ttl {
            return invalid(
                "sessions.default_ttl must be at least a second and at most sessions.max_ttl".into(),
            );
        }
        if self.usage.retention < Duration::from_hours(24) || self.usage.interval.is_zero() {
            return invalid("usage.retention must be at least a day and usage.interval above 0".into());
        }
        let positive = [
            ("sessions.most_faces", self.sessions.most_faces),
            ("limits.picture_bytes", self.limits.picture_bytes),
            ("limits.inflight_jobs", self.limits.inflight_jobs),
            ("url_input.max_bytes", self.url_input.max_bytes),
            ("url_input.timeout", self.url_input.timeout.as_millis() as usize),
            ("url_input.concurrency", self.url_input.concurrency),
            ("limits.requests_per_second", self.limits.requests_per_second as usize),
            ("limits.burst", self.limits.burst as usize),
            ("limits.failed_logins", self.limits.failed_logins as usize),
            ("http.max_connections", self.http.max_connections),
            ("http.max_connection_age", self.http.max_connection_age.as_millis() as usize),
        ];
        for (key, value) in positive {
            if value == 0 {
                return invalid(format!("{key} must be above 0"));
            }
        }
        if !(self.face.second_face_ratio > 0.0 && self.face.second_face_ratio <= 1.0) {
            return invalid("face.second_face_ratio must be above 0 and at most 1".into());
        }
        if !(self.face.second_portrait_ratio > 0.0 && self.face.second_portrait_ratio <= 1.0) {
            return invalid("face.second_portrait_ratio must be above 0 and at most 1".into());
        }
        self.findings.validate()?;
        Ok(())
    }
}

impl Findings {
    fn validate(&self) -> Result<(), ConfigError> {
        let ranges = [
            ("cropped_margin", self.cropped_margin, -1.0..=1.0),
            ("cropped_aspect", self.cropped_aspect, 0.0..=2.0),
            ("least_margin", self.least_margin, self.cropped_margin.max(-1.0)..=1.0),
            ("most_eye_part", self.most_eye_part, 0.0..=1.0),
            ("least_eye_distance", self.least_eye_distance, 0.0..=1000.0),
            ("least_eye_part", self.least_eye_part, 0.0..=1.0),
            ("most_yaw", self.most_yaw, 0.0..=90.0),
            ("most_pitch", self.most_pitch, 0.0..=90.0),
            ("most_cover", self.most_cover, 0.0..=2.0),
            ("most_eye_shade", self.most_eye_shade, 0.0..=6.0),
            ("least_quality", self.least_quality, -500.0..=300.0),
            ("least_luminance", self.least_luminance, 0.0..=255.0),
            ("most_luminance", self.most_luminance, 0.0..=255.0),
            ("most_white", self.most_white, 0.0..=1.0),
            ("least_contrast", self.least_contrast, 0.0..=255.0),
            ("least_sharpness", self.least_sharpness, 0.0..=1.0),
        ];
        match ranges.into_iter().find(|(_, value, range)| !range.contains(value)) {
            Some((key, _, range)) => Err(ConfigError::Invalid(format!(
                "findings.{key} must be from {} to {}",
                range.start(),
                range.end()
            ))),
            None => Ok(()),
        }
    }
}

impl Objects {
    fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |text: &str| Err(ConfigError::Invalid(text.to_owned()));
        let url = self.url.as_deref().unwrap_or("file:///");
        if !url.starts_with("file:///") && !url.starts_with("s3://") {
            return invalid("objects.url must be file:///… or s3://bucket/folder");
        }
        let for_s3 = [&self.region, &self.endpoint, &self.access_key_id, &self.secret_access_key];
        if !url.starts_with("s3://") && for_s3.iter().any(|value| value.is_some()) {
            return invalid(
                "objects.region, endpoint, access_key_id and secret_access_key are for s3://… only",
            );
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return invalid("objects.access_key_id and objects.secret_access_key need each other");
        }
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("https://")
            && !endpoint.starts_with("http://")
        {
            return invalid("objects.endpoint must be https://… or http://…");
        }
        Ok(())
    }
}

/// A folder of the user as the XDG base directory specification has it.
fn user_folder(variable: &str, below_home: &str) -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "these two are the system's, and only defaults are made of them"
    )]
    let of = |name: &str| std::env::var(name).ok().filter(|value| Path::new(value).is_absolute());
    match (of(variable), of("HOME")) {
        (Some(folder), _) => folder.into(),
        (None, Some(home)) => Path::new(&home).join(below_home),
        (None, None) => std::env::temp_dir(),
    }
}

/// Whether a text is an origin as browsers send it (RFC 6454, 6.2): nothing but scheme, host and a port that is not the
/// scheme's own.
fn is_origin(text: &str) -> bool {
    // A star stands for nothing: every origin is named.
    !text.contains('*')
        && Url::parse(text)
            .is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use figment::providers::Serialized;
    use figment::value::Dict;

    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigError> {
        let mut figment = Figment::new().merge(Toml::string(toml));
        for (key, value) in environment {
            figment = figment.merge(Serialized::default(key, value));
        }
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Config::from_figment(&Sources { file: None, flags }, figment)
    }

    fn message(result: Result<Config, ConfigError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = Config::from_figment(&Sources::default(), Serialized::defaults(Dict::new())).unwrap();
        assert_eq!(config.http.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.blobs_url(), "embedded:");
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let toml = "[jobs]\ndeadline = '1s'\n[http]\nlisten = '127.0.0.1:1'";
        let from_file = load(toml, &[], &[]).unwrap();
        assert_eq!(from_file.jobs.deadline, Duration::from_secs(1));
        let from_environment = load(toml, &[("jobs.deadline", "2s")], &[]).unwrap();
        assert_eq!(from_environment.jobs.deadline, Duration::from_secs(2));
        let from_flag = load(toml, &[("jobs.deadline", "2s")], &["jobs.deadline=3s"]).unwrap();
        assert_eq!(from_flag.jobs.deadline, Duration::from_secs(3));
        assert_eq!(from_flag.http.listen.port(), 1);
    }

    #[test]
    fn a_flag_may_be_a_number_or_a_text() {
        let config = load("", &[], &["limits.burst=7", "http.listen=127.0.0.1:9999"]).unwrap();
        assert_eq!((config.limits.burst, config.http.listen.port()), (7, 9999));
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(message(load("[http]\nlisten_on = '127.0.0.1:1'", &[], &[])).contains("listen_on"));
        assert!(message(load("", &[], &["nothing.at_all=1"])).contains("nothing"));
    }

    #[test]
    fn the_demo_account_is_for_loopback_listeners_only() {
        assert!(message(load("", &[], &["http.listen=0.0.0.0:8080"])).contains("demo account"));
        assert!(load("", &[], &["http.listen=0.0.0.0:8080", "accounts.file=/etc/accounts.toml"]).is_ok());
        assert!(load("", &[], &["http.listen=127.0.0.2:8080"]).is_ok());
    }

    #[test]
    fn a_broker_elsewhere_needs_a_store_elsewhere() {
        let amqp = "broker.url=amqp://localhost";
        assert!(message(load("", &[], &[amqp])).contains("store.url"));
        assert!(
            message(load("", &[], &[amqp, "store.url=redis://localhost", "blobs.url=embedded:"]))
                .contains("blobs.url")
        );
        assert!(load("", &[], &[amqp, "store.url=redis://localhost"]).is_ok());
    }

    #[test]
    fn answers_are_signed_with_one_of_two_algorithms() {
        assert_eq!(load("", &[], &[]).unwrap().signing.algorithm, SigningAlgorithm::Es256);
        let chosen = load("[signing]\nalgorithm = 'RS256'", &[], &[]).unwrap();
        assert_eq!(chosen.signing.algorithm, SigningAlgorithm::Rs256);
        let unknown = message(load("", &[], &["signing.algorithm=none"]));
        assert!(unknown.contains("none") && unknown.contains("ES256"), "{unknown}");
    }

    #[test]
    fn a_bucket_is_described_as_a_whole_or_not_at_all() {
        let bucket = "objects.url=s3://bucket/folder";
        assert!(load("", &[], &[bucket]).is_ok());
        assert!(load("", &[], &["objects.url=file:///srv/faceline"]).is_ok());
        let keys = ["objects.access_key_id=a", "objects.secret_access_key=b"];
        assert!(load("", &[], &[bucket, keys[0], keys[1], "objects.endpoint=http://localhost:9000"]).is_ok());
        for (flags, word) in [
            (&["objects.url=ftp://host"][..], "s3://"),
            (&["objects.url=file://relative"], "file:///"),
            (&[bucket, keys[0]], "need each other"),
            (&[bucket, keys[1]], "need each other"),
            (&keys, "only"),
            (&["objects.region=eu-central-1"], "only"),
            (&[bucket, "objects.endpoint=localhost:9000"], "https://"),
        ] {
            let said = message(load("", &[], flags));
            assert!(said.contains(word), "{flags:?}: {said}");
        }
    }

    #[test]
    fn callers_are_told_to_wait_for_a_second_at_least() {
        let short = message(load("", &[], &["admission.longest_retry_after=900ms"]));
        assert!(short.contains("longest_retry_after"), "{short}");
        assert!(message(load("", &[], &["admission.target_wait=0s"])).contains("target_wait"));
        assert!(load("", &[], &["admission.longest_retry_after=1s"]).is_ok());
    }

    #[test]
    fn hosts_and_networks_of_url_input_are_checked() {
        let toml = "[url_input]\nhosts = ['*.pictures.example', 'localhost:8080']\n\
                    private_hosts = ['localhost:8080']\nallowed_networks = ['127.0.0.0/8']";
        assert_eq!(load(toml, &[], &[]).unwrap().url_input.hosts.len(), 2);
        assert!(load("", &[], &[]).unwrap().url_input.hosts.is_empty());
        for (flag, word) in [
            ("url_input.hosts=['*']", "`*`"),
            ("url_input.allowed_networks=['10.0.0.0/40']", "`10.0.0.0/40`"),
            ("url_input.timeout=0s", "url_input.timeout"),
            ("url_input.concurrency=0", "url_input.concurrency"),
        ] {
            let said = message(load("", &[], &[&flag.replace('\'', "\"")]));
            assert!(said.contains(word), "{flag}: {said}");
        }
    }

    #[test]
    fn sessions_live_no_longer_than_they_may() {
        let long = message(load("", &[], &["sessions.default_ttl=2h", "sessions.max_ttl=1h"]));
        assert!(long.contains("sessions.max_ttl"), "{long}");
        assert!(message(load("", &[], &["sessions.default_ttl=999ms"])).contains("default_ttl"));
        assert!(message(load("", &[], &["sessions.most_faces=0"])).contains("most_faces"));
        assert!(load("", &[], &["sessions.default_ttl=1h", "sessions.max_ttl=1h"]).is_ok());
    }

    #[test]
    fn bounds_of_findings_have_ranges() {
        assert!(load("", &[], &[]).is_ok());
        for wrong in ["findings.most_yaw=91", "findings.least_margin=-0.5", "findings.most_white=1.5"] {
            let key = wrong.split('=').next().unwrap();
            let said = message(load("", &[], &[wrong]));
            assert!(said.contains(key), "{wrong}: {said}");
        }
        let ghost = message(load("", &[], &["face.second_portrait_ratio=0"]));
        assert!(ghost.contains("second_portrait_ratio"), "{ghost}");
    }

    #[test]
    fn debug_output_shows_no_password() {
        let redis = "redis://user:s3cret@host";
        let flags = [
            "broker.url=amqp://user:s3cret@host",
            &format!("store.url={redis}"),
            &format!("blobs.url={redis}"),
            "objects.url=s3://bucket",
            "objects.endpoint=https://user:s3cret@host",
            "objects.access_key_id=s3cret-id",
            "objects.secret_access_key=s3cret-key",
        ];
        let shown = format!("{:?}", load("", &[], &flags).unwrap());
        assert!(shown.contains("host") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let sources = Sources { file: Some("/nowhere/faceline.toml".into()), flags: vec![] };
        assert!(message(Config::load(&sources)).contains("/nowhere/faceline.toml"));
    }

    #[test]
    fn an_origin_is_as_browsers_send_it() {
        for origin in ["https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(origin), "{origin}");
        }
        for wrong in [
            "*",
            "null",
            "app.example",
            "https://app.example/",
            "https://app.example:443",
            "https://APP.example",
            "https://*.example",
            "file:///tmp",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
        let mut config = Config::default();
        config.http.cors_origins = vec!["https://app.example/".into()];
        assert!(config.validate().unwrap_err().to_string().contains("`https://app.example/` is no origin"));
    }
}
