//! Injects faults into a site, and undoes them.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use faceline_shared::broker::{Message, Published, Queue};
use faceline_shared::testkit::{CutProxy, RabbitMq};
use futures_util::future::try_join_all;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::fault::{FaultKind, PlannedFault};
use super::program::Program;
use super::site::{RedisPair, Site};

/// A slow network delays each piece of up to 64 KiB by this.
const DELAY: Duration = Duration::from_millis(60);
/// Time between two cuts of the connections.
const CUT_INTERVAL: Duration = Duration::from_secs(1);
/// How far clocks jump, in seconds.
const CLOCK_JUMP: i64 = 90;
/// Unreadable messages for each fault of that kind.
const UNREADABLE_MESSAGES: usize = 5;
/// Time between two attempts to publish one of them, and time limit for all attempts with that one.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);
const PUBLISH_TIME: Duration = Duration::from_mins(1);
const MEMORY_WATERMARK: [&str; 2] = ["0.000001", "0.6"];
const DISK_LIMIT: [&str; 2] = ["900000GB", "50MB"];

/// The outcome of an injection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Injected {
    /// The fault was injected and undone.
    Done,
    /// This machine has no means to inject the fault, for this reason.
    Skipped(String),
}

/// A disruption that the proxies apply to the connections to a service.
#[derive(Clone, Copy)]
enum Disruption {
    Cut,
    Stall,
    Slow,
    Refuse,
}

/// Injects a fault, waits for its duration, and undoes it. Programs and servers that it ended are ready again when it
/// returns; [`Site::recovered`] waits for its effects on others.
///
/// # Errors
/// A program does not end or start as it should, or the fault cannot be injected or undone.
///
/// # Panics
/// A server does not start again, or refuses a command.
pub(super) async fn inject(site: &Site, fault: &PlannedFault) -> anyhow::Result<Injected> {
    let (pause, target) = (fault.duration, fault.target);
    match fault.kind {
        FaultKind::GatewayKilled => killed(&site.gateways, target, pause).await?,
        FaultKind::GatewayTerminated => terminated(&site.gateways, target, pause).await?,
        FaultKind::GatewayPaused => paused(&site.gateways, target, pause).await,
        FaultKind::WorkerKilled => killed(&site.workers, target, pause).await?,
        FaultKind::WorkerTerminated => terminated(&site.workers, target, pause).await?,
        FaultKind::WorkerPaused => paused(&site.workers, target, pause).await,
        FaultKind::BrokerNodeKilled => restarted(of(&site.brokers, target).await, "KILL", pause).await,
        FaultKind::BrokerNodeTerminated => restarted(of(&site.brokers, target).await, "TERM", pause).await,
        FaultKind::BrokerNodePaused => {
            let mut node = of(&site.brokers, target).await;
            node.pause();
            sleep(pause).await;
            node.resume();
        }
        FaultKind::BrokerLeaderKilled => restarted(leader(site).await?, "KILL", pause).await,
        FaultKind::BrokerCut => disrupt(&broker_proxies(site, target), Disruption::Cut, pause).await,
        FaultKind::BrokerStalled => disrupt(&broker_proxies(site, target), Disruption::Stall, pause).await,
        FaultKind::BrokerSlow => disrupt(&broker_proxies(site, target), Disruption::Slow, pause).await,
        FaultKind::BrokerUnreachable => {
            disrupt(&broker_proxies(site, target), Disruption::Refuse, pause).await;
        }
        FaultKind::BrokerMemoryAlarm => {
            alarm(site, target, "set_vm_memory_high_watermark", MEMORY_WATERMARK, pause).await;
        }
        FaultKind::BrokerDiskAlarm => alarm(site, target, "set_disk_free_limit", DISK_LIMIT, pause).await,
        FaultKind::StoreKilled | FaultKind::StoreTerminated => {
            let mut redis = site.redis.lock().await;
            match fault.kind {
                FaultKind::StoreKilled => redis.master.kill9().await,
                _ => redis.master.stop().await,
            }
            sleep(pause).await;
            redis.master.restart().await;
        }
        FaultKind::StorePaused => {
            let mut redis = site.redis.lock().await;
            redis.master.pause();
            sleep(pause).await;
            redis.master.resume();
        }
        FaultKind::StorePromoted => site.redis.lock().await.promote(pause).await,
        FaultKind::StoreReplicaKilled => {
            let mut redis = site.redis.lock().await;
            let RedisPair { master, replica } = &mut *redis;
            replica.kill9().await;
            sleep(pause).await;
            replica.restart_as_replica(master).await;
        }
        FaultKind::StoreReplicaPaused => {
            let mut redis = site.redis.lock().await;
            redis.replica.pause();
            sleep(pause).await;
            redis.replica.resume();
        }
        FaultKind::StoreCut => disrupt(&store_proxies(site, target), Disruption::Cut, pause).await,
        FaultKind::StoreStalled => disrupt(&store_proxies(site, target), Disruption::Stall, pause).await,
        FaultKind::StoreSlow => disrupt(&store_proxies(site, target), Disruption::Slow, pause).await,
        FaultKind::StoreUnreachable => disrupt(&store_proxies(site, target), Disruption::Refuse, pause).await,
        FaultKind::StoreFull => {
            let redis = site.redis.lock().await;
            redis.master.control(&["CONFIG", "SET", "maxmemory", "1"]).await;
            sleep(pause).await;
            redis.master.control(&["CONFIG", "SET", "maxmemory", "0"]).await;
        }
        FaultKind::ObjectsCut => disrupt(&object_proxies(site, target), Disruption::Cut, pause).await,
        FaultKind::ObjectsStalled => disrupt(&object_proxies(site, target), Disruption::Stall, pause).await,
        FaultKind::ObjectsSlow => disrupt(&object_proxies(site, target), Disruption::Slow, pause).await,
        FaultKind::ObjectsUnreachable => {
            disrupt(&object_proxies(site, target), Disruption::Refuse, pause).await;
        }
        FaultKind::ObjectsDiskFull => {
            let disk = match &site.disk {
                Ok(disk) => disk,
                Err(reason) => return Ok(Injected::Skipped(reason.to_string())),
            };
            disk.fill()?;
            sleep(pause).await;
            disk.clear()?;
        }
        FaultKind::QueueFull => {
            for worker in &site.workers {
                worker.lock().await.pause();
            }
            sleep(pause).await;
            for worker in &site.workers {
                worker.lock().await.resume();
            }
        }
        FaultKind::UnreadableMessages => send_unreadable(site).await?,
        FaultKind::ClockJump => {
            let clock = match &site.clock {
                Ok(clock) => clock,
                Err(reason) => return Ok(Injected::Skipped(reason.to_string())),
            };
            clock.set(CLOCK_JUMP)?;
            sleep(pause).await;
            clock.set(0)?;
        }
        FaultKind::RollingUpgrade => roll(site).await?,
    }
    Ok(Injected::Done)
}

