//! A private Redis Sentinel for a test.

use std::process::Command;

use tempfile::TempDir;

use super::free_port;
use super::process::{Process, find_program};
use super::redis::Redis;

/// A sentinel that watches one master, and alone decides that it is down.
pub struct Sentinel {
    // Fields are dropped in this order: the sentinel first, the folder last.
    _sentinel: Process,
    port: u16,
    _folder: TempDir,
}

impl Sentinel {
    /// The name under which sentinels know the master.
    pub const MASTER: &'static str = "faceline";

    /// Starts a sentinel for `master`, with further lines of configuration.
    ///
    /// # Panics
    /// Redis is not installed or does not start.
    pub async fn start(master: &Redis, lines: &[&str]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("faceline-sentinel-").tempdir().expect("a temporary folder");
        let (port, name, address) = (free_port(), Self::MASTER, master.address());
        let configuration = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {name} {} {} 1\n\
             sentinel down-after-milliseconds {name} 1000\n\
             sentinel failover-timeout {name} 10000\n{}\n",
            folder.path().display(),
            address.ip(),
            address.port(),
            lines.join("\n"),
        );
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, configuration).expect("the folder can be written");
        let mut sentinel = Command::new(find_program(
            &["/usr/bin/redis-server", "/usr/local/bin/redis-server"],
            "redis-server",
        ));
        sentinel.arg(&file).arg("--sentinel").env("LANG", "C.UTF-8");
        let sentinel = Process::start(&sentinel, folder.path(), "Sentinel ID is").await;
        Self { _sentinel: sentinel, port, _folder: folder }
    }

    /// Its host and port, for an address.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
