//! A short run of faults under load. `make chaos` does a long one, with all kinds of faults.

use std::path::Path;

use faceline_loadtest::chaos::{Builds, Chaos, FaultKind, run, scenario};
use faceline_loadtest::oracle::{Operation, PictureSize};
use tempfile::TempDir;

use crate::process::ExclusiveRun;
use crate::programs::program;

/// With this seed, the RabbitMQ node is killed first. Its restart takes the longest of the three.
const SEED: u64 = 8;
/// Requests per second.
const RATE: f64 = 2.0;
/// Duration of load and faults in seconds.
const SECONDS: f64 = 24.0;
/// One kind for each part of the site.
const KINDS: [FaultKind; 3] =
    [FaultKind::WorkerKilled, FaultKind::BrokerLeaderKilled, FaultKind::StorePromoted];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_a_worker_a_broker_node_and_redis_are_killed() {
    let _exclusive = ExclusiveRun::begin().await;
    let logs = TempDir::new().unwrap();
    let folder = program("faceline-gateway").parent().map(Path::to_owned).unwrap();
    program("faceline-worker");
    let mut scenario = scenario(SEED, RATE, SECONDS);
    // Before the load, the service is asked for its results for each picture. The removed entries take most of that
    // time.
    scenario
        .mix
        .retain(|entry| entry.size == PictureSize::Small && entry.operation != Operation::FaceLiveness);
    let chaos = Chaos {
        scenario,
        kinds: KINDS.to_vec(),
        builds: Builds { current: folder, previous: None },
        logs: logs.path().to_owned(),
    };
    let report = run(&chaos, |line| println!("{line}")).await.unwrap();
    println!("{report}");
    assert!(report.is_good(), "{report}");
    for kind in KINDS {
        assert!(report.faults.iter().any(|fault| fault.kind == kind.name()), "{kind:?}: {report}");
    }
    let verdict = &report.verdict;
    assert!(verdict.answered * 2 > verdict.obligations, "hardly anything works: {report}");
    assert!(verdict.sessions > 0 && verdict.usage_records.is_some_and(|records| records > 0), "{report}");
}
