//! A private RabbitMQ node for a test.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::certificates::TestAuthority;
use super::free_port;
use super::process::{Process, find_program};

/// The server's own scripts. The ones on the PATH switch to another user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
const PLUGINS: &str = "/usr/lib/rabbitmq/bin/rabbitmq-plugins";
const COOKIE: &str = "testkit";

/// Leaves the default virtual host as it is on a new node.
const EMPTY: &str = r#"
    rabbit_vhost:delete(<<"/">>, <<"test">>),
    rabbit_vhost:add(<<"/">>, <<"test">>),
    rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>).
"#;

/// A RabbitMQ node with its own epmd (Erlang's port mapper). User and password are `guest`.
pub struct RabbitMq {
    // Fields are dropped in this order: the server first, the folder last.
    server: Option<Process>,
    epmd: Arc<Epmd>,
    port: u16,
    /// The port for TLS, if the node has one.
    tls_port: Option<u16>,
    /// The port for Prometheus, if the node has one.
    metrics_port: Option<u16>,
    distribution_port: u16,
    /// Name of the node that this one joins when it starts for the first time.
    cluster: Option<String>,
    /// Whether more than queues may differ from a new node.
    is_altered: AtomicBool,
    folder: TempDir,
}

/// Erlang's port mapper, by which the nodes of a cluster find each other.
struct Epmd {
    // Fields are dropped in this order: the process first, the folder last.
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Epmd {
    async fn start() -> Arc<Self> {
        let folder = tempfile::Builder::new().prefix("faceline-epmd-").tempdir().expect("a temporary folder");
        let port = free_port();
        let mut epmd = Command::new(find_program(&["/usr/bin/epmd"], "erlang-base"));
        epmd.args(["-debug", "-debug", "-address", "127.0.0.1", "-port", &port.to_string()]);
        let process = Process::start(&epmd, folder.path(), "entering the main select() loop").await;
        Arc::new(Self { _process: process, port, _folder: folder })
    }
}

impl RabbitMq {
    /// Starts a node, which takes about 6 s.
    ///
    /// # Panics
    /// RabbitMQ is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(None, None).await
    }

    /// Starts a node that also serves its metrics (plugin `rabbitmq_prometheus`).
    ///
    /// # Panics
    /// RabbitMQ is not installed or does not start.
    pub async fn start_with_metrics() -> Self {
        Self::start_with(None, Some(free_port())).await
    }

    /// Starts a node that also speaks TLS, with a certificate of `authority`, and asks for clients' certificates from
    /// there.
    ///
    /// # Panics
    /// RabbitMQ is not installed or does not start.
    pub async fn start_tls(authority: &TestAuthority) -> Self {
        Self::start_with(Some(authority), None).await
    }

    async fn start_with(authority: Option<&TestAuthority>, metrics_port: Option<u16>) -> Self {
        let mut rabbitmq = Self::prepared(Epmd::start().await, None);
        rabbitmq.tls_port = authority.map(|_| free_port());
        rabbitmq.metrics_port = metrics_port;
        rabbitmq.write_configuration(authority);
        rabbitmq.restart().await;
        rabbitmq
    }

    /// Starts `size` nodes that form a cluster. A minority of nodes stops instead of going on alone.
    ///
    /// # Panics
    /// RabbitMQ is not installed or does not start.
    pub async fn start_cluster(size: usize) -> Vec<Self> {
        let epmd = Epmd::start().await;
        let mut first = Self::prepared(Arc::clone(&epmd), None);
        first.cluster = Some(first.node());
        first.write_configuration(None);
        first.restart().await;
        let mut others: Vec<_> =
            (1..size).map(|_| Self::prepared(Arc::clone(&epmd), first.cluster.clone())).collect();
        let starts = others.iter_mut().map(async |node| {
            node.write_configuration(None);
            node.restart().await;
        });
        futures_util::future::join_all(starts).await;
        others.insert(0, first);
        others
    }

