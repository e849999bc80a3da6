//! A private Redis server for a test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::free_port;
use super::process::{Process, find_program};

/// A Redis server without eviction.
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

    /// Starts a server that syncs each change to its append-only file.
    ///
    /// # Panics
    /// Redis is not installed or does not start.
    pub async fn start_persistent() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// Starts a server with additional command-line options.
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

    /// The server's URL for `store.url` and `blobs.url`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The URL for `store.url` and `blobs.url` through a proxy.
    #[must_use]
    pub fn url_at(&self, proxy: SocketAddr) -> String {
        format!("redis://{proxy}")
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The folder with all files of the server.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Process group of the running server, for measuring its CPU time and memory.
    #[must_use]
    pub fn process_group(&self) -> Option<u32> {
        self.server.as_ref().map(Process::group)
    }

    /// Kills the server with SIGKILL and waits until it has ended.
    pub async fn kill9(&mut self) {
        self.end("KILL").await;
    }

    /// Stops the server in good order.
    pub async fn stop(&mut self) {
        self.end("TERM").await;
    }

    /// Restarts the server on the same port and with its files.
    ///
    /// # Panics
    /// The server does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        let mut server = Command::new(find_program(
            &["/usr/bin/redis-server", "/usr/local/bin/redis-server"],
            "redis-server",
        ));
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
