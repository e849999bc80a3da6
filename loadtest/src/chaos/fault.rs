//! The kinds of faults.

use std::time::Duration;

/// A kind of fault.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "the names say it, and `name` says it in words")]
pub enum FaultKind {
    GatewayKilled,
    GatewayTerminated,
    GatewayPaused,
    WorkerKilled,
    WorkerTerminated,
    WorkerPaused,
    BrokerNodeKilled,
    BrokerNodeTerminated,
    BrokerNodePaused,
    BrokerLeaderKilled,
    BrokerCut,
    BrokerStalled,
    BrokerSlow,
    BrokerUnreachable,
    BrokerMemoryAlarm,
    BrokerDiskAlarm,
    StoreKilled,
    StoreTerminated,
    StorePaused,
    StorePromoted,
    StoreReplicaKilled,
    StoreReplicaPaused,
    StoreCut,
    StoreStalled,
    StoreSlow,
    StoreUnreachable,
    StoreFull,
    ObjectsCut,
    ObjectsStalled,
    ObjectsSlow,
    ObjectsUnreachable,
    ObjectsDiskFull,
    QueueFull,
    UnreadableMessages,
    ClockJump,
    RollingUpgrade,
}

/// The part of the site that a fault concerns. Two faults at the same time concern different parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// One of the gateways.
    Gateway,
    /// One of the workers.
    Worker,
    /// The RabbitMQ cluster, or the connections to it.
    Broker,
    /// Redis, or the connections to it.
    Store,
    /// The object store, or the connections to it.
    Objects,
    /// Several parts at once, such as all workers: no other fault happens meanwhile.
    All,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 36] = [
        Self::GatewayKilled,
        Self::GatewayTerminated,
        Self::GatewayPaused,
        Self::WorkerKilled,
        Self::WorkerTerminated,
        Self::WorkerPaused,
        Self::BrokerNodeKilled,
        Self::BrokerNodeTerminated,
        Self::BrokerNodePaused,
        Self::BrokerLeaderKilled,
        Self::BrokerCut,
        Self::BrokerStalled,
        Self::BrokerSlow,
        Self::BrokerUnreachable,
        Self::BrokerMemoryAlarm,
        Self::BrokerDiskAlarm,
        Self::StoreKilled,
        Self::StoreTerminated,
        Self::StorePaused,
        Self::StorePromoted,
        Self::StoreReplicaKilled,
        Self::StoreReplicaPaused,
        Self::StoreCut,
        Self::StoreStalled,
        Self::StoreSlow,
        Self::StoreUnreachable,
        Self::StoreFull,
        Self::ObjectsCut,
        Self::ObjectsStalled,
        Self::ObjectsSlow,
        Self::ObjectsUnreachable,
        Self::ObjectsDiskFull,
        Self::QueueFull,
        Self::UnreadableMessages,
        Self::ClockJump,
        Self::RollingUpgrade,
    ];

    /// Its name in schedules and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GatewayKilled => "gateway killed (SIGKILL)",
            Self::GatewayTerminated => "gateway terminated (SIGTERM)",
            Self::GatewayPaused => "gateway paused (SIGSTOP)",
            Self::WorkerKilled => "worker killed (SIGKILL)",
            Self::WorkerTerminated => "worker terminated (SIGTERM)",
            Self::WorkerPaused => "worker paused (SIGSTOP)",
            Self::BrokerNodeKilled => "RabbitMQ node killed (SIGKILL)",
            Self::BrokerNodeTerminated => "RabbitMQ node terminated (SIGTERM)",
            Self::BrokerNodePaused => "RabbitMQ node paused (SIGSTOP)",
            Self::BrokerLeaderKilled => "RabbitMQ node killed that leads the job queue",
            Self::BrokerCut => "connections to RabbitMQ cut",
            Self::BrokerStalled => "connections to RabbitMQ stalled",
            Self::BrokerSlow => "connections to RabbitMQ slowed",
            Self::BrokerUnreachable => "RabbitMQ unreachable",
            Self::BrokerMemoryAlarm => "memory alarm of RabbitMQ",
            Self::BrokerDiskAlarm => "disk alarm of RabbitMQ",
            Self::StoreKilled => "Redis master killed (SIGKILL)",
            Self::StoreTerminated => "Redis master terminated (SIGTERM)",
            Self::StorePaused => "Redis master paused (SIGSTOP)",
            Self::StorePromoted => "Redis master killed, replica promoted",
            Self::StoreReplicaKilled => "Redis replica killed (SIGKILL)",
            Self::StoreReplicaPaused => "Redis replica paused (SIGSTOP)",
            Self::StoreCut => "connections to Redis cut",
            Self::StoreStalled => "connections to Redis stalled",
            Self::StoreSlow => "connections to Redis slowed",
            Self::StoreUnreachable => "Redis unreachable",
            Self::StoreFull => "Redis full (maxmemory)",
            Self::ObjectsCut => "connections to the object store cut",
            Self::ObjectsStalled => "connections to the object store stalled",
            Self::ObjectsSlow => "connections to the object store slowed",
            Self::ObjectsUnreachable => "object store unreachable",
            Self::ObjectsDiskFull => "disk of the object store full",
            Self::QueueFull => "all workers paused, job queue full",
            Self::UnreadableMessages => "unreadable messages in the job queue",
            Self::ClockJump => "clocks of a gateway and a worker jump",
            Self::RollingUpgrade => "rolling upgrade",
        }
    }

    /// The part of the site that it concerns.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::GatewayKilled | Self::GatewayTerminated | Self::GatewayPaused => Part::Gateway,
            Self::WorkerKilled | Self::WorkerTerminated | Self::WorkerPaused => Part::Worker,
            Self::BrokerNodeKilled
            | Self::BrokerNodeTerminated
            | Self::BrokerNodePaused
            | Self::BrokerLeaderKilled
            | Self::BrokerCut
            | Self::BrokerStalled
            | Self::BrokerSlow
            | Self::BrokerUnreachable
            | Self::BrokerMemoryAlarm
            | Self::BrokerDiskAlarm
            | Self::UnreadableMessages => Part::Broker,
            Self::StoreKilled
            | Self::StoreTerminated
            | Self::StorePaused
            | Self::StorePromoted
            | Self::StoreReplicaKilled
            | Self::StoreReplicaPaused
            | Self::StoreCut
            | Self::StoreStalled
            | Self::StoreSlow
            | Self::StoreUnreachable
            | Self::StoreFull => Part::Store,
            Self::ObjectsCut
            | Self::ObjectsStalled
            | Self::ObjectsSlow
            | Self::ObjectsUnreachable
            | Self::ObjectsDiskFull => Part::Objects,
            Self::QueueFull | Self::ClockJump | Self::RollingUpgrade => Part::All,
        }
    }

    /// Whether the fault explains that a callback is sent again after its 200, and nothing else. A gateway that is
    /// killed between the two has not recorded the delivery.
    #[must_use]
    pub fn disturbs_deliveries(self) -> bool {
        self == Self::GatewayKilled
    }

    /// Whether the fault explains that a job ends without a result, or that a callback is sent again after its 200: it
    /// holds jobs, answers, or the resources that they need. Slowness and planned operations on gateways and workers
    /// explain neither, because the service must tolerate them.
    #[must_use]
    pub fn is_disturbance(self) -> bool {
        match self {
            // A paused gateway holds back the answers that it has.
            Self::GatewayPaused => true,
            // The connections of its callers break. `disturbs_deliveries` covers its other effect.
            Self::GatewayKilled => false,
            // At SIGTERM a gateway answers its requests, and records the callbacks that it is delivering
            // (`LaneWorker::run`).
            Self::GatewayTerminated => false,
            // The broker gives the jobs of a paused worker to no other worker.
            Self::WorkerPaused => true,
            // The broker delivers the jobs of a dead worker again at once. At SIGTERM a worker returns the jobs that it
            // has not begun.
            Self::WorkerKilled | Self::WorkerTerminated => false,
            // However a node ends, its connections, reply queues and queue leaders are lost. An alarm holds results,
            // too.
            Self::BrokerNodeKilled
            | Self::BrokerNodeTerminated
            | Self::BrokerNodePaused
            | Self::BrokerLeaderKilled
            | Self::BrokerCut
            | Self::BrokerStalled
            | Self::BrokerUnreachable
            | Self::BrokerMemoryAlarm
            | Self::BrokerDiskAlarm => true,
            // A message takes longer, but far less than a job's deadline. Unreadable messages leave the queue at once.
            Self::BrokerSlow | Self::UnreadableMessages => false,
            // Redis holds the larger pictures of jobs, and the record that a callback was delivered.
            Self::StoreKilled
            | Self::StoreTerminated
            | Self::StorePaused
            | Self::StorePromoted
            | Self::StoreCut
            | Self::StoreStalled
            | Self::StoreUnreachable
            | Self::StoreFull => true,
            // Slowness as above. No write waits for the replica.
            Self::StoreSlow | Self::StoreReplicaKilled | Self::StoreReplicaPaused => false,
            // A job whose caller waits needs nothing from the object store. The object store holds the media of replays
            // and the usage records. While it is unavailable, gateways refuse uploads of replays, the jobs of replays
            // return to their queue, and usage records wait in Redis.
            Self::ObjectsCut
            | Self::ObjectsStalled
            | Self::ObjectsSlow
            | Self::ObjectsUnreachable
            | Self::ObjectsDiskFull => false,
            // All workers are paused.
            Self::QueueFull => true,
            // A worker whose clock is ahead considers jobs too old and refuses them at once, and their callers retry.
            // Deadlines run on the gateways' monotonic clocks.
            Self::ClockJump => false,
            // One program after the other is terminated, as above.
            Self::RollingUpgrade => false,
        }
    }
}

