//! HAProxy as a real load balancer in front of the programs.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use faceline_shared::testkit::free_port;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Time limit for HAProxy to find its servers.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running HAProxy. It is killed when it is dropped.
pub(crate) struct HaProxy {
    pub(crate) address: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl HaProxy {
    /// Starts HAProxy with these lines in the sections `defaults`, `frontend` and `backend`, and waits until it serves
    /// `/livez`.
    pub(crate) async fn start(defaults: &str, frontend: &str, backend: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        // It listens on all addresses of the loopback network, so callers can have different addresses.
        let text = format!(
            "global\n    maxconn 1000\n\
             defaults\n    timeout connect 2s\n    timeout client 2m\n    timeout server 2m\n    timeout check 10s\n{defaults}\n\
             frontend callers\n    bind 0.0.0.0:{port}\n    default_backend gateways\n{frontend}\n\
             backend gateways\n{backend}\n"
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let process = Command::new("haproxy")
            .env("PATH", path)
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy: {error}; `make test` installs it"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let served = async {
            let url = format!("http://{address}/livez");
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(TIMEOUT, served).await.expect("HAProxy does not serve");
        Self { address, _process: process, _folder: folder }
    }
}
