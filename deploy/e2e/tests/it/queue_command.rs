//! `faceline queue`: shows a poison job among the dead letters, and requeues it once.

use std::time::Duration;

use faceline_gateway::jobs::{Dispatcher, Submit as _, SubmitError};
use faceline_shared::broker::Queue;
use faceline_shared::job::JobFailure;
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::testkit::{PooledRabbitMq, RabbitMq, Redis};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::poison;
use crate::process::ServerRun;
use crate::programs::program;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `faceline queue …` against a broker. Returns the exit code, and the output or the error.
async fn queue(broker: &RabbitMq, arguments: &[&str]) -> (Option<i32>, String) {
    // The command does not use the stores, but the settings must be consistent.
    let output = Command::new(program("faceline"))
        .arg("queue")
        .args(arguments)
        .args(["--set", &format!("broker.url={}", broker.url()), "--set", "store.url=redis://127.0.0.1:1"])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    (output.status.code(), String::from_utf8_lossy(text).into_owned())
}

async fn json(broker: &RabbitMq, arguments: &[&str]) -> Value {
    let (code, text) = queue(broker, &[arguments, &["--json"]].concat()).await;
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_job_is_shown_and_comes_back_once() {
    let _run = ServerRun::begin().await;
    let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
    let folder = TempDir::new().unwrap();
    let settings = format!(
        "broker.url={}\nstore.url={}\ndata_dir={}",
        broker.url(),
        redis.url(),
        folder.path().display()
    );
    let services = poison::services(&settings);
    let dispatcher = Dispatcher::start(
        "test",
        services.broker.clone(),
        services.blobs.clone(),
        services.keys.data.clone(),
        services.settings.broker.inline_limit,
        &services.metrics,
    )
    .await;
    dispatcher.watch_connection().wait_for(Option::is_some).await.unwrap();
    let depth = async |queue: &Queue| services.broker.depth(queue).await.unwrap().ready;
    let until = async |queue: &Queue, count: u64| {
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        let reached = async {
            while depth(queue).await != count {
                poll.tick().await;
            }
        };
        tokio::time::timeout(TIMEOUT, reached)
            .await
            .expect("the queue does not reach the expected number of messages");
    };

    let stop = CancellationToken::new();
    let supervisor = tokio::spawn(poison::supervise(settings, stop.clone()));
    let mut job = poison::job(poison::POISON.into());
    job.budget = Duration::from_mins(10);
    let id = job.id.to_string();
    let Err(SubmitError::Failed(JobFailure::Poison { attempts: 3 })) = dispatcher.submit(job).await else {
        panic!("the job is no poison");
    };
    until(&Queue::DeadLetters, 1).await;
    stop.cancel();
    assert_eq!(supervisor.await.unwrap(), 3);

    let list = json(&broker, &["list"]).await;
    let dead = list["queues"].as_array().unwrap().iter().find(|row| row["queue"] == "faceline.dead").unwrap();
    assert_eq!((&dead["ready"], &dead["consumers"]), (&1.into(), &0.into()));
    assert!(
        dead["unacknowledged"].is_null() && list["reply_queues"].is_null(),
        "only the management API knows"
    );
    let (_, text) = queue(&broker, &["list"]).await;
    assert!(
        text.contains("faceline.jobs.quarantine") && text.contains("set broker.management_url"),
        "{text}"
    );

    // The command shows the letter twice, because showing does not remove it.
    for _ in 0..2 {
        let shown = json(&broker, &["dead-letters", "show"]).await;
        let [letter] = &shown.as_array().unwrap()[..] else { panic!("{shown}") };
        assert_eq!(
            (&letter["job"], &letter["kind"], &letter["client"], &letter["gateway"]),
            (&id.as_str().into(), &"request".into(), &"test".into(), &"test".into())
        );
        assert_eq!(
            (&letter["died_in"], &letter["reason"], &letter["earlier_attempts"], &letter["budget_ms"]),
            (&"faceline.jobs.quarantine".into(), &"rejected".into(), &2.into(), &600_000.into())
        );
        assert!(letter["died_at_s"].as_u64().is_some_and(|at| at > 1_700_000_000), "{letter}");
        assert!(!shown.to_string().contains("payload"), "{shown}");
    }
    let (_, text) = queue(&broker, &["dead-letters", "show"]).await;
    assert!(text.contains(&id) && text.contains("died in faceline.jobs.quarantine (rejected)"), "{text}");

    // A dry run changes nothing.
    let planned = json(&broker, &["dead-letters", "requeue", &id]).await;
    assert_eq!(
        (&planned[0]["queue"], &planned[0]["requeued"]),
        (&"faceline.jobs.quarantine".into(), &false.into())
    );
    until(&Queue::DeadLetters, 1).await;
    assert_eq!(depth(&Queue::Quarantine).await, 0);
    let unknown = uuid::Uuid::now_v7().to_string();
    let (code, text) = queue(&broker, &["dead-letters", "requeue", &unknown, "--yes"]).await;
    assert!(code == Some(1) && text.contains(&unknown), "{text}");

    let done = json(&broker, &["dead-letters", "requeue", "--all", "--yes"]).await;
    assert_eq!((&done[0]["job"], &done[0]["requeued"]), (&id.as_str().into(), &true.into()));
    until(&Queue::Quarantine, 1).await;
    assert_eq!(depth(&Queue::DeadLetters).await, 0);
    let again = json(&broker, &["dead-letters", "requeue", "--all", "--yes"]).await;
    assert_eq!((again, depth(&Queue::Quarantine).await), (Value::Array(vec![]), 1), "it comes back once");

    // Its attempts are counted anew, so a worker that survives the job does it.
    let stop = CancellationToken::new();
    let surviving = poison::surviving(&services, stop.clone());
    until(&Queue::Quarantine, 0).await;
    stop.cancel();
    surviving.await.unwrap();
    assert_eq!(depth(&Queue::DeadLetters).await, 0, "{}", services.metrics.encode());
    services.broker.close().await;
}
