//! Programs of this workspace as child processes.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::programs::program;

/// Time limit for a condition. A program loads 30 MB of models when it starts, and the machine may be busy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Time between two readings of a metric.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Maximum number of concurrent tests that start servers of their own, if none of them loads the whole machine or
/// measures time. On an overloaded machine a broker loses connections, and each lost connection counts as a failed
/// attempt of its jobs.
const SERVER_TESTS: u32 = 2;
static RUNNING: Semaphore = Semaphore::const_new(SERVER_TESTS as usize);

/// Held by a test that starts servers of its own.
pub(crate) struct ServerRun(#[expect(dead_code, reason = "dropping it releases")] SemaphorePermit<'static>);

impl ServerRun {
    /// Waits until fewer than [`SERVER_TESTS`] such tests run.
    pub(crate) async fn begin() -> Self {
        Self(RUNNING.acquire().await.expect("the semaphore is never closed"))
    }
}

/// Held by a test that starts servers of its own, and loads the whole machine or measures time.
pub(crate) struct ExclusiveRun(
    #[expect(dead_code, reason = "dropping it releases")] SemaphorePermit<'static>,
);

impl ExclusiveRun {
    /// Waits until no other test with servers of its own runs.
    pub(crate) async fn begin() -> Self {
        Self(RUNNING.acquire_many(SERVER_TESTS).await.expect("the semaphore is never closed"))
    }
}

/// A running program. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: watch::Receiver<Vec<Value>>,
    output: watch::Receiver<Vec<Value>>,
}

impl Process {
    /// Starts a program with these settings, on free ports. It logs JSON.
    pub(crate) fn spawn(name: &str, settings: &[(&str, &str)]) -> Self {
        Self::spawn_with(Command::new(program(name)), name, settings)
    }

    /// As [`Process::spawn`], with more of the environment set by `command`.
    pub(crate) fn spawn_with(mut command: Command, name: &str, settings: &[(&str, &str)]) -> Self {
        command.env("FACELINE_HTTP__LISTEN", "127.0.0.1:0").env("FACELINE_ADMIN__LISTEN", "127.0.0.1:0");
        for (key, value) in settings {
            command.env(format!("FACELINE_{}", key.to_uppercase().replace('.', "__")), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = lines(name, child.stderr.take().unwrap());
        let output = lines(name, child.stdout.take().unwrap());
        Self { child, log, output }
    }

    /// Starts a program and waits until it is ready.
    pub(crate) async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let mut process = Self::spawn(name, settings);
        process.logged("ready").await;
        process
    }

    /// Waits for the first log line with this message.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        found(&mut self.log, |line| line["message"] == message)
            .await
            .unwrap_or_else(|| panic!("no log line says `{message}`:\n{}", self.shown()))
    }

