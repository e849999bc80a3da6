//! A private Redis server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::free_port;
use super::process::{Process, find};

/// A Redis server that evicts nothing.
pub struct Redis {
    // Fields are dropped in this order: the server first, the folder last.
    server: Option<Process>,
    port: u16,
    options: Vec<String>,
    folder: TempDir,
}

impl Redis {
    /// Starts a server that keeps everything in memory.
    ///
    /// # Panics
    /// Redis is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server that writes each change to its append-only file.
    ///
    /// # Panics
    /// Redis is not installed or does not start.
    pub async fn start_persistent() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// Starts a server with further options, as on its command line.
    ///
    /// # Panics
    /// Redis is not installed or does not start.
    pub async fn start_with(options: &[&str]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("faceline-redis-").tempdir().expect("a temporary folder");
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut redis = Self { server: None, port: free_port(), options, folder };
        redis.restart().await;
        redis
    }

    /// Address for `store.url` and `blobs.url`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// Address for `store.url` and `blobs.url`, by way of a proxy.
    #[must_use]
    pub fn url_at(&self, proxy: SocketAddr) -> String {
        format!("redis://{proxy}")
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Folder with everything that the server writes.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Process group of the running server, to measure what it costs.
    #[must_use]
    pub fn process_group(&self) -> Option<u32> {
        self.server.as_ref().map(Process::group)
    }

    /// Kills the server with SIGKILL and waits until it is gone.
    pub async fn kill9(&mut self) {
        self.end("KILL").await;
    }

    /// Stops the server in good order.
    pub async fn stop(&mut self) {
        self.end("TERM").await;
    }

    /// Starts the server again on its port and with its files.
    ///
    /// # Panics
    /// It does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        let mut server =
            Command::new(find(&["/usr/bin/redis-server", "/usr/local/bin/redis-server"], "redis-server"));
        server.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        server.arg("--dir").arg(self.folder.path()).args(&self.options);
        server.env("LANG", "C.UTF-8");
        self.server = Some(Process::start(&server, self.folder.path(), "Ready to accept connections").await);
    }

    async fn end(&mut self, signal: &'static str) {
        if let Some(server) = self.server.take() {
            server.end(signal).await;
        }
    }
}
