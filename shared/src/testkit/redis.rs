//! A private Redis server for a test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use super::free_port;
use super::process::{Process, find_program};

/// Time limit of the first synchronisation of a replica.
const SYNC_TIMEOUT: Duration = Duration::from_secs(60);

/// A Redis server without eviction.
pub struct Redis {
    // Fields are dropped in this order: the server first, the folder last.
    server: Option<Process>,
    port: u16,
    options: Vec<String>,
    /// Port of the master of which it is a replica whenever it starts.
    master: Option<u16>,
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
        let mut redis = Self { server: None, port: free_port(), options, master: None, folder };
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

    /// The output of `redis-cli` with these arguments.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn control(&self, arguments: &[&str]) -> String {
        let mut control =
            Command::new(find_program(&["/usr/bin/redis-cli", "/usr/local/bin/redis-cli"], "redis-tools"));
        control.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(arguments);
        let Output { status, stdout, .. } = tokio::task::spawn_blocking(move || control.output())
            .await
            .expect("waiting does not panic")
            .expect("redis-cli starts");
        let said = String::from_utf8_lossy(&stdout).into_owned();
        assert!(status.success(), "redis-cli {arguments:?}: {said}");
        said
    }

    /// Makes this server a replica of `master`, and waits until it has all data. Connections to it stay open.
    ///
    /// # Panics
    /// It does not become one.
    pub async fn replicate(&self, master: &Self) {
        self.control(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]).await;
        let synchronised = async {
            while !self.control(&["INFO", "replication"]).await.contains("master_link_status:up") {}
        };
        tokio::time::timeout(SYNC_TIMEOUT, synchronised).await.expect("the replica does not synchronise");
    }

    /// Starts this server again as a replica of `master`, and waits until it has all data. It stays one when it restarts.
    ///
    /// # Panics
    /// The server does not start, or does not synchronise.
    pub async fn restart_as_replica(&mut self, master: &Self) {
        self.master = Some(master.port);
        self.restart().await;
        self.replicate(master).await;
    }

    /// Makes this replica a master.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn promote(&mut self) {
        self.master = None;
        self.control(&["REPLICAOF", "NO", "ONE"]).await;
    }

    /// Hands the role of the master over to `replica`, which loses no write (`FAILOVER`). Connections to both stay open.
    ///
    /// # Panics
    /// The roles do not change.
    pub async fn hand_over_to(&self, replica: &Self) {
        let changed = async {
            while !(self.control(&["ROLE"]).await.starts_with("slave")
                && replica.control(&["ROLE"]).await.starts_with("master"))
            {
                // The replica may refuse at first; this has no effect while a change is under way.
                self.control(&["FAILOVER", "TO", "127.0.0.1", &replica.port.to_string()]).await;
            }
        };
        tokio::time::timeout(SYNC_TIMEOUT, changed).await.expect("the roles do not change");
    }

    /// Kills the server with SIGKILL and waits until it has ended.
    pub async fn kill9(&mut self) {
        self.end("KILL").await;
    }

    /// Stops the server gracefully.
    pub async fn stop(&mut self) {
        self.end("TERM").await;
    }

    /// Suspends the server with SIGSTOP: its connections stay open, and it does not answer.
    pub fn pause(&mut self) {
        self.signal("STOP");
    }

    /// Resumes the server after [`Self::pause`].
    pub fn resume(&mut self) {
        self.signal("CONT");
    }

    /// Restarts the server on the same port and with its files.
    ///
    /// # Panics
    /// The server does not start.
    pub async fn restart(&mut self) {
        self.restart_until("Ready to accept connections").await;
    }

    /// Restarts the server, and does not wait until it has loaded its files.
    ///
    /// # Panics
    /// The server does not start.
    pub async fn restart_loading(&mut self) {
        self.restart_until("Server initialized").await;
    }

    async fn restart_until(&mut self, ready: &'static str) {
        self.stop().await;
        let mut server = Command::new(find_program(
            &["/usr/bin/redis-server", "/usr/local/bin/redis-server"],
            "redis-server",
        ));
        server.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        // Without this, a replica waits for others that may come.
        server.args(["--repl-diskless-sync-delay", "0"]);
        server.arg("--dir").arg(self.folder.path()).args(&self.options);
        if let Some(master) = self.master {
            server.args(["--replicaof", "127.0.0.1", &master.to_string()]);
        }
        server.env("LANG", "C.UTF-8");
        self.server = Some(Process::start(&server, self.folder.path(), ready).await);
    }

    fn signal(&mut self, signal: &'static str) {
        if let Some(server) = &mut self.server {
            server.send(signal);
        }
    }

    async fn end(&mut self, signal: &'static str) {
        if let Some(server) = self.server.take() {
            server.end(signal).await;
        }
    }
}