/// Locks one of several, by its number modulo how many there are.
async fn of<T>(several: &[Mutex<T>], target: usize) -> MutexGuard<'_, T> {
    several[target % several.len()].lock().await
}

async fn killed(programs: &[Mutex<Program>], target: usize, pause: Duration) -> anyhow::Result<()> {
    let mut program = of(programs, target).await;
    program.kill().await;
    sleep(pause).await;
    program.start_until_ready().await
}

async fn terminated(programs: &[Mutex<Program>], target: usize, pause: Duration) -> anyhow::Result<()> {
    let mut program = of(programs, target).await;
    let ended = program.terminate().await;
    sleep(pause).await;
    program.start_until_ready().await?;
    ended
}

async fn paused(programs: &[Mutex<Program>], target: usize, pause: Duration) {
    let mut program = of(programs, target).await;
    program.pause();
    sleep(pause).await;
    program.resume();
}

async fn restarted(mut node: MutexGuard<'_, RabbitMq>, signal: &str, pause: Duration) {
    match signal {
        "KILL" => node.kill9().await,
        _ => node.stop().await,
    }
    sleep(pause).await;
    node.restart().await;
}

/// Finds the value of a queue in a list of names with one value each (`rabbitmqctl list_queues name VALUE`).
pub(super) fn listed_of<'a>(list: &'a str, queue: &Queue) -> anyhow::Result<&'a str> {
    let name = queue.name();
    let line = list.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    Ok(line.with_context(|| format!("RabbitMQ does not list {name}: {list}"))?.trim())
}

