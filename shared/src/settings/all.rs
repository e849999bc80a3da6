//! All settings of a program, and the checks that concern more than one section.

use std::path::PathBuf;

use serde::Deserialize;

use super::accounts::AccountSettings;
use super::admin::AdminSettings;
use super::admission::AdmissionSettings;
use super::blobs::BlobSettings;
use super::broker::BrokerSettings;
use super::callbacks::CallbackSettings;
use super::capture::{CaptureRules, CaptureSettings};
use super::client_tls::ClientTls;
use super::error::{SettingsError, invalid};
use super::exports::ExportSettings;
use super::face::FaceSettings;
use super::findings::FindingSettings;
use super::http::HttpSettings;
use super::inference::InferenceSettings;
use super::jobs::JobSettings;
use super::keys::KeySettings;
use super::limits::LimitSettings;
use super::liveness::LivenessSettings;
use super::log::LogSettings;
use super::models::ModelSettings;
use super::objects::ObjectSettings;
use super::replay::ReplaySettings;
use super::sessions::SessionSettings;
use super::signing::SigningSettings;
use super::store::{StoreSettings, StoreUrl};
use super::tracing::TracingSettings;
use super::url_input::UrlInputSettings;
use super::usage::UsageSettings;
use super::user_folder::user_folder;

/// All settings of all programs; one file serves gateway, worker and standalone program.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Folder for files that must survive a restart: keys and the embedded stores. It must be set if neither `HOME`
    /// nor `XDG_DATA_HOME` is set.
    pub data_dir: PathBuf,
    /// The public listener.
    pub http: HttpSettings,
    /// The operators' listener.
    pub admin: AdminSettings,
    /// The broker between gateways and workers.
    pub broker: BrokerSettings,
    /// The store of sessions, rates and usage records.
    pub store: StoreSettings,
    /// Limits of sessions.
    pub sessions: SessionSettings,
    /// The store of pictures in transit to a worker.
    pub blobs: BlobSettings,
    /// The store of pictures that sessions keep.
    pub objects: ObjectSettings,
    /// Models and ONNX Runtime.
    pub models: ModelSettings,
    /// Keys that seal (encrypt) all data that leaves a process.
    pub keys: KeySettings,
    /// Keys that sign answers.
    pub signing: SigningSettings,
    /// Accounts of callers.
    pub accounts: AccountSettings,
    /// Usage records, the basis of billing.
    pub usage: UsageSettings,
    /// Face algorithm and second faces.
    pub face: FaceSettings,
    /// Findings: reasons why a live picture is not judged.
    pub findings: FindingSettings,
    /// Liveness decisions.
    pub liveness: LivenessSettings,
    /// Replays: videos that are captured on a device and judged by the service.
    pub replay: ReplaySettings,
    /// Callbacks to service providers.
    pub callbacks: CallbackSettings,
    /// Capture pages and scripts for browsers.
    pub capture: CaptureSettings,
    /// Media of replays that are exported for the service provider.
    pub exports: ExportSettings,
    /// Pictures that callers name by URL.
    pub url_input: UrlInputSettings,
    /// Limits on requests, and on the data that clients keep.
    pub limits: LimitSettings,
    /// Time limits of jobs.
    pub jobs: JobSettings,
    /// Execution of models.
    pub inference: InferenceSettings,
    /// The adaptive concurrency limit on jobs.
    pub admission: AdmissionSettings,
    /// Log lines.
    pub log: LogSettings,
    /// Traces for an OpenTelemetry collector.
    pub tracing: TracingSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: user_folder("XDG_DATA_HOME", ".local/share")
                .map_or_else(PathBuf::new, |folder| folder.join("faceline")),
            http: HttpSettings::default(),
            admin: AdminSettings::default(),
            broker: BrokerSettings::default(),
            store: StoreSettings::default(),
            sessions: SessionSettings::default(),
            blobs: BlobSettings::default(),
            objects: ObjectSettings::default(),
            models: ModelSettings::default(),
            keys: KeySettings::default(),
            signing: SigningSettings::default(),
            accounts: AccountSettings::default(),
            usage: UsageSettings::default(),
            face: FaceSettings::default(),
            findings: FindingSettings::default(),
            liveness: LivenessSettings::default(),
            replay: ReplaySettings::default(),
            callbacks: CallbackSettings::default(),
            capture: CaptureSettings::default(),
            exports: ExportSettings::default(),
            url_input: UrlInputSettings::default(),
            limits: LimitSettings::default(),
            jobs: JobSettings::default(),
            inference: InferenceSettings::default(),
            admission: AdmissionSettings::default(),
            log: LogSettings::default(),
            tracing: TracingSettings::default(),
        }
    }
}

