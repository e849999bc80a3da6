//! Settings: built-in defaults, then a TOML file, then `FACELINE_SECTION__KEY` from the environment, then flags.
//!
//! Each section has a file of its own with its keys, their defaults and the check of their values. Addresses of brokers and
//! stores are parsed once, here: the rest of the program matches on [`BrokerUrl`], [`StoreUrl`] and [`ObjectsUrl`]. Unknown
//! keys are errors, and all settings are checked before anything starts. `docs/settings.md` is made from the documentation of
//! these structs.

mod accounts;
mod admin;
mod admission;
mod all;
mod blobs;
mod broker;
mod callbacks;
mod capture;
mod client_tls;
#[cfg(test)]
mod document;
mod environment;
mod error;
mod exports;
mod face;
mod findings;
mod host_pattern;
mod http;
mod inference;
mod jobs;
mod keys;
mod limits;
mod liveness;
mod load;
mod log;
mod models;
mod network;
mod objects;
mod replay;
mod sessions;
mod signing;
mod store;
#[cfg(test)]
mod tests;
mod tracing;
mod url_input;
mod usage;
mod user_folder;

pub use self::accounts::AccountSettings;
pub use self::admin::AdminSettings;
pub use self::admission::AdmissionSettings;
pub use self::all::Settings;
pub use self::blobs::BlobSettings;
pub use self::broker::{BrokerSettings, BrokerUrl, TopologyMode};
pub use self::callbacks::CallbackSettings;
pub use self::capture::{CaptureRules, CaptureSettings, is_loopback_host, is_loopback_origin};
pub use self::client_tls::ClientTls;
pub use self::environment::{IgnoredVariable, ignored_variables};
pub use self::error::{EXIT_BAD_SETTINGS, InvalidUrl, SettingsError};
pub use self::exports::ExportSettings;
pub use self::face::FaceSettings;
pub use self::findings::FindingSettings;
pub use self::host_pattern::{HostPattern, NoHost};
pub use self::http::{HttpSettings, TlsSettings};
pub use self::inference::InferenceSettings;
pub use self::jobs::JobSettings;
pub use self::keys::KeySettings;
pub use self::limits::LimitSettings;
pub use self::liveness::LivenessSettings;
pub use self::load::Sources;
pub use self::log::{LogFormat, LogSettings};
pub use self::models::{ModelProfile, ModelSettings};
pub use self::network::{Network, NoNetwork};
pub use self::objects::{ObjectEncryption, ObjectSettings, ObjectsUrl};
pub use self::replay::{Confinement, ReplaySettings};
pub use self::sessions::SessionSettings;
pub use self::signing::{SigningAlgorithm, SigningSettings};
pub use self::store::{StoreSettings, StoreUrl};
pub use self::tracing::TracingSettings;
pub use self::url_input::UrlInputSettings;
pub use self::usage::UsageSettings;