/// A fault of a schedule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlannedFault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// Time from the start of the load.
    pub at: Duration,
    /// Time from the start of the fault until it is undone. Processes and servers need more time until they serve again.
    pub duration: Duration,
    /// The process or server that it concerns: its number, modulo how many there are. For faults of connections, modulo
    /// 3: 0 those of the gateways, 1 those of the workers, 2 both.
    pub target: usize,
}

impl std::fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, duration) = (self.at.as_secs_f64(), self.duration.as_secs_f64());
        write!(f, "{at:7.1} s  for {duration:4.1} s  {} [{}]", self.kind.name(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        let names = BTreeSet::from(FaultKind::ALL.map(FaultKind::name));
        assert_eq!(names.len(), FaultKind::ALL.len());
    }

    #[test]
    fn planned_operations_slowness_and_what_no_job_needs_excuse_no_lost_job() {
        let excuse_nothing: Vec<_> =
            FaultKind::ALL.into_iter().filter(|kind| !kind.is_disturbance()).collect();
        let expected = [
            FaultKind::GatewayKilled,
            FaultKind::GatewayTerminated,
            FaultKind::WorkerKilled,
            FaultKind::WorkerTerminated,
            FaultKind::BrokerSlow,
            FaultKind::StoreReplicaKilled,
            FaultKind::StoreReplicaPaused,
            FaultKind::StoreSlow,
            FaultKind::ObjectsCut,
            FaultKind::ObjectsStalled,
            FaultKind::ObjectsSlow,
            FaultKind::ObjectsUnreachable,
            FaultKind::ObjectsDiskFull,
            FaultKind::UnreadableMessages,
            FaultKind::ClockJump,
            FaultKind::RollingUpgrade,
        ];
        assert_eq!(excuse_nothing, expected);
    }
}