impl Settings {
    /// Address of the blob store.
    #[must_use]
    pub fn blobs_url(&self) -> &StoreUrl {
        self.blobs.url.as_ref().unwrap_or(&self.store.url)
    }

    /// TLS towards the blob store: that of the section that has its address.
    #[must_use]
    pub fn blobs_tls(&self) -> &ClientTls {
        if self.blobs.url.is_some() { &self.blobs.tls } else { &self.store.tls }
    }

    /// Whether the gateway serves the demo account.
    fn is_demonstration(&self) -> bool {
        self.accounts.file.is_none() && self.http.listen.ip().is_loopback()
    }

    /// The rules for what the gateway serves to browsers, and for pages of other servers.
    #[must_use]
    pub fn capture_rules(&self) -> CaptureRules {
        CaptureRules::new(&self.capture, self.is_demonstration())
    }

    /// Checks that there is a folder for files that must survive a restart. Programs that keep none need no such folder.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] if `data_dir` is not set and the user has no folder for data.
    pub fn require_data_dir(&self) -> Result<(), SettingsError> {
        if self.data_dir.as_os_str().is_empty() {
            return invalid(
                "data_dir is not set, and without HOME and XDG_DATA_HOME it has no default; name a folder that \
                 survives a restart, as in FACELINE_DATA_DIR=/var/lib/faceline",
            );
        }
        Ok(())
    }

    /// Fills in the defaults that depend on other settings.
    pub(super) fn complete(mut self) -> Self {
        let models = &mut self.models.dir;
        if models.as_os_str().is_empty() && !self.data_dir.as_os_str().is_empty() {
            *models = self.data_dir.join("models");
        }
        self
    }

    /// Checks every section, and what sections require of each other.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] about the first setting that is wrong.
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if self.models.dir.as_os_str().is_empty() {
            self.require_data_dir()?;
        }
        self.http.validate()?;
        self.broker.validate()?;
        self.store.tls.validate("store.tls")?;
        self.blobs.tls.validate("blobs.tls")?;
        self.validate_backends()?;
        self.objects.validate()?;
        self.validate_accounts()?;
        self.limits.validate()?;
        self.admission.validate()?;
        self.sessions.validate()?;
        self.usage.validate()?;
        self.replay.validate()?;
        self.callbacks.validate()?;
        self.capture.validate(self.is_demonstration())?;
        self.exports.validate(&self.objects)?;
        self.url_input.validate()?;
        self.face.validate()?;
        self.findings.validate()?;
        self.tracing.validate()
    }

    /// An embedded store lives in this process, and the workers behind a broker are other processes.
    fn validate_backends(&self) -> Result<(), SettingsError> {
        if self.broker.url.is_embedded() {
            return Ok(());
        }
        for (key, url) in [("store.url", &self.store.url), ("blobs.url", self.blobs_url())] {
            if url.is_embedded() {
                return invalid(format!(
                    "{key} is `embedded:` while broker.url leads to other processes, which would not see it; \
                     use redis://…"
                ));
            }
        }
        Ok(())
    }

    fn validate_accounts(&self) -> Result<(), SettingsError> {
        let demo = self.accounts.file.is_none();
        if demo && !self.http.listen.ip().is_loopback() {
            return invalid(format!(
                "http.listen {} can be reached from other machines, and without accounts.file everybody may use \
                 the demo account; name an accounts file or listen on 127.0.0.1",
                self.http.listen
            ));
        }
        Ok(())
    }
}
