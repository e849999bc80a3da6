//! Hostile callers: each gets the right refusal in bounded time and memory, and the service keeps serving others.

mod connections;
mod corpus;
mod forge;
mod http2;
mod pictures;
mod requests;
mod wire;

use std::time::Duration;

use tempfile::TempDir;

use self::wire::{ServerAddress, WireAnswer};
use crate::process::{ExclusiveRun, Process};

/// A hostile request with the statuses that are correct answers.
struct Case {
    name: String,
    bytes: Vec<u8>,
    expected: &'static [u16],
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>, expected: &'static [u16]) -> Self {
        Self { name: name.into(), bytes, expected }
    }
}

/// A service under attack.
struct AttackedService {
    process: Process,
    target: ServerAddress,
    slowest: (Duration, String),
    cases: usize,
    /// Wrong answers. They are reported together, since one fault often causes many.
    wrong: Vec<String>,
    _folder: TempDir,
    _exclusive: ExclusiveRun,
}

impl AttackedService {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let folder = TempDir::new().unwrap();
        let mut all = vec![("data_dir", folder.path().to_str().unwrap())];
        all.extend(settings);
        let mut process = Process::start("faceline", &all).await;
        let target = ServerAddress::new(&process.url().await);
        let slowest = Default::default();
        Self { process, target, slowest, cases: 0, wrong: Vec::new(), _folder: folder, _exclusive: exclusive }
    }

    /// Sends a case and checks its answer.
    async fn exchange_case(&mut self, case: &Case) -> WireAnswer {
        let answer = self.target.exchange(&case.bytes).await;
        let Case { name, expected, .. } = case;
        if !expected.contains(&answer.status) {
            self.wrong.push(format!("{name}: not one of {expected:?}: {answer:?}"));
        }
        // The parser's refusal of bytes that are not HTTP has no body.
        if answer.status >= 400 && !answer.body.is_empty() {
            let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert!(error["id"].is_string() && error["message"].is_string(), "{name}: {answer:?}");
        }
        self.cases += 1;
        if answer.elapsed > self.slowest.0 {
            self.slowest = (answer.elapsed, name.clone());
        }
        answer
    }

    /// Asserts that a valid request is answered.
    async fn assert_serves(&self, after: &str) {
        let answer = self.target.exchange(&wire::good()).await;
        assert_eq!(answer.status, 200, "after {after}: {answer:?}");
    }

    /// Asserts that all answers were right, that peak memory was bounded, and that the service still works and ends
    /// cleanly.
    async fn assert_unharmed(mut self, family: &str, max_memory_bytes: usize) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        self.assert_serves(family).await;
        let peak = self.process.peak_memory();
        println!("{family}: {} cases, slowest {:?}, peak {} MB", self.cases, self.slowest, peak >> 20);
        assert!(peak < max_memory_bytes, "peak memory {} MB", peak >> 20);
        let (code, log) = self.process.terminate().await;
        assert_eq!(code, Some(0), "{log}");
        for word in ["panicked", "request failed"] {
            assert!(!log.contains(word), "the log has `{word}`:\n{log}");
        }
    }
}