/// The node that leads the queue of jobs.
async fn leader(site: &Site) -> anyhow::Result<MutexGuard<'_, RabbitMq>> {
    let queues = site.brokers[0].lock().await.control(&["list_queues", "name", "leader"]).await;
    let leader = listed_of(&queues, &Queue::Interactive)?;
    for node in &site.brokers {
        let node = node.lock().await;
        if node.node() == leader {
            return Ok(node);
        }
    }
    anyhow::bail!("{leader} is no node of this cluster")
}

/// Indexes of the sides whose connections a fault concerns: gateways, workers, or both.
fn sides(target: usize) -> std::ops::Range<usize> {
    match target % 3 {
        0 => 0..1,
        1 => 1..2,
        _ => 0..2,
    }
}

fn broker_proxies(site: &Site, target: usize) -> Vec<&CutProxy> {
    sides(target).flat_map(|side| &site.proxies[side].broker).collect()
}

fn store_proxies(site: &Site, target: usize) -> Vec<&CutProxy> {
    sides(target).flat_map(|side| &site.proxies[side].store).collect()
}

fn object_proxies(site: &Site, target: usize) -> Vec<&CutProxy> {
    sides(target).map(|side| &site.proxies[side].objects).collect()
}

async fn disrupt(proxies: &[&CutProxy], disruption: Disruption, pause: Duration) {
    match disruption {
        Disruption::Cut => {
            let mut left = pause;
            while !left.is_zero() {
                proxies.iter().for_each(|proxy| proxy.cut());
                let part = left.min(CUT_INTERVAL);
                sleep(part).await;
                left -= part;
            }
            return;
        }
        Disruption::Stall => proxies.iter().for_each(|proxy| proxy.stall()),
        Disruption::Slow => proxies.iter().for_each(|proxy| proxy.delay(DELAY)),
        Disruption::Refuse => proxies.iter().for_each(|proxy| proxy.refuse()),
    }
    sleep(pause).await;
    proxies.iter().for_each(|proxy| proxy.pass());
}

/// Raises an alarm on a RabbitMQ node by setting a limit, and restores the limit.
async fn alarm(site: &Site, target: usize, command: &str, [value, usual]: [&str; 2], pause: Duration) {
    let node = of(&site.brokers, target).await;
    node.control(&[command, value]).await;
    sleep(pause).await;
    node.control(&[command, usual]).await;
}

/// Sends messages that no worker can read to the queue of jobs.
async fn send_unreadable(site: &Site) -> anyhow::Result<()> {
    for number in 0..UNREADABLE_MESSAGES {
        let message = Message {
            id: Uuid::now_v7(),
            reply_to: None,
            expiration: None,
            earlier_attempts: 0,
            body: Bytes::from(format!("no job: {number}")),
        };
        // After a node was killed, the connection may be moving to another one.
        let until = Instant::now() + PUBLISH_TIME;
        loop {
            match site.services.broker.publish(&Queue::Interactive, &message).await {
                Published::Accepted => break,
                other if Instant::now() > until => {
                    anyhow::bail!("the broker does not take a message: {other:?}")
                }
                _ => sleep(PUBLISH_INTERVAL).await,
            }
        }
    }
    Ok(())
}

/// Restarts all workers and then all gateways, one after the other, with the other build if there are two.
async fn roll(site: &Site) -> anyhow::Result<()> {
    let folder = site.next_build().await;
    for program in site.workers.iter().chain(&site.gateways) {
        let mut program = program.lock().await;
        let ended = program.terminate().await;
        program.set_folder(&folder);
        program.start_until_ready().await?;
        ended?;
    }
    Ok(())
}

/// Undoes any remaining effect of a fault that failed.
pub(super) async fn heal_all(site: &Site) -> anyhow::Result<()> {
    for proxies in &site.proxies {
        for proxy in proxies.broker.iter().chain(&proxies.store).chain([&proxies.objects]) {
            proxy.pass();
        }
    }
    if let Ok(clock) = &site.clock {
        clock.set(0)?;
    }
    let programs = site.gateways.iter().chain(&site.workers);
    try_join_all(programs.map(async |program| {
        let mut program = program.lock().await;
        program.resume();
        if program.is_running() { Ok(()) } else { program.start_until_ready().await }
    }))
    .await?;
    Ok(())
}