    /// A node that is not started yet.
    fn prepared(epmd: Arc<Epmd>, cluster: Option<String>) -> Self {
        find_program(&[SERVER], "rabbitmq-server");
        let folder =
            tempfile::Builder::new().prefix("faceline-rabbitmq-").tempdir().expect("a temporary folder");
        let (port, distribution_port) = (free_port(), free_port());
        Self {
            server: None,
            epmd,
            port,
            tls_port: None,
            metrics_port: None,
            distribution_port,
            cluster,
            is_altered: AtomicBool::new(false),
            folder,
        }
    }

    /// Whether the node was ended, suspended, or controlled since it started, so that more than its queues may differ
    /// from a new one.
    pub(super) fn is_altered(&self) -> bool {
        self.is_altered.load(Ordering::Relaxed)
    }

    /// The node's URL for `broker.url`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The URL for `broker.url` through a proxy.
    #[must_use]
    pub fn url_at(&self, proxy: SocketAddr) -> String {
        format!("amqp://guest:guest@{proxy}")
    }

    /// The node's URL for `broker.url`, over TLS.
    ///
    /// # Panics
    /// The node does not speak TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("amqps://guest:guest@127.0.0.1:{}", self.tls_port.expect("a node with TLS"))
    }

    /// The address that the node listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The address at which Prometheus finds the node's metrics.
    ///
    /// # Panics
    /// The node has none.
    #[must_use]
    pub fn metrics_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.metrics_port.expect("a node with metrics")))
    }

    /// The folder with all files of the node.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Process group of the running server, for measuring its CPU time and memory.
    #[must_use]
    pub fn process_group(&self) -> Option<u32> {
        self.server.as_ref().map(Process::group)
    }

    /// Kills the node with SIGKILL and waits until it has ended.
    pub async fn kill9(&mut self) {
        self.end("KILL").await;
    }

    /// Stops the node gracefully.
    pub async fn stop(&mut self) {
        self.end("TERM").await;
    }

    /// Suspends the node with SIGSTOP: its connections stay open, and it does not answer.
    pub fn pause(&mut self) {
        self.signal("STOP");
    }

    /// Resumes the node after [`Self::pause`].
    pub fn resume(&mut self) {
        self.signal("CONT");
    }

    /// Restarts the node on the same ports and with its data.
    ///
    /// # Panics
    /// The node does not start.
    pub async fn restart(&mut self) {
        self.end("TERM").await;
        let mut server = Command::new(SERVER);
        server.envs(self.environment());
        self.server = Some(Process::start(&server, self.folder.path(), "Server startup complete").await);
    }

    /// Runs `rabbitmqctl` against the node and returns its output. It takes about 2 s.
    ///
    /// # Panics
    /// The command fails.
    pub async fn control(&self, arguments: &[&str]) -> String {
        if !arguments.iter().any(|argument| argument.starts_with("list_")) {
            self.is_altered.store(true, Ordering::Relaxed);
        }
        let mut control = Command::new(CONTROL);
        control.env_clear().envs(self.environment());
        control.args(["--quiet", "--erlang-cookie", COOKIE, "--node", &self.node()]).args(arguments);
        let Output { status, stdout, stderr } = tokio::task::spawn_blocking(move || control.output())
            .await
            .expect("waiting does not panic")
            .expect("rabbitmqctl starts");
        assert!(status.success(), "rabbitmqctl {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).into_owned()
    }

    /// Enables the management API of the running node, and returns its URL for `broker.management_url`. It takes about 6 s.
    ///
    /// # Panics
    /// The plugin does not start.
    pub async fn enable_management(&self) -> String {
        let port = free_port();
        // Loading the plugin would replace a value that is not persistent.
        let listener = format!(
            "application:set_env(rabbitmq_management, tcp_config, [{{ip, \"127.0.0.1\"}}, {{port, {port}}}], [{{persistent, true}}])."
        );
        self.control(&["eval", &listener]).await;
        let mut enable = Command::new(PLUGINS);
        enable.env_clear().envs(self.environment());
        enable.args(["--quiet", "--erlang-cookie", COOKIE, "--node", &self.node()]);
        enable.args(["enable", "rabbitmq_management"]);
        let output = tokio::task::spawn_blocking(move || enable.output())
            .await
            .expect("waiting does not panic")
            .expect("rabbitmq-plugins starts");
        assert!(output.status.success(), "{output:?}");
        format!("http://guest:guest@127.0.0.1:{port}")
    }

    /// Removes the queues, messages, policies and connections of the default virtual host.
    ///
    /// # Panics
    /// The node does not run.
    pub async fn empty(&self) {
        self.evaluate(EMPTY).await;
    }

    /// Evaluates an Erlang expression that returns `ok`, without the 2 s that a start of `rabbitmqctl` takes.
    ///
    /// # Panics
    /// It returns something else.
    async fn evaluate(&self, expression: &'static str) {
        let mut call = Command::new(find_program(&["/usr/bin/erl_call"], "erlang-base"));
        call.env_clear().envs(self.environment()).args(["-c", COOKIE, "-sname", &self.node(), "-e"]);
        call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || {
            let mut child = call.spawn().expect("erl_call starts");
            child.stdin.take().expect("a pipe").write_all(expression.as_bytes()).expect("erl_call reads");
            child.wait_with_output().expect("erl_call ends")
        });
        let output = output.await.expect("waiting does not panic");
        assert!(output.status.success() && output.stdout == b"{ok, ok}", "{expression}: {output:?}");
    }

    fn signal(&mut self, signal: &'static str) {
        self.is_altered.store(true, Ordering::Relaxed);
        if let Some(server) = &mut self.server {
            server.send(signal);
        }
    }

    async fn end(&mut self, signal: &'static str) {
        if let Some(server) = self.server.take() {
            self.is_altered.store(true, Ordering::Relaxed);
            server.end(signal).await;
        }
    }

    /// The name of the Erlang node.
    #[must_use]
    pub fn node(&self) -> String {
        format!("test{}@localhost", self.port)
    }

    fn write_configuration(&self, authority: Option<&TestAuthority>) {
        let mut configuration = format!(
            "listeners.tcp.default = 127.0.0.1:{}\nlog.file = false\nlog.console = true\nlog.console.level = info\n",
            self.port
        );
        if let (Some(authority), Some(port)) = (authority, self.tls_port) {
            let ca = authority.file();
            let server = authority.issue("rabbitmq");
            let files = [("cacertfile", &ca), ("certfile", &server.certificate), ("keyfile", &server.key)]
                .map(|(option, file)| format!("ssl_options.{option} = {}\n", file.display()));
            configuration.push_str(&format!(
                "listeners.ssl.default = 127.0.0.1:{port}\n{}ssl_options.verify = verify_peer\n\
                 ssl_options.fail_if_no_peer_cert = true\n",
                files.concat()
            ));
        }
        if let Some(port) = self.metrics_port {
            configuration.push_str(&format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {port}\n"));
        }
        if let Some(first) = &self.cluster {
            configuration.push_str(&format!(
                "cluster_formation.peer_discovery_backend = classic_config\n\
                 cluster_formation.classic_config.nodes.1 = {first}\n\
                 cluster_partition_handling = pause_minority\n"
            ));
        }
        let write = |name: &str, text: &str| {
            std::fs::write(self.folder.path().join(name), text).expect("the folder can be written");
        };
        write("rabbitmq.conf", &configuration);
        write("plugins", if self.metrics_port.is_some() { "[rabbitmq_prometheus]." } else { "[]." });
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let arguments =
            format!("-setcookie {COOKIE} -start_epmd false -kernel inet_dist_use_interface {{127,0,0,1}}");
        vec![
            ("PATH", format!("{SCRIPTS}:/usr/bin:/bin")),
            ("LANG", "C.UTF-8".into()),
            ("HOME", path("")),
            // Makes the start script exec the server, so signals reach the server.
            ("RUNNING_UNDER_SYSTEMD", "true".into()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("ERL_EPMD_PORT", self.epmd.port.to_string()),
            ("RABBITMQ_CONF_ENV_FILE", path("no-such-file")),
            ("RABBITMQ_NODENAME", self.node()),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
            ("RABBITMQ_DIST_PORT", self.distribution_port.to_string()),
            ("RABBITMQ_MNESIA_BASE", self.data_dir().display().to_string()),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_PID_FILE", path("pid")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments),
        ]
    }
}