    /// Waits for the first log line that fulfils a condition.
    pub(crate) async fn logged_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        found(&mut self.log, wanted)
            .await
            .unwrap_or_else(|| panic!("no log line fulfils the condition:\n{}", self.shown()))
    }

    /// Waits for the first log line whose message contains `part`.
    pub(crate) async fn logged_like(&mut self, part: &str) -> Value {
        self.logged_where(|line| line["message"].as_str().is_some_and(|message| message.contains(part))).await
    }

    /// Number of log lines so far whose message contains `part`.
    pub(crate) fn count_logged(&self, part: &str) -> usize {
        let log = self.log.borrow();
        log.iter()
            .filter(|line| line["message"].as_str().is_some_and(|message| message.contains(part)))
            .count()
    }

    /// Waits for `count` lines of standard output that begin with `start`.
    pub(crate) async fn printed(&mut self, start: &str, count: usize) -> Vec<String> {
        let mut output = self.output.clone();
        let matching = |lines: &Vec<Value>| -> Vec<String> {
            let texts = lines.iter().filter_map(Value::as_str);
            texts.filter(|line| line.starts_with(start)).map(str::to_owned).collect()
        };
        let wait = output.wait_for(|lines| matching(lines).len() >= count);
        match tokio::time::timeout(TIMEOUT, wait).await {
            Ok(Ok(lines)) => matching(&lines),
            _ => panic!("fewer than {count} lines begin with `{start}`:\n{}", self.shown()),
        }
    }

    /// The URL of the public listener.
    pub(crate) async fn url(&mut self) -> String {
        let line = self.logged("public listener is open").await;
        format!("http://{}", line["address"].as_str().unwrap())
    }

    /// The address of the operators' listener.
    pub(crate) async fn admin(&mut self) -> SocketAddr {
        let line = self.logged("operators' listener is open").await;
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// The value of a metric, 0 if it does not exist yet. `series` is its name with its labels.
    pub(crate) async fn metric(&mut self, series: &str) -> f64 {
        let url = format!("http://{}/metrics", self.admin().await);
        let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has reached a value.
    pub(crate) async fn metric_reaches(&mut self, series: &str, wanted: f64) {
        self.metric_is(series, |value| value >= wanted).await;
    }

    /// Waits until a metric's value fulfils a condition.
    pub(crate) async fn metric_is(&mut self, series: &str, wanted: impl Fn(f64) -> bool) {
        // There is no event to wait for, so the metric is read again.
        let mut poll = tokio::time::interval(POLL_INTERVAL);
        let reached = async {
            while !wanted(self.metric(series).await) {
                poll.tick().await;
            }
        };
        if tokio::time::timeout(TIMEOUT, reached).await.is_err() {
            panic!("{series} does not reach the expected value:\n{}", self.shown());
        }
    }

    /// Waits until the program ends. Returns its exit code and its log.
    pub(crate) async fn ended(&mut self) -> (Option<i32>, String) {
        let status =
            tokio::time::timeout(TIMEOUT, self.child.wait()).await.expect("the program goes on").unwrap();
        // The pipes close when the program ends. The whole log has been read by then.
        while self.log.changed().await.is_ok() {}
        (status.code(), self.shown())
    }

    /// CPU time so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        let pid = self.child.id().expect("the program has ended");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // proc(5): after the name in parentheses the state is field 3, user and system time are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
        // Linux reports hundredths of a second to user space, independent of the kernel's own tick.
        Duration::from_millis(ticks * 10)
    }

    /// Peak of its resident memory, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let pid = self.child.id().expect("the program has ended");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Kills it as the out-of-memory killer would.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM, as Kubernetes does.
    pub(crate) async fn signal_termination(&self) {
        self.signal("-TERM").await;
    }

    /// Stops it as a debugger does: its connections stay open, and it does not run.
    pub(crate) async fn suspend(&self) {
        self.signal("-STOP").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("the program has ended").to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }

    /// Sends SIGTERM and waits until the program ends.
    pub(crate) async fn terminate(&mut self) -> (Option<i32>, String) {
        self.signal_termination().await;
        self.ended().await
    }

    /// The log lines so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.borrow().clone()
    }

    fn shown(&self) -> String {
        self.log.borrow().iter().map(|line| format!("{line}\n")).collect()
    }
}

async fn found(lines: &mut watch::Receiver<Vec<Value>>, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
    let search = lines.wait_for(|lines| lines.iter().any(&wanted));
    let lines = tokio::time::timeout(TIMEOUT, search).await.ok()?.ok()?;
    lines.iter().find(|line| wanted(line)).cloned()
}

/// Collects the lines of a pipe, as JSON values or else as texts.
fn lines(name: &str, pipe: impl AsyncRead + Unpin + Send + 'static) -> watch::Receiver<Vec<Value>> {
    let (sender, receiver) = watch::channel(Vec::new());
    let show = std::env::var_os("SHOW_LOGS").is_some();
    let name: Arc<str> = name.into();
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if show {
                println!("{name}: {line}");
            }
            sender
                .send_modify(|lines| lines.push(serde_json::from_str(&line).unwrap_or(Value::String(line))));
        }
    });
    receiver
}
