//! The section `admin`.

use std::net::SocketAddr;

use serde::Deserialize;

/// The operators' listener, which serves `/livez`, `/readyz`, `/metrics` and health over gRPC.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port of the listener. If this is not set, it is `127.0.0.1:9090`, and `127.0.0.1:9091` for a worker.
    pub listen: Option<SocketAddr>,
}
