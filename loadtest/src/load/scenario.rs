//! A scenario: the schedule, the mix of operations, and the callers.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::arrivals::Phase;
use crate::oracle::{Operation, PictureSize};

/// The definition of a load. Scenarios are written in TOML; `loadtest/scenarios` has examples.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name in reports.
    pub name: String,
    /// Seed of the schedule and of the choice of operations and pictures: the same seed gives the same load.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The phases of the schedule, one after the other.
    pub phases: Vec<Phase>,
    /// The mix of operations.
    pub mix: Vec<MixEntry>,
    /// The callers. Without any, the demo account is the only one.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// The most requests that may wait for their answers at the same time. Any further request is not sent, but counted
    /// and reported.
    #[serde(default = "default_max_outstanding")]
    pub max_outstanding: usize,
    /// Whether a refused caller retries after `Retry-After`.
    #[serde(default)]
    pub obeys_retry_after: bool,
    /// A caller that obeys `Retry-After` gives up this many seconds after the intended time of its first attempt.
    #[serde(default = "default_give_up_seconds")]
    pub give_up_seconds: u64,
    /// Deadline of the service (`jobs.deadline`) in seconds. A caller waits for twice as long.
    #[serde(default = "default_deadline_seconds")]
    pub deadline_seconds: u64,
}

/// An operation in a mix.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixEntry {
    /// The operation. `create-session` stands for a whole session: its creation, faces, and matches.
    pub operation: Operation,
    /// The size of its pictures.
    #[serde(default = "default_size")]
    pub size: PictureSize,
    /// Its part of the mix, relative to the sum of all weights.
    #[serde(default = "default_weight")]
    pub weight: f64,
}

/// A caller with its credentials.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Name in reports.
    pub name: String,
    /// Its part of the requests, relative to the sum of all weights.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// The API key of Biometric Services.
    #[serde(default = "demo")]
    pub api_key: String,
    /// The user of Face Liveness.
    #[serde(default = "demo")]
    pub user: String,
    /// The password of Face Liveness.
    #[serde(default = "demo")]
    pub password: String,
    /// The key of a BWS client; that of the demo account if absent.
    pub bws: Option<BwsKey>,
}

/// A key of BWS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BwsKey {
    /// Id of the client.
    pub client_id: String,
    /// The key in base64.
    pub key: String,
}

fn default_seed() -> u64 {
    17
}

fn default_max_outstanding() -> usize {
    2000
}

fn default_give_up_seconds() -> u64 {
    120
}

fn default_deadline_seconds() -> u64 {
    30
}

fn default_size() -> PictureSize {
    PictureSize::Small
}

fn default_weight() -> f64 {
    1.0
}

fn demo() -> String {
    "demo".to_owned()
}

impl Scenario {
    /// Faces in small pictures by the demo account, in these phases.
    #[must_use]
    pub fn faces(name: &str, phases: Vec<Phase>) -> Self {
        Self {
            name: name.to_owned(),
            seed: default_seed(),
            phases,
            mix: vec![MixEntry {
                operation: Operation::Faces,
                size: default_size(),
                weight: default_weight(),
            }],
            clients: Vec::new(),
            max_outstanding: default_max_outstanding(),
            obeys_retry_after: false,
            give_up_seconds: default_give_up_seconds(),
            deadline_seconds: default_deadline_seconds(),
        }
    }

    /// Reads a scenario.
    ///
    /// # Errors
    /// The text is no valid scenario, or a number in it is out of bounds.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        anyhow::ensure!(!scenario.phases.is_empty(), "a scenario needs phases");
        anyhow::ensure!(scenario.phases.iter().all(Phase::is_valid), "a rate or a length is out of bounds");
        let is_weight = |weight: f64| weight.is_finite() && weight >= 0.0;
        let mix: Vec<_> = scenario.mix.iter().map(|entry| entry.weight).collect();
        let clients: Vec<_> = scenario.clients.iter().map(|client| client.weight).collect();
        anyhow::ensure!(
            mix.iter().chain(&clients).all(|weight| is_weight(*weight)),
            "a weight is out of bounds"
        );
        anyhow::ensure!(mix.iter().sum::<f64>() > 0.0, "a scenario needs a mix of operations");
        anyhow::ensure!(clients.is_empty() || clients.iter().sum::<f64>() > 0.0, "no client has a weight");
        Ok(scenario)
    }

    /// Reads a scenario's file.
    ///
    /// # Errors
    /// Those of [`Self::parse`], or the file cannot be read.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    /// The total length of all phases.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.phases.iter().map(Phase::length).sum()
    }

    /// The callers; the demo account if none are given.
    #[must_use]
    pub fn callers(&self) -> Vec<Client> {
        if self.clients.is_empty() { vec![Client::demo()] } else { self.clients.clone() }
    }
}

impl Client {
    /// The demo account.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            name: demo(),
            weight: default_weight(),
            api_key: demo(),
            user: demo(),
            password: demo(),
            bws: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenarios_of_the_repository_are_of_the_form() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 3);
        for file in files {
            assert!(!Scenario::read(&file).unwrap().length().is_zero());
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let parse = |phases: &str, rest: &str| {
            let text = format!("name = 'x'\nphases = [{phases}]\nmix = [{{operation = 'faces'}}]\n{rest}");
            Scenario::parse(&text)
        };
        let constant = "{kind = 'constant', rate = 5, seconds = 1}";
        assert!(parse(constant, "").is_ok());
        assert!(parse("", "").is_err());
        assert!(parse("{kind = 'constant', rate = -5, seconds = 1}", "").is_err());
        assert!(parse("{kind = 'constant', rate = 5, seconds = inf}", "").is_err());
        assert!(parse(constant, "unknown = 1").is_err());
        assert!(parse(constant, "[[clients]]\nname = 'a'\nweight = 0").is_err());
    }
}
